import assert from "node:assert/strict";
import { config } from "../../lib/server/config.ts";
import { connectionsFor, warnOfFewDescriptors } from "../../lib/server/settings.ts";
import { LogLines } from "../kit/log_lines.ts";

function settings(connections: number | undefined, cert = "") {
  const defaults = config.defaultValue();
  return { limits: { ...defaults.limits, connections }, tls: { ...defaults.tls, cert } };
}

const many = { limit: 524_288, used: 20 };
const few = { limit: 1000, used: 20 };

Deno.test("limits.connections is 10,000 unless the limit of open files allows fewer", () => {
  const most = (connections: number | undefined, cert: string, open: typeof few | null) =>
    connectionsFor(settings(connections, cert), open).maxConnections;
  assert.equal(most(undefined, "", many), 10_000);
  assert.equal(most(undefined, "", few), 880);
  assert.equal(most(undefined, "c.pem", few), 293, "with TLS a connection takes three");
  assert.equal(most(500, "", few), 500);
  assert.equal(most(5000, "", few), 880);
  assert.equal(most(20_000, "", many), 20_000);
  assert.equal(most(undefined, "", null), 10_000);
});

Deno.test("a limit of open files that is too low is logged, as a warning where more was asked for", () => {
  for (
    const [connections, open, pattern] of [
      [undefined, few, /^INFO .*fewer connections.*connections=880 wanted=10000 open_files=1000/],
      [5000, few, /^WARN .*fewer connections.*connections=880 wanted=5000/],
      [800, few, null],
      [undefined, many, null],
      [undefined, null, null],
    ] as const
  ) {
    const logs = new LogLines();
    warnOfFewDescriptors(settings(connections), open, logs.log);
    if (pattern) assert.match(logs.lines.join(""), pattern);
    else assert.deepEqual(logs.lines, []);
  }
});
