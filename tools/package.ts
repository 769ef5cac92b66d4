/**
 * Makes the packages: `deno task package [--binary PATH] [--output DIR] [--level 0-9]`.
 *
 * A Debian package, a tarball with the same files, and SHA256SUMS, in dist/. The program is compiled first, unless
 * `--binary` names one. The same program and the same `SOURCE_DATE_EPOCH` (by default the time of the last commit)
 * make the same bytes. `DEBFULLNAME` and `DEBEMAIL` say who the maintainer is.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { parseArgs } from "@std/cli/parse-args";
import denoConfig from "../deno.json" with { type: "json" };
import { main as program } from "../lib/cli.ts";
import { PACKAGE_USER_FILE } from "../lib/systemd/unit.ts";
import { PACKAGED_UNITS, PACKAGED_USER } from "./packaged_units.ts";

const ROOT = `${import.meta.dirname}/..`;
const NAME = "alumet-relay";
const UNIT_DIRECTORY = "usr/lib/systemd/system";

/** Names of processors: Deno's and the kernel's, then Debian's; by the machine number in an ELF file. */
const MACHINES: Readonly<Record<number, { kernel: string; debian: string }>> = {
  0x3e: { kernel: "x86_64", debian: "amd64" },
  0xb7: { kernel: "aarch64", debian: "arm64" },
};

interface PackagedFile {
  readonly content: Uint8Array<ArrayBuffer> | string;
  readonly executable?: boolean;
  /** An administrator edits it, and dpkg keeps that. */
  readonly isConffile?: boolean;
}

/** Files by their paths below /. */
type Files = Map<string, PackagedFile>;

async function run(command: string, args: string[], options: Deno.CommandOptions = {}): Promise<void> {
  const { success } = await new Deno.Command(command, { args, stdin: "null", ...options }).spawn().status;
  if (!success) throw new Error(`${command} ${args.join(" ")} failed: see above`);
}

/** What a command prints, or `undefined` where it fails. */
async function output(command: string, args: string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command(command, {
      args,
      cwd: ROOT,
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch {
    return undefined;
  }
}

async function printed(...args: string[]): Promise<string> {
  let text = "";
  const code = await program(args, { stdout: (part) => void (text += part), env: () => undefined });
  if (code !== 0) throw new Error(`${NAME} ${args.join(" ")}: exit code ${code}`);
  return text;
}

/** As small as gzip makes it, without a time. */
function gzip(content: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(content, { level: 9 }));
}

/** Which processor the program is for. */
function machineOf(binary: Uint8Array<ArrayBuffer>): { kernel: string; debian: string } {
  const isElf = new TextDecoder("latin1").decode(binary.subarray(0, 4)) === "\x7fELF";
  const machine = isElf ? MACHINES[new DataView(binary.buffer).getUint16(18, true)] : undefined;
  if (!machine) throw new Error("The program is not a Linux executable for x86_64 or aarch64");
  return machine;
}

async function filesOf(binary: Uint8Array<ArrayBuffer>, withSocket: boolean): Promise<Files> {
  const read = (path: string) => Deno.readTextFile(`${ROOT}/${path}`);
  const files: Files = new Map();
  files.set(`usr/bin/${NAME}`, { content: binary, executable: true });
  for (const role of ["client", "server"]) {
    const content = await read(`packaging/config/${role}.toml`);
    files.set(`etc/${NAME}/${role}.toml`, { content, isConffile: true });
  }
  for (const [unit, content] of Object.entries(PACKAGED_UNITS)) {
    if (withSocket || !unit.endsWith(".socket")) files.set(`${UNIT_DIRECTORY}/${unit}`, { content });
  }
  files.set(PACKAGE_USER_FILE.slice(1), { content: PACKAGED_USER });
  files.set(`usr/share/man/man1/${NAME}.1.gz`, { content: gzip(await printed("man")) });
  files.set(`usr/share/bash-completion/completions/${NAME}`, {
    content: await printed("completions", "bash"),
  });
  files.set(`usr/share/zsh/vendor-completions/_${NAME}`, { content: await printed("completions", "zsh") });
  files.set(`usr/share/fish/vendor_completions.d/${NAME}.fish`, {
    content: await printed("completions", "fish"),
  });
  const doc = `usr/share/doc/${NAME}`;
  files.set(`${doc}/copyright`, { content: await read("packaging/debian/copyright") });
  files.set(`${doc}/CHANGELOG.md`, { content: await read("CHANGELOG.md") });
  files.set(`${doc}/README.md`, { content: await read("README.md") });
  for (const path of await pathsIn("docs")) {
    files.set(`${doc}/${path}`, { content: await Deno.readFile(`${ROOT}/${path}`) });
  }
  files.set(`${doc}/examples/alumet-config.toml`, { content: await read("config.example.toml") });
  return new Map([...files].sort(([a], [b]) => a < b ? -1 : 1));
}

/** The files of a folder of the repository and of the folders in it. */
async function pathsIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${ROOT}/${folder}`)) {
    const path = `${folder}/${name}`;
    paths.push(...isDirectory ? await pathsIn(path) : [path]);
  }
  return paths;
}

/** Writes the files below a directory, all with one time. */
async function lay(files: Files, directory: string, epoch: number): Promise<void> {
  for (const [path, { content, executable }] of files) {
    const target = `${directory}/${path}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(target, typeof content === "string" ? new TextEncoder().encode(content) : content);
    await Deno.chmod(target, executable ? 0o755 : 0o644);
  }
  await settle(directory, epoch);
}

