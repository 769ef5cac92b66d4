/** Where one end keeps its state: a small disk of its own, which can be filled, where the machine allows that. */
import { namespaces } from "../../tests/kit/needs.ts";
import { Namespace } from "../../tests/kit/netns.ts";
import { TempDir } from "../../tests/kit/temp_dir.ts";

const MOUNT = "/mnt";

/** Why disks cannot be filled here, or `undefined`. */
export const cannotFill: string | undefined = Deno.build.os === "linux" ? namespaces() : "needs Linux";

export class ChaosDisk implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;

  private constructor(
    stack: AsyncDisposableStack,
    /** The state directory, as the process sees it. */
    readonly inside: string,
    /** The same as we see it. */
    readonly outside: string,
    /** What runs a program where it sees it. */
    readonly wrapper: readonly string[],
  ) {
    this.#stack = stack;
  }

  static async create(mebibytes: number): Promise<ChaosDisk> {
    await using stack = new AsyncDisposableStack();
    if (cannotFill !== undefined) {
      const { path } = stack.use(new TempDir());
      return new ChaosDisk(stack.move(), path, path, []);
    }
    const namespace = stack.use(await Namespace.create());
    await namespace.run("mount", "-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", MOUNT);
    const wrapper = ["nsenter", "--target", String(namespace.pid), "--mount", "--wd=/", "--"];
    return new ChaosDisk(stack.move(), MOUNT, namespace.path(MOUNT), wrapper);
  }

  /** Fills it completely. */
  fill(): void {
    using file = Deno.openSync(`${this.outside}/filler`, { create: true, append: true });
    for (let size = 1024 * 1024; size > 0;) {
      try {
        if (file.writeSync(new Uint8Array(size)) < size) size = size >> 1;
      } catch {
        size = size >> 1;
      }
    }
  }

  free(): void {
    try {
      Deno.removeSync(`${this.outside}/filler`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
