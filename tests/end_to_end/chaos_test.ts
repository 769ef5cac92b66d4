/** A short run of the tool that kills, cuts, fills and damages (tools/chaos.ts); long ones are in docs/delivery.md. */
import assert from "node:assert/strict";
import { linux, needs, program } from "../kit/process.ts";

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

for (const [output, seed] of [["csv", 1], ["sqlite", 2]] as const) {
  Deno.test({
    name: `client and server killed again and again, connections cut: ${output} has each point once`,
    ...needs(linux, program("sqlite3", "sqlite3", "--version")),
    async fn() {
      const text = await chaos(
        "--minutes",
        "0.6",
        "--seed",
        String(seed),
        "--output",
        output,
        "--kind",
        "exact",
      );
      const [, kills, points, problems] = text.match(/ (\d+) kills, \d+ cuts, (\d+) points, (\d+) problems/)!;
      assert.equal(Number(problems), 0, text);
      assert.ok(Number(kills) >= 3 && Number(points) > 1000, text);
    },
  });
}
