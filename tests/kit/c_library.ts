/** C libraries for tests, compiled when they are first asked for. */
import assert from "node:assert/strict";
import { type Need, program } from "./needs.ts";

/** A compiler for C. */
export const compiler: Need = program("cc", "gcc");

/** Compiles a file of this folder into a shared library, which stays loaded once it is opened. @returns its path */
export function compileLibrary(source: string, name: string, ...flags: string[]): string {
  const folder = Deno.makeTempDirSync({ prefix: "alumet-relay-library-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const path = `${folder}/${name}`;
  // What it remembers must outlive each time that it is opened: nodelete keeps it loaded.
  const args = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wl,-z,nodelete", ...flags];
  const file = new URL(source, import.meta.url).pathname;
  const { success, stderr } = new Deno.Command("cc", { args: [...args, "-o", path, file] }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
  return path;
}
