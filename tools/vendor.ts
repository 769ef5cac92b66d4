/**
 * Lays the stand-ins of `offline/` out under `vendor/`, for build hosts that cannot reach JSR.
 *
 *     deno run --no-config -A tools/vendor.ts [--if-unreachable[=MS]]
 *
 * `deno.json` says `"vendor": true`, so Deno looks for `jsr:@std/NAME@VERSION` in `vendor/jsr.io/@std/NAME/` before it
 * asks JSR. Each package that is not there already gets what JSR would have answered: `meta.json`,
 * `VERSION_meta.json` (exports, and a manifest with checksums) and `VERSION/` with the modules. With `--if-unreachable`
 * nothing is done where JSR answers, within 3 s or that many ms. `denow` calls this; nothing of `@std` can be imported here.
 */

/** What Deno calls the folder of a registry: its host. */
const DEFAULT_FOLDER = "vendor/jsr.io";
/** Lists the packages in `vendor/` that are stand-ins. */
const STAMP = "vendor/.stand-ins";
/** How long JSR may take to answer before it counts as unreachable. */
const PROBE_TIMEOUT_MS = 3000;

export interface Package {
  /** The name without its scope. */
  readonly name: string;
  readonly version: string;
}

/** What `VERSION_meta.json` holds. */
export interface VersionMeta {
  manifest: Record<string, { size: number; checksum: string }>;
  exports: Record<string, string>;
}

/** The packages of `@std` that a `deno.json` imports, with their exact versions. */
export function packagesOf(config: { imports?: Record<string, string> }): Package[] {
  return Object.values(config.imports ?? {}).flatMap((specifier) => {
    const match = /^jsr:@std\/([a-z-]+)@(\d+\.\d+\.\d+)$/.exec(specifier);
    if (match) return [{ name: match[1], version: match[2] }];
    if (!specifier.startsWith("jsr:")) return [];
    throw new Error(`Cannot vendor ${specifier}: only @std packages of an exact version have stand-ins`);
  });
}

/** Where JSR is, and the folder that Deno vendors its modules to. */
export function registry(): { url: string; folder: string } {
  const url = Deno.env.get("JSR_URL") ?? `https://${DEFAULT_FOLDER.split("/")[1]}`;
  const { protocol, host } = new URL(url);
  return { url, folder: `vendor/${protocol === "http:" ? "http_" : ""}${host.replace(":", "_")}` };
}

/**
 * Lays out what is missing or older than its stand-in, and returns the packages that `vendor/` now has as stand-ins.
 * Files are replaced one by one and a package's `VERSION_meta.json` comes last, so a reader never sees half of one.
 */
export async function layOut(
  root: string,
  packages: readonly Package[],
  folder: string = registry().folder,
): Promise<string[]> {
  const standIns = new Set(await readStamp(root));
  for (const { name, version } of packages) {
    const target = `${root}/${folder}/@std/${name}`;
    const id = `${name}@${version}`;
    if (await exists(`${target}/${version}_meta.json`) && !standIns.has(id)) continue;
    standIns.add(id);
    const files = await modulesOf(`${root}/offline/${name}`);
    await Deno.mkdir(`${target}/${version}`, { recursive: true });
    const meta: VersionMeta = { manifest: {}, exports: {} };
    for (const [file, bytes] of files) {
      await replace(`${target}/${version}/${file}`, bytes);
      meta.manifest[`/${file}`] = { size: bytes.length, checksum: `sha256-${await sha256(bytes)}` };
      if (!file.startsWith("_")) meta.exports[exportOf(file)] = `./${file}`;
    }
    await replaceJson(`${target}/meta.json`, {
      scope: "std",
      name,
      latest: version,
      versions: { [version]: {} },
    });
    await replaceJson(`${target}/${version}_meta.json`, meta);
  }
  await Deno.mkdir(`${root}/vendor`, { recursive: true });
  await replace(`${root}/${STAMP}`, new TextEncoder().encode([...standIns].join("\n") + "\n"));
  return [...standIns];
}

/** `mod.ts` is the package itself, `parse_args.ts` its `./parse-args`. */
function exportOf(file: string): string {
  return file === "mod.ts" ? "." : `./${file.replace(/\.ts$/, "").replaceAll("_", "-")}`;
}

async function modulesOf(folder: string): Promise<[file: string, bytes: Uint8Array<ArrayBuffer>][]> {
  if (!await exists(`${folder}/mod.ts`)) throw new Error(`There is no stand-in ${folder}/mod.ts`);
  const names = (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
  const modules = names.filter((name) => name.endsWith(".ts")).sort();
  return await Promise.all(
    modules.map(async (name): Promise<[string, Uint8Array<ArrayBuffer>]> => [
      name,
      await Deno.readFile(`${folder}/${name}`),
    ]),
  );
}

async function readStamp(root: string): Promise<string[]> {
  try {
    return (await Deno.readTextFile(`${root}/${STAMP}`)).split("\n").filter(Boolean);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${Deno.pid}`;
  await Deno.writeFile(temporary, bytes);
  await Deno.rename(temporary, path);
}

function replaceJson(path: string, value: unknown): Promise<void> {
  return replace(path, new TextEncoder().encode(JSON.stringify(value, null, 2) + "\n"));
}

async function isReachable(url: string, timeoutMs: number): Promise<boolean> {
  try {
    const response = await fetch(`${url.replace(/\/$/, "")}/@std/async/meta.json`, {
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function main(root: string, args: readonly string[]): Promise<void> {
  const packages = packagesOf(JSON.parse(await Deno.readTextFile(`${root}/deno.json`)));
  await Deno.mkdir(`${root}/.deno`, { recursive: true });
  // One at a time; the system gives the lock back even if the process is killed.
  using lock = await Deno.open(`${root}/.deno/vendor.lock`, { write: true, create: true });
  await lock.lock(true);
  const had = await readStamp(root);
  const unless = args.map((arg) => /^--if-unreachable(?:=(\d+))?$/.exec(arg)).find((match) => match);
  const timeoutMs = Number(unless?.[1] ?? PROBE_TIMEOUT_MS);
  if (unless && had.length === 0 && await isReachable(registry().url, timeoutMs)) return;
  const standIns = await layOut(root, packages);
  if (standIns.join() !== had.join()) {
    console.error(
      "JSR is not reachable: using the stand-ins of offline/ for @std (remove vendor/ to try JSR again)",
    );
  }
}

if (import.meta.main) await main(`${import.meta.dirname}/..`, Deno.args);
