/**
 * What a program is compiled from: the modules as JavaScript, and the packages without what they have for other tools.
 *
 * A compiled program holds all of its files in memory. A module in TypeScript would be there three times: as it is
 * written, as JavaScript, and as the map between them. Here only its types are taken out, so that each line stays where
 * it is: what a stack trace names is the line of the source.
 */
import { transform } from "sucrase";

/** A file of a package. */
const PACKAGED = /^\/node_modules\/\.deno\/([^/]+)\/node_modules\//;
/** Those that a program loads. */
const LOADED = /\.(?:[cm]?js|json|wasm)$/;
/** Modules in the older format that are there in the newer one. */
const OLDER = /\/@bufbuild\/protobuf\/dist\/cjs\//;
const LICENSE = /\/licen[sc]e[^/]*$/i;
/** The licenses of packages, by their names: a license goes where its package goes. */
export const LICENSES = "licenses.json";

/** The JavaScript of a module; each line is where it was. */
export function withoutTypes(source: string): string {
  const { code } = transform(source, { transforms: ["typescript"], disableESTransforms: true });
  // Modules are imported by their files.
  return code.replace(/"(\.{1,2}\/[^"\n]*)\.ts"/g, '"$1.js"');
}

/** Modules become JavaScript. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    const path = `${from}/${name}`;
    if (isDirectory) await copy(path, `${to}/${name}`);
    else if (isFile && name.endsWith(".ts") && !name.endsWith(".d.ts")) {
      await Deno.writeTextFile(
        `${to}/${name.replace(/\.ts$/, ".js")}`,
        withoutTypes(await Deno.readTextFile(path)),
      );
    } else if (isFile) await Deno.copyFile(path, `${to}/${name}`);
  }
}

/** The `deno.json` of the program: tests and tools have packages that it does not need. */
export function programConfig(text: string, sources: string): string {
  const config = JSON.parse(text) as { imports: Record<string, string> };
  const imports = Object.entries(config.imports).filter(([name]) =>
    sources.includes(`"${name}"`) || sources.includes(`"${name}/`)
  );
  return JSON.stringify({ ...config, imports: Object.fromEntries(imports) });
}

/** Puts the modules into a folder. */
export async function stageModules(root: string, folder: string): Promise<void> {
  await copy(`${root}/lib`, `${folder}/lib`);
  await Deno.writeTextFile(`${folder}/main.js`, withoutTypes(await Deno.readTextFile(`${root}/main.ts`)));
  const modules = (await filesBelow(`${folder}/lib`)).filter((path) => path.endsWith(".js"));
  const sources = await Promise.all(modules.map((path) => Deno.readTextFile(path)));
  const config = await Deno.readTextFile(`${root}/deno.json`);
  await Deno.writeTextFile(`${folder}/deno.json`, programConfig(config, sources.join("\n")));
  const { success } = await new Deno.Command("cp", {
    args: ["-R", `${root}/vendor`, `${folder}/vendor`],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot copy ${root}/vendor to ${folder}`);
}

/** Removes files of packages that the program does not load, and puts all licenses into one file. */
export async function leaveOutOfPackages(folder: string): Promise<void> {
  const licenses = new Map<string, string>();
  for (const path of (await filesBelow(`${folder}/node_modules`)).sort()) {
    const name = PACKAGED.exec(path.slice(folder.length))?.[1];
    if (name === undefined || LOADED.test(path) && !OLDER.test(path)) continue;
    if (LICENSE.test(path)) licenses.set(name, (licenses.get(name) ?? "") + await Deno.readTextFile(path));
    await Deno.remove(path);
  }
  await Deno.writeTextFile(`${folder}/${LICENSES}`, JSON.stringify(Object.fromEntries(licenses)));
}

async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    if (isDirectory) files.push(...await filesBelow(`${folder}/${name}`));
    else if (isFile) files.push(`${folder}/${name}`);
  }
  return files;
}
