/** Folders of a test's own, and files in them that others read at the same time. */

/**
 * Writes a file beside its place and moves it there: whoever reads it meanwhile, in another thread or process, sees all
 * of what it was or all of what it is.
 */
export function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: { mode?: number } = {},
): void {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  Deno.writeFileSync(`${path}.new`, bytes, options);
  Deno.renameSync(`${path}.new`, path);
}

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
