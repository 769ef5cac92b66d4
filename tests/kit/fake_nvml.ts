/** The made-up library of NVIDIA (./fake_nvml.c), compiled when it is first asked for. */
import { compileLibrary } from "./c_library.ts";
import type { Tree } from "./tree.ts";

/** The file of a tree with the answers. */
export const ANSWERS = "nvml.txt";

/** The paths of the libraries. */
const compiled = new Map<string, string>();

/** @param variant `old`: a library of before field values and several versions of functions. */
function compile(variant: "new" | "old"): string {
  return compileLibrary("./fake_nvml.c", "libnvidia-ml.so.1", ...(variant === "old" ? ["-DOLD"] : []));
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

/** How many samples of counters the library has lent. */
export function lentSamples(): number {
  const library = Deno.dlopen(installed("new"), { fake_nvml_samples: { parameters: [], result: "i32" } });
  const count = library.symbols.fake_nvml_samples();
  library.close();
  return count;
}
