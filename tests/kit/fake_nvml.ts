/** The made-up library of NVIDIA (./fake_nvml.c), compiled when it is first asked for. */
import assert from "node:assert/strict";
import { type Need, program } from "./needs.ts";
import type { Tree } from "./tree.ts";

/** A compiler for C. */
export const compiler: Need = program("cc", "gcc");

/** The file of a tree with the answers. */
export const ANSWERS = "nvml.txt";

const SOURCE = new URL("./fake_nvml.c", import.meta.url).pathname;
/** The paths of the libraries. */
const compiled = new Map<string, string>();

/** @param variant `old`: a library of before field values and several versions of functions. */
function compile(variant: "new" | "old"): string {
  const folder = Deno.makeTempDirSync({ prefix: "alumet-relay-nvml-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const path = `${folder}/libnvidia-ml.so.1`;
  // What it answers must outlive each time that it is opened: nodelete keeps it loaded.
  const flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wl,-z,nodelete"];
  if (variant === "old") flags.push("-DOLD");
  const { success, stderr } = new Deno.Command("cc", { args: [...flags, "-o", path, SOURCE] }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
  return path;
}

/** The folder of the library, for LD_LIBRARY_PATH; it answers what the file of FAKE_NVML_ANSWERS says. */
export function nvmlFolder(): string {
  return installed("new").replace(/\/[^/]*$/, "");
}

function installed(variant: "new" | "old"): string {
  let path = compiled.get(variant);
  if (path === undefined) compiled.set(variant, path = compile(variant));
  return path;
}

/** Puts the library into the tree; it answers what {@linkcode ANSWERS} there says. */
export function installNvml(tree: Tree, variant: "new" | "old" = "new"): void {
  const path = installed(variant);
  tree.link("lib/libnvidia-ml.so.1", path);
  const library = Deno.dlopen(path, { fake_nvml_answers: { parameters: ["buffer"], result: "void" } });
  library.symbols.fake_nvml_answers(new TextEncoder().encode(`${tree.root}/${ANSWERS}\0`));
  library.close();
}
