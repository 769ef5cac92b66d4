/** The program run with fake plugins and a fake agent. */
import assert from "node:assert/strict";
import type { AgentSettings } from "../../lib/agent/settings.ts";
import { main, type Surroundings } from "../../lib/cli.ts";
import type { Logger } from "../../lib/base/log.ts";
import type { Plugin } from "../../lib/plugin.ts";
import type { Reload } from "../../lib/service.ts";
import { duration, optional, table, text } from "../../lib/schema.ts";

const doc = "A key.";
const fake = (kind: Plugin["kind"], name: string, config: Plugin["config"], facts = {}) =>
  ({ kind, name, description: `Is the ${name}.`, config, ...facts }) as unknown as Plugin;
const PLUGINS: readonly Plugin[] = [
  fake("input", "procfs", table({ poll_interval: duration({ doc, default: "5s" }) }, { doc }), {
    isLocal: true,
  }),
  fake("input", "relay-server", table({ address: text({ doc, default: "[::]:50051" }) }, { doc }), {
    receives: true,
  }),
  fake(
    "output",
    "relay-client",
    table({
      relay_server: text({ doc, default: "[::1]:50051" }),
      token: optional(text({ doc, default: "", secret: true })),
    }, { doc }),
    { sends: true },
  ),
  fake("output", "csv", table({ output_path: text({ doc, default: "alumet-output.csv" }) }, { doc })),
  fake("output", "sqlite", table({ path: text({ doc, default: "" }) }, { doc })),
];

export interface Outcome {
  code: number;
  out: string;
  err: string;
  settings?: AgentSettings;
  log?: Logger;
  reload?: Reload;
}

interface Setting {
  files?: Record<string, string>;
  variables?: Record<string, string>;
  /** Looks at the directory afterwards. */
  after?: () => void;
  /** Standard error is the journal of systemd. @default {false} */
  journal?: boolean;
  /** Is called in the place of the agent. */
  whileRunning?: (outcome: Outcome) => Promise<void>;
}

/** Runs the program in a directory of its own, with fake plugins and a fake agent. */
export async function run(
  args: string[],
  { files = {}, variables = {}, after, journal = false, whileRunning }: Setting = {},
): Promise<Outcome> {
  const outcome: Outcome = { code: -1, out: "", err: "" };
  const surroundings: Surroundings = {
    stdout: (text) => outcome.out += text,
    stderr: (text) => outcome.err += text,
    color: () => false,
    terminal: () => false,
    stdin: () => Promise.resolve(new Uint8Array()),
    journal: () => journal,
    queueStderr: () => {},
    takeLostLines: () => 0,
    env: (name) => variables[name],
    services: () => [],
    plugins: () => Promise.resolve(PLUGINS),
    run: async (settings, log, reload) => {
      Object.assign(outcome, { settings, log, reload });
      await whileRunning?.(outcome);
      return 7;
    },
  };
  const directory = await Deno.makeTempDir();
  const before = Deno.cwd();
  Deno.chdir(directory);
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(name, text);
    outcome.code = await main(args, surroundings);
    after?.();
  } finally {
    Deno.chdir(before);
    await Deno.remove(directory, { recursive: true });
  }
  return outcome;
}

export async function usageError(args: string[], ...lines: (string | RegExp)[]): Promise<void> {
  const { code, out, err, settings } = await run(args);
  assert.equal(code, 64, `${args.join(" ")}: ${err}`);
  assert.equal(out, "");
  assert.equal(settings, undefined);
  const actual = err.trimEnd().split("\n");
  assert.equal(actual.pop(), "Type alumet-relay --help for all commands and flags.");
  assert.equal(actual.length, lines.length, err);
  lines.forEach((line, i) =>
    typeof line === "string" ? assert.equal(actual[i], line) : assert.match(actual[i], line)
  );
}

export const names = ({ settings }: Outcome) => settings?.plugins.map(({ plugin }) => plugin.name);
