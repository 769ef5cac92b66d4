/** Made-up plugins, and configurations of them. */
import assert from "node:assert/strict";
import { type ConfigOptions, type Configuration, loadConfig } from "../../lib/config.ts";
import { general } from "../../lib/config/general.ts";
import { ExitError } from "../../lib/base/errors.ts";
import type { Plugin } from "../../lib/plugin.ts";
import {
  choice,
  duration,
  flag,
  type Infer,
  integer,
  list,
  optional,
  table,
  tables,
  text,
} from "../../lib/schema.ts";

const doc = "A key.";
const open = () => Promise.reject(new Error("not opened in this test"));
const address = (value: string) => value.includes(":") ? undefined : "it has no port";

const fake = (kind: Plugin["kind"], name: string, config: Plugin["config"], facts = {}) =>
  ({ kind, name, description: `The ${name}`, config, open, ...facts }) as unknown as Plugin;

export const plugins: readonly Plugin[] = [
  fake(
    "input",
    "procfs",
    table({
      kernel: table({
        enabled: flag({ doc, default: true }),
        poll_interval: duration({ doc, default: "5s", min: "1ms" }),
      }, { doc }),
      groups: tables(
        table({
          pid: optional(integer({ doc, default: 1 })),
          mode: choice(["quick", "slow"], { doc, default: "quick" }),
        }, { doc }),
        { doc, default: [{ pid: undefined, mode: "quick" }] },
      ),
    }, { doc }),
    { isLocal: true },
  ),
  fake(
    "input",
    "relay-server",
    table({ address: text({ doc, default: "[::]:50051", check: address }) }, { doc }),
    { receives: true },
  ),
  fake(
    "transform",
    "filter",
    table({ include: list(text({ doc, default: "" }), { doc, default: [] }) }, { doc }),
  ),
  fake(
    "output",
    "relay-client",
    table({
      client_name: text({ doc, default: () => "this-host", defaultDoc: "the name of this host" }),
      relay_server: text({ doc, default: "[::1]:50051", check: address }),
      buffer_max_length: integer({ doc, default: 4096, min: 0, max: 30_000_000 }),
      buffer_timeout: duration({ doc, default: "30s" }),
      token: optional(text({ doc, default: "", secret: true })),
      retry: table({ max_times: integer({ doc, default: 8 }), max_delay: duration({ doc, default: "4s" }) }, {
        doc,
      }),
    }, { doc }),
    { sends: true },
  ),
  fake(
    "output",
    "csv",
    table({
      output_path: text({ doc, default: "alumet-output.csv" }),
      force_flush: flag({ doc, default: true }),
    }, { doc }),
  ),
  fake("output", "sqlite", table({ path: text({ doc, default: "" }) }, { doc })),
];

export type Options = Partial<ConfigOptions<typeof general>> & { variables?: Record<string, string> };
export type Loaded = Configuration<Infer<typeof general>>;

/** Loads a configuration whose file has this text (`undefined`: there is no file). */
export function load(toml: string | undefined, options: Options = {}): Loaded {
  const directory = Deno.makeTempDirSync();
  const before = Deno.cwd();
  Deno.chdir(directory);
  try {
    if (toml !== undefined) Deno.writeTextFileSync("alumet-config.toml", toml);
    return loadConfig({ plugins, general, env: (name) => options.variables?.[name], ...options });
  } finally {
    Deno.chdir(before);
    Deno.removeSync(directory, { recursive: true });
  }
}

export function failure(toml: string | undefined, options: Options = {}): ExitError {
  try {
    load(toml, options);
  } catch (error) {
    if (error instanceof ExitError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: "no error" });
}

/** The lines of the error, with the exit code. */
export function refuses(
  toml: string | undefined,
  options: Options,
  exitCode: number,
  ...lines: (string | RegExp)[]
): void {
  const error = failure(toml, options);
  const actual = error.message.split("\n");
  assert.equal(error.exitCode, exitCode, error.message);
  assert.equal(actual.length, lines.length, error.message);
  lines.forEach((line, i) => {
    if (typeof line === "string") assert.equal(actual[i], line);
    else assert.match(actual[i], line);
  });
}

export const names = (config: Loaded) => config.plugins.map(({ plugin }) => plugin.name);
export const configOf = (config: Loaded, name: string) =>
  // deno-lint-ignore no-explicit-any
  config.plugins.find(({ plugin }) => plugin.name === name)?.config as any;
export const CLIENT = "[plugins.procfs]\n[plugins.relay-client]\n";
export const bad = (toml: string, ...lines: (string | RegExp)[]) =>
  refuses(
    toml,
    {},
    78,
    ...lines.map((line) => typeof line === "string" ? `Cannot read alumet-config.toml:${line}` : line),
  );
