/** `alumet-relay systemd-unit`: a unit with which systemd runs this program with the same flags. */
import { isAbsolute, resolve } from "node:path";
import type { Configuration } from "../config.ts";
import { isRelay } from "../plugin.ts";
import type { Surroundings } from "./world.ts";
import { EXIT, ExitError } from "../base/errors.ts";
import {
  PACKAGE_USER_FILE,
  serviceUnit,
  socketUnit,
  UNIT_KINDS,
  type UnitKind,
  unitName,
  type UnitRole,
} from "../systemd/unit.ts";
import { didYouMean } from "../base/suggest.ts";
import { FLAGS, PROGRAM } from "./declarations.ts";
import { load } from "./loading.ts";
import type { CommandLine } from "./parse.ts";

/** Where packages put the program. */
export const INSTALLED_PROGRAM = "/usr/bin/alumet-relay";

/** Prints a unit. @throws {ExitError} 64 if something cannot work in it. */
export async function systemdUnit(line: CommandLine, world: Surroundings): Promise<number> {
  const kind = unitKind(line);
  const { config } = await load(line, { ...world, env: unitEnvironment(kind, world.env) });
  for (const note of config.notes) world.stderr(`Note: ${note}\n`);
  const text = unitText(kind, line, config, {
    cwd: Deno.cwd(),
    program: installedProgram(),
    packaged: await isInstalled(),
  });
  if (kind === "socket") await requireActivation();
  world.stdout(text);
  return EXIT.ok;
}

/** The path of this program; the installed one if it runs from its sources. */
function installedProgram(): string {
  return Deno.build.standalone ? Deno.execPath() : INSTALLED_PROGRAM;
}

async function isInstalled(): Promise<boolean> {
  return await Deno.stat(PACKAGE_USER_FILE).then(() => true, () => false);
}

/** @throws {ExitError} 69 if this program cannot take a socket from systemd. */
async function requireActivation(): Promise<void> {
  const { canAdopt } = await import("../net/activation.ts");
  if (await canAdopt()) return;
  throw new ExitError(
    EXIT.unavailable,
    `Cannot print a unit for a socket: this program was compiled with Deno ${Deno.version.deno}, which cannot take one ` +
      "from systemd; without the unit the server opens its port itself",
  );
}

/** Directories that are hidden from the unit's process. */
const HIDDEN = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/** The unit to print. @throws {ExitError} 64 if the argument does not name one. */
function unitKind(line: CommandLine): UnitKind {
  const word = line.argument;
  if (word !== undefined && (UNIT_KINDS as readonly string[]).includes(word)) return word as UnitKind;
  throw new ExitError(
    EXIT.usage,
    word === undefined
      ? `Name the unit: ${UNIT_KINDS.map((kind) => `${PROGRAM} systemd-unit ${kind}`).join(" or ")}`
      : `Cannot print a unit for ${word}: expected ${UNIT_KINDS.join(", ")}${didYouMean(word, UNIT_KINDS)}`,
  );
}

/** The environment of the unit's process, as far as a configuration may use it. */
function unitEnvironment(kind: UnitKind, env: Surroundings["env"]): Surroundings["env"] {
  const name = unitName(kind);
  const given: Record<string, string> = {
    CREDENTIALS_DIRECTORY: `/run/credentials/${name}.service`,
    STATE_DIRECTORY: `/var/lib/${name}`,
    RUNTIME_DIRECTORY: `/run/${name}`,
    CONFIGURATION_DIRECTORY: "/etc/alumet-relay",
  };
  return (variable) => given[variable] ?? env(variable);
}

/** Where the command runs, and what it finds there. */
interface Place {
  /** The directory that relative paths of the command line refer to. */
  readonly cwd: string;
  /** The executable. */
  readonly program: string;
  /** The package is installed. */
  readonly packaged: boolean;
}

/**
 * The text of the unit.
 *
 * @param config The valid configuration that the flags select.
 * @throws {ExitError} 64 if something cannot work in it.
 */
function unitText(
  kind: UnitKind,
  line: CommandLine,
  config: Configuration<unknown>,
  { cwd, program, packaged }: Place,
): string {
  const role: UnitRole = kind === "socket" ? "server" : kind;
  const [end, needs, flag] = role === "client"
    ? ["output", "no output sends to a server", "--relay-out HOST:PORT"]
    : ["input", "no input receives from clients", "--relay-in ADDRESS"];
  const relay = config.plugins.find(({ plugin }) => plugin.kind === end && isRelay(plugin));
  if (!relay) {
    throw new ExitError(
      EXIT.usage,
      `Cannot print a unit for a ${role}: ${needs} with these flags; add ${flag}, or --config PATH`,
    );
  }
  if (kind === "socket") return socketUnit(relay.plugin.listens!(relay.config)!, packaged);
  const ports = config.plugins.map(({ plugin, config }) => plugin.listens?.(config)?.port ?? 0);
  visible("the program", program);
  const file = config.file && visible("--config", resolve(cwd, config.file));
  const args = runArguments(line, file);
  return serviceUnit({
    role,
    program,
    args,
    checkArgs: ["config", "check", ...withoutLog(args)],
    measures: config.plugins.some(({ plugin }) => plugin.isLocal),
    capabilities: config.plugins.flatMap(({ plugin, config }) =>
      (plugin.capabilities?.(config) ?? []).map((capability) => ({ plugin: plugin.name, ...capability }))
    ),
    realTime: config.plugins.filter(({ plugin, config }) => plugin.needsRealTime?.(config)).map((
      { plugin },
    ) => plugin.name),
    devices: config.plugins.flatMap(({ plugin }) =>
      (plugin.devices ?? []).map((devices) => ({ plugin: plugin.name, ...devices }))
    ),
    packaged,
    lowPort: ports.some((port) => port > 0 && port < 1024),
  });
}

function visible(what: string, path: string): string {
  const hidden = HIDDEN.find((directory) => path.startsWith(`${directory}/`));
  if (!hidden) return path;
  throw new ExitError(
    EXIT.usage,
    `Cannot use ${what} ${path} in a unit: ${hidden} is hidden from its process; copy it to ${
      what === "--config" ? "/etc/alumet-relay/" : "/usr/local/bin/"
    } and name the copy`,
  );
}

/** The flags of `run` as given, with the absolute path of the file. */
function runArguments(line: CommandLine, file: string | undefined): string[] {
  const args = file ? ["--config", file] : [];
  if (line.value("state-dir") !== undefined) {
    throw new ExitError(
      EXIT.usage,
      "Cannot use --state-dir in a unit: its state is in /var/lib/alumet-relay-client or -server; leave the flag out",
    );
  }
  const output = line.value("output-file");
  if (output !== undefined && isAbsolute(output)) {
    throw new ExitError(
      EXIT.usage,
      `Cannot use --output-file ${output} in a unit: its process can only write below /var/lib/${
        unitName("server")
      }; give a relative path, which refers to that directory`,
    );
  }
  for (const { name, value, commands } of FLAGS) {
    if (commands || name === "config" || name === "help" || name === "version") continue;
    if (value === undefined) args.push(...(line.has(name) ? [`--${name}`] : []));
    else for (const given of line.values(name)) args.push(`--${name}`, given);
  }
  return args;
}

/** Without the flags for the log: `config check` writes to whoever reloads. */
function withoutLog(args: readonly string[]): string[] {
  return args.filter((_, i) => !args[i].startsWith("--log-") && !(args[i - 1] ?? "").startsWith("--log-"));
}
