/** Folders of a test's own. */
import { PATIENCE_MS, until } from "./waiting.ts";

/** A folder that is removed at the end of the test. */
export class TempDir implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "alumet-relay-" });

  /** The path of a file in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** Waits until this process has closed that file: Deno 2.6 releases a lock that it waits for only after it has got it. */
export async function released(path: string): Promise<void> {
  if (Deno.build.os !== "linux") return;
  const real = Deno.realPathSync(path);
  const isOpen = () =>
    [...Deno.readDirSync("/proc/self/fd")].some(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`) === real;
      } catch {
        return false;
      }
    });
  await until(() => !isOpen(), PATIENCE_MS, `${path} is closed`);
}
