/** Hostile sessions against a whole server: see tools/fuzz.ts, which does the same for longer. */
import assert from "node:assert/strict";
import { fuzz } from "../../tools/fuzz/run.ts";
import { cases } from "../kit/bytes.ts";
import { linux, needs, openssl } from "../kit/needs.ts";

Deno.test({
  name:
    "8,000 malformed messages neither end a server nor make it grow, put no raw bytes into its log, and cost other clients no point",
  ...needs(linux, openssl),
  async fn() {
    const said: string[] = [];
    const result = await fuzz({ cases: cases(8000), seed: 1, say: (line) => void said.push(line) });
    assert.deepEqual(result.findings, [], said.join("\n"));
    assert.ok(result.points > 100 && result.connections > 1000, JSON.stringify(result));
    assert.ok(result.peakBytes < 500 * 2 ** 20, `${result.peakBytes} bytes`);
  },
});
