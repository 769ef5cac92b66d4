/** Transforms in a server, over the points of its clients. */
import assert from "node:assert/strict";
import { framesOf, testdata, testdataText } from "../kit/bytes.ts";
import { Peer } from "../kit/peer.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, until } from "../kit/waiting.ts";
import { measurementFrame } from "../kit/wire.ts";
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

Deno.test("a server attributes the energy of a real agent, as the agent would", async () => {
  await using dir = new TempDir();
  const file = dir.file("measures.csv");
  const { metrics, polls } = JSON.parse(testdataText("transforms/attribution/input.json"));
  const config = testdataText("transforms/attribution/config.toml");
  const sections = /(\[plugins\.energy-attribution[^]*?)\n\[plugins\.csv\]/.exec(config)![1];
  await Deno.writeTextFile(dir.file("c.toml"), `[plugins.relay-server]\n[plugins.csv]\n${sections}`);
  const args = ["--config", dir.file("c.toml")];
  await using server = await startServer(file, { args, env: { XDG_STATE_HOME: dir.file("state") } });
  const ids = new Map<string, number>(metrics.map(({ name }: { name: string }, id: number) => [name, id]));
  await using peer = await Peer.client(
    portOf(server),
    "agent",
    metrics.map(({ name, type, unit }: { name: string; type: "f64"; unit: string }, id: number) => ({
      id,
      name,
      type,
      unit: { base: unit, prefix: "" },
    })),
  );
  for (const poll of polls) {
    await peer.send(measurementFrame(
      "agent",
      poll.map(({ m, t: [seconds, nanos], v, rk, ri, ck, ci, a = {} }: Poll) => ({
        metric: ids.get(m)!,
        value: v,
        seconds,
        nanos,
        resourceKind: rk,
        resourceId: ri,
        consumerKind: ck,
        consumerId: ci,
        attributes: Object.entries(a),
      })),
    ));
  }
  const [, ...expected] = testdataText("transforms/attribution/expected.csv").trimEnd().split("\n");
  const stored = () => Deno.readTextFileSync(file).trimEnd().split("\n").slice(1);
  await until(() => stored().length >= expected.length, PATIENCE_MS);
  assert.equal(await server.stop(), 0);
  // Without attributes, of which the server has one more; values to 12 digits.
  const inWords = (row: string) => {
    const [metric, time, value, ...rest] = row.split(";");
    return [metric, time, Number(value).toPrecision(12), ...rest.slice(0, 4)].join(";");
  };
  assert.deepEqual(stored().map(inWords).sort(), expected.map(inWords).sort());
});

interface Poll {
  m: string;
  t: [seconds: number, nanos: number];
  v: number;
  rk?: string;
  ri?: string;
  ck?: string;
  ci?: string;
  a?: Record<string, string>;
}
