/** A small disk of a test's own, which the test can fill. */
import { shell } from "./process.ts";
import { TempDir } from "./temp_dir.ts";

const ROOMY = "64m";

/** A tmpfs in a folder of its own. Needs the right to mount (root, on Linux). */
export class SmallDisk implements AsyncDisposable {
  readonly #directory = new TempDir();

  private constructor() {}

  static async mount(): Promise<SmallDisk> {
    await using stack = new AsyncDisposableStack();
    const disk = new SmallDisk();
    stack.use(disk.#directory);
    await shell("mount", "-t", "tmpfs", "-o", `size=${ROOMY}`, "tmpfs", disk.path);
    stack.move();
    return disk;
  }

  get path(): string {
    return this.#directory.path;
  }

  /** The path of a file on it. */
  file(name: string): string {
    return this.#directory.file(name);
  }

  /** From now on there is no room for another page. */
  async fill(): Promise<void> {
    for (let tries = 0;; tries++) {
      const used = Number((await shell("df", "--output=used", "-B1", this.path)).split("\n")[1]);
      try {
        return void await shell("mount", "-o", `remount,size=${Math.max(4096, used)}`, this.path);
      } catch (error) {
        // Somebody may have written more in between.
        if (tries === 20) throw error;
      }
    }
  }

  async empty(): Promise<void> {
    await shell("mount", "-o", `remount,size=${ROOMY}`, this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await shell("umount", this.path);
    await this.#directory[Symbol.asyncDispose]();
  }
}
