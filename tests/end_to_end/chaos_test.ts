/** A short run of the tool that kills, cuts, fills and damages (tools/chaos.ts); long ones are in docs/delivery.md. */
import assert from "node:assert/strict";
import { linux, needs, program } from "../kit/needs.ts";

const TOOL = new URL("../../tools/chaos.ts", import.meta.url).pathname;

async function chaos(...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", TOOL, ...flags],
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, text);
  return text;
}

/** And as many flipped bits, where there are some. */
const LEAST_KILLS = 3;

interface Run {
  readonly name: string;
  readonly output: string;
  readonly kind: string;
  readonly minutes: number;
  readonly leastFaults: number;
  readonly seed: number;
}

const RUNS: readonly Run[] = [
  {
    ...{ output: "csv", kind: "exact", minutes: 0.4, leastFaults: 14, seed: 1 },
    name: "client and server killed again and again, connections cut: csv has each point once",
  },
  {
    ...{ output: "sqlite", kind: "exact", minutes: 0.4, leastFaults: 14, seed: 2 },
    name: "client and server killed again and again, connections cut: sqlite has each point once",
  },
  {
    ...{ output: "sqlite", kind: "windows", minutes: 0.3, leastFaults: 12, seed: 3 },
    name:
      "client and server that aggregate and attribute killed again and again: each point is in one window, and each energy divided once",
  },
  {
    ...{ output: "csv", kind: "damage", minutes: 0.3, leastFaults: 14, seed: 77 },
    name:
      "with bits of their journals flipped, all that is missing is counted as damaged, and nothing is stored twice",
  },
];

for (const { name, output, kind, minutes, leastFaults, seed } of RUNS) {
  Deno.test({
    name,
    ...needs(linux, program("sqlite3", "sqlite3", "--version")),
    async fn() {
      const flags = {
        ...{ minutes, seed, output, kind },
        ...{ "least-faults": leastFaults, "least-kills": LEAST_KILLS },
      };
      const text = await chaos(
        ...Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, `${value}`]),
      );
      const [, kills, points, problems] = text.match(/ (\d+) kills, \d+ cuts, (\d+) points, (\d+) problems/)!;
      assert.equal(Number(problems), 0, text);
      assert.ok(Number(kills) >= LEAST_KILLS && Number(points) > 1000, text);
      if (kind === "damage") assert.ok(Number(/(\d+) flipped bit/.exec(text)![1]) >= LEAST_KILLS, text);
    },
  });
}
