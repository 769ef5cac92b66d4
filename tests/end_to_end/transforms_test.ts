/** Transforms in a server, over the points of its clients. */
import assert from "node:assert/strict";
import { framesOf, testdata, testdataText } from "../kit/bytes.ts";
import { Peer } from "../kit/peer.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";
import { portOf, startServer } from "./relay.ts";

Deno.test("a server filters what a real agent sends, in what it stores alone", async () => {
  await using dir = new TempDir();
  const file = dir.file("measures.csv");
  const [header, ...rows] = testdataText("sessions/real-agent/expected.csv").trimEnd().split("\n");
  const expected = rows.filter((row) => /^(mem|swap)_|^cpu_percent_/.test(row));
  assert.ok(expected.length > 0 && expected.length < rows.length);
  const args = ["--config-override", 'plugins.filter.include=["mem_*", "swap_*", "cpu_percent"]'];
  await using server = await startServer(file, { args, env: { XDG_STATE_HOME: dir.file("state") } });
  await using peer = await Peer.connect(portOf(server));
  for (const frame of framesOf(testdata("sessions/real-agent/client-0.bin"))) await peer.send(frame);
  const stored = () => Deno.readTextFileSync(file).trimEnd().split("\n");
  await until(() => stored().length > expected.length, PATIENCE_MS);
  assert.equal(await server.stop(), 0);
  // The columns of attributes are those of the first message, and of what is left of it.
  const columns = (line: string) => line.split(";").slice(0, 7).join(";");
  assert.deepEqual(stored().map(columns), [header, ...expected].map(columns));
  const [{ filtered_points }] = server.matching(/Summary/).filter(({ part }) => part === "filter");
  assert.equal(Number(filtered_points), rows.length - expected.length);
});