/** Gives everything in a directory the same time, and directories the usual mode. */
async function settle(directory: string, epoch: number): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    if (isDirectory) await settle(`${directory}/${name}`, epoch);
    else await Deno.utime(`${directory}/${name}`, epoch, epoch);
  }
  await Deno.chmod(directory, 0o755);
  await Deno.utime(directory, epoch, epoch);
}

interface Options {
  readonly files: Files;
  readonly epoch: number;
  readonly level: string;
  readonly machine: { kernel: string; debian: string };
  /** Where the packages go. */
  readonly output: string;
}

async function debianPackage({ files, epoch, level, machine, output }: Options): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "alumet-relay-package-" });
  try {
    const overrides = await Deno.readTextFile(`${ROOT}/packaging/debian/lintian-overrides`);
    const all: Files = new Map([...files, [`usr/share/lintian/overrides/${NAME}`, { content: overrides }]]);
    const units = [...files.keys()].filter((path) => path.startsWith(UNIT_DIRECTORY))
      .map((path) => path.slice(UNIT_DIRECTORY.length + 1));
    let size = 0;
    for (const { content } of all.values()) size += Math.ceil(content.length / 1024);
    const maintainer = `${Deno.env.get("DEBFULLNAME") || NAME} <${
      Deno.env.get("DEBEMAIL") || "dev@alumet-relay.invalid"
    }>`;
    const date = new Date(epoch * 1000).toUTCString().replace("GMT", "+0000");
    all.set(`usr/share/doc/${NAME}/changelog.gz`, {
      content: gzip(
        `${NAME} (${denoConfig.version}) unstable; urgency=medium\n\n` +
          `  * What is new stands in CHANGELOG.md.\n\n -- ${maintainer}  ${date}\n`,
      ),
    });
    all.set("DEBIAN/control", {
      content: [
        `Package: ${NAME}`,
        `Version: ${denoConfig.version}`,
        `Architecture: ${machine.debian}`,
        `Maintainer: ${maintainer}`,
        `Installed-Size: ${size}`,
        // What the runtime is linked with; tests/end_to_end/package_test.ts looks at it.
        "Depends: libc6 (>= 2.27), libgcc-s1",
        "Recommends: ca-certificates",
        "Section: admin",
        "Priority: optional",
        "Description: relay for energy and performance measurements",
        " Measures a machine, sends measurements over the network, receives, keeps and",
        " stores them: one program is client, server and hop of the relay protocol of",
        " Alumet, and reads its configuration file.",
        " .",
        " The package has a service for a client and one for a server. Neither is started",
        " by installing it.",
        "",
      ].join("\n"),
    });
    const conffiles = [...files].filter(([, { isConffile }]) => isConffile).map(([path]) => `/${path}\n`);
    all.set("DEBIAN/conffiles", { content: conffiles.join("") });
    const sums = [...all].filter(([path, { isConffile }]) => !path.startsWith("DEBIAN/") && !isConffile)
      .map(([path, { content }]) => `${createHash("md5").update(content).digest("hex")}  ${path}\n`);
    all.set("DEBIAN/md5sums", { content: sums.join("") });
    for (const script of ["postinst", "prerm", "postrm"]) {
      const content = await Deno.readTextFile(`${ROOT}/packaging/debian/${script}`);
      all.set(`DEBIAN/${script}`, {
        content: content.replaceAll("UNITS", units.join(" ")),
        executable: true,
      });
    }
    await lay(all, directory, epoch);
    const path = `${output}/${NAME}_${denoConfig.version}_${machine.debian}.deb`;
    // With one thread, so that it is the same on machines with more or fewer of them.
    await run("dpkg-deb", [
      ...["--root-owner-group", "-Zxz", `-z${level}`, "--threads-max=1"],
      ...["--build", directory, path],
    ], { env: { SOURCE_DATE_EPOCH: String(epoch) }, stdout: "null" });
    return path;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The same files, in a folder that may be put anywhere. */
async function tarball({ files, epoch, level, machine, output }: Options): Promise<string> {
  const parent = await Deno.makeTempDir({ prefix: "alumet-relay-package-" });
  const folder = `${NAME}-${denoConfig.version}`;
  const path = `${output}/${folder}-linux-${machine.kernel}.tar.gz`;
  try {
    await lay(
      new Map([...files].map(([path, file]) => [placeInTarball(path), file])),
      `${parent}/${folder}`,
      epoch,
    );
    await run("sh", [
      "-c",
      'tar --directory "$1" --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner "$2" |' +
      ' gzip --no-name "-$3" > "$4"',
      ...["sh", parent, folder, level === "0" ? "1" : level, path],
    ]);
    return path;
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

/** `usr/lib/systemd/system/x.service` → `systemd/x.service`. */
function placeInTarball(path: string): string {
  return path.replace(/^usr\/bin\//, "").replace(`${UNIT_DIRECTORY}/`, "systemd/")
    .replace(/^usr\/lib\/sysusers\.d\//, "systemd/sysusers.d/")
    .replace(`etc/${NAME}/`, "config/").replace(`usr/share/doc/${NAME}/`, "")
    .replace(/^usr\/share\/(man)\/man1\//, "$1/")
    .replace(/^usr\/share\/(bash|zsh|fish)[^/]*\/[^/]*\//, "completions/$1/");
}

export async function makePackages(options: {
  binary: string;
  output: string;
  level: string;
  epoch: number;
}): Promise<string[]> {
  const binary = await Deno.readFile(options.binary);
  const machine = machineOf(binary);
  // The socket only where the program could take it.
  const withSocket =
    await output(options.binary, ["systemd-unit", "socket", "--relay-in", "[::]:50051"]) !== undefined;
  await Deno.mkdir(options.output, { recursive: true });
  const made = { ...options, machine, files: await filesOf(binary, withSocket) };
  const paths = [await debianPackage(made), await tarball(made)];
  const sums = await Promise.all(paths.map(async (path) => {
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
    return `${new Uint8Array(digest).toHex()}  ${path.slice(path.lastIndexOf("/") + 1)}\n`;
  }));
  const sumsPath = `${options.output}/SHA256SUMS`;
  await Deno.writeTextFile(sumsPath, sums.join(""));
  return [...paths, sumsPath];
}

async function epochOf(): Promise<number> {
  const given = Deno.env.get("SOURCE_DATE_EPOCH") ?? await output("git", ["log", "-1", "--format=%ct"]);
  const epoch = Number(given?.trim() || NaN);
  if (!Number.isSafeInteger(epoch)) {
    throw new Error("Cannot find the time of the last commit: set SOURCE_DATE_EPOCH to seconds since 1970");
  }
  return epoch;
}

async function main(args: string[]): Promise<void> {
  const { binary, output, level } = parseArgs(args.filter((arg) => arg !== "--"), {
    string: ["binary", "output", "level"],
    default: { output: `${ROOT}/dist`, level: "6" },
    unknown: (arg) => {
      throw new SyntaxError(
        `Unknown option ${arg}: deno task package [--binary PATH] [--output DIR] [--level 0-9]`,
      );
    },
  });
  if (!/^[0-9]$/.test(level)) throw new SyntaxError(`Cannot use --level ${level}: expected 0 to 9`);
  if (!binary) await run(Deno.execPath(), ["run", "-A", `${ROOT}/tools/compile.ts`]);
  const paths = await makePackages({
    binary: binary ? fromCaller(binary) : `${ROOT}/dist/${NAME}`,
    output: fromCaller(output),
    level,
    epoch: await epochOf(),
  });
  for (const path of paths) {
    const { size } = await Deno.stat(path);
    console.error(
      `${path.replace(`${ROOT}/`, "")}: ${size < 1e5 ? `${size} B` : `${(size / 1e6).toFixed(1)} MB`}`,
    );
  }
}

/** Makes a path absolute: `deno task` runs this in the project's folder, wherever it was called. */
function fromCaller(path: string): string {
  return path.startsWith("/") ? path : `${Deno.env.get("INIT_CWD") ?? Deno.cwd()}/${path}`;
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(`package: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
