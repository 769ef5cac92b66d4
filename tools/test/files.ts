/** Which files have tests, and in which order they begin. */

/** Beginnings of paths whose tests take longest: the last one to end should not be the last one to begin. */
const FIRST = [
  "tests/end_to_end/chaos_test.ts",
  "tests/end_to_end/package_test.ts",
  "tests/outputs/postgresql/",
  "tests/outputs/opentelemetry/",
  "tests/outputs/influxdb/",
  "tests/inputs/fuzz_test.ts",
  "tests/points/series_store_test.ts",
  "tests/seeing/page_test.ts",
  "tests/server/",
  "tests/end_to_end/",
  "tests/outputs/",
  "tests/journal/",
  "tests/project/",
];

/** The files of tests that are, or lie below, these paths. @throws {Error} where a path has none */
export async function testFiles(paths: readonly string[]): Promise<string[]> {
  const files = new Set<string>();
  for (const path of paths) {
    let any = false;
    for await (const file of below(path.replace(/(?<=.)\/+$/, ""))) {
      files.add(file);
      any = true;
    }
    if (!any) throw new Error(`${path}: there is no file named *_test.ts`);
  }
  return [...files];
}

async function* below(path: string): AsyncGenerator<string> {
  if ((await Deno.stat(path)).isFile) {
    yield path;
    return;
  }
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory) yield* below(`${path}/${name}`);
    else if (name.endsWith("_test.ts")) yield `${path}/${name}`;
  }
}

/** Those that take longest first, otherwise by name. */
export function inOrder(files: readonly string[]): string[] {
  const rank = (file: string) => {
    const index = FIRST.findIndex((prefix) => file.startsWith(prefix));
    return index < 0 ? FIRST.length : index;
  };
  return files.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
