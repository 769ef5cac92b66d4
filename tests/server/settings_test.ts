/** What a server makes of its settings and of the machine: connections, and the memory for frames. */
import assert from "node:assert/strict";
import { MetricRegistry, RegistryError } from "../../lib/points/registry.ts";
import type { Problem } from "../../lib/schema.ts";
import { ClientMetrics } from "../../lib/server/client_metrics.ts";
import { advise, config, type RelayServerConfig } from "../../lib/server/config.ts";
import { FrameBudget, largeFrameBytes, largestMessageBytes } from "../../lib/server/frame_budget.ts";
import { connectionsFor, limitsOf, warnOfFewDescriptors } from "../../lib/server/settings.ts";
import { MAX_BODY_BYTES } from "../../lib/wire/protocol.ts";
import { metricOf } from "../kit/decode.ts";
import { LogLines } from "../kit/log_lines.ts";

const MIB = 1024 ** 2;

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

Deno.test("large frames of all clients take a sixteenth of a small memory, and 64 MiB of a large one", () => {
  for (const [memory, most] of [[16, 1], [256, 16], [1008, 63], [1024, 64], [1040, 64], [65_536, 64]]) {
    assert.equal(largeFrameBytes(memory * MIB), most * MIB, `${memory} MiB`);
  }
});

Deno.test("a message takes a thirty-second of the memory, but 4 MiB at least and the protocol's limit at most", () => {
  for (const [memory, most] of [[32, 4], [128, 4], [160, 5], [256, 8]]) {
    assert.equal(largestMessageBytes(memory * MIB), most * MIB, `${memory} MiB`);
  }
  assert.equal(largestMessageBytes(65_536 * MIB), MAX_BODY_BYTES);
});

/** Takes bytes, and says in `order` when it has them. */
function take(budget: FrameBudget, bytes: number, order: number[]): void {
  void budget.take(bytes).then(() => order.push(bytes));
}

/** Lets everything run that waits for nothing. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

Deno.test("frames have memory at once while there is enough, to the last byte", async () => {
  const order: number[] = [];
  const budget = new FrameBudget(100);
  for (const bytes of [60, 40, 1]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [60, 40]);
  budget.give(1);
  await settle();
  assert.deepEqual(order, [60, 40, 1]);
});

Deno.test("frames wait for memory in order, and a small one does not pass a large one", async () => {
  const order: number[] = [];
  const budget = new FrameBudget(100);
  for (const bytes of [60, 50, 10, 5]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [60]);
  budget.give(9);
  await settle();
  assert.deepEqual(order, [60]);
  budget.give(51);
  await settle();
  assert.deepEqual(order, [60, 50, 10, 5]);
  take(budget, 36, order);
  await settle();
  assert.equal(order.length, 4);
  budget.give(1);
  await settle();
  assert.equal(order.length, 5);
});

Deno.test("a frame larger than all memory passes when it is alone, and gives back what it took", async () => {
  const order: number[] = [];
  const budget = new FrameBudget(100);
  for (const bytes of [1, 1000]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [1]);
  budget.give(1);
  await settle();
  assert.deepEqual(order, [1, 1000]);
  budget.give(1000);
  for (const bytes of [100, 2]) take(budget, bytes, order);
  await settle();
  assert.deepEqual(order, [1, 1000, 100]);
});

/** The configuration of a server with these keys, and what is wrong with them: where, and why. */
function read(values: Record<string, unknown>): { config: RelayServerConfig; problems: string[] } {
  const problems: string[] = [];
  const report = ({ path, message }: Problem) => problems.push(`${path.join(".")}: ${message}`);
  return { config: config.check(values, [], report) as RelayServerConfig, problems };
}

Deno.test("a network of one interface needs an address that names one", () => {
  const networks = ["10.0.0.0/8", "fe80::/10%eth0"];
  for (const key of ["allow", "deny", "without_token"]) {
    assert.match(
      read({ [key]: networks }).problems.join("\n"),
      new RegExp(
        `^${key}: .*cannot use fe80::/10%eth0: the interface of a peer is only known where address names one`,
      ),
    );
    assert.deepEqual(read({ [key]: networks, address: "[fe80::1%eth0]:50051" }).problems, []);
    assert.deepEqual(read({ [key]: ["10.0.0.0/8"] }).problems, []);
  }
});

Deno.test("a server is told what others could read or send", () => {
  const advice = (values: Record<string, unknown>) =>
    advise(read(values).config).map(({ path, problem }) => `${path.join(".")}: ${problem}`);
  const clear =
    "address: clients send in clear text, which others on the network can read: set tls.cert and tls.key";
  const everyone = "address: accepts measurements from everyone, under any name: set tokens or allow";
  const everywhere =
    "tls.mode: accepts clear text from everywhere: list the networks of clients without TLS in allow";
  const none = "tls.mode: has no effect: clients without TLS have no token, and without_token is empty";
  const all = (network: string) => `without_token: ${network} is every address: then tokens have no effect`;
  const tls = { cert: "c.pem", key: "k.pem" };
  const optional = { ...tls, mode: "optional" };
  const allow = ["10.0.0.0/8"];
  const tokens = "tokens";
  for (
    const [values, expected] of [
      [{}, [clear, everyone]],
      [{ allow }, [clear]],
      [{ tokens }, [clear]],
      [{ address: "127.0.0.1:1" }, []],
      [{ address: ":1" }, [clear, everyone]],
      [{ tls }, [everyone]],
      [{ tls, allow }, []],
      [{ tls, tokens }, []],
      [{ tls: { ...tls, client_ca: "ca.pem" } }, []],
      [{ tls: { ...optional, client_ca: "ca.pem" } }, [everywhere]],
      [{ tls: optional }, [everywhere, everyone]],
      [{ tls: optional, allow }, []],
      [{ tls: optional, tokens }, [none]],
      [{ tls: optional, tokens, allow }, [none]],
      [{ tls: optional, tokens, without_token: allow }, []],
      [{ tls, tokens, without_token: ["0.0.0.0/0", ...allow, "::/0"] }, [all("0.0.0.0/0"), all("::/0")]],
      [{ tls, allow, without_token: ["0.0.0.0/0"] }, []],
    ] as const
  ) assert.deepEqual(advice(values), expected, JSON.stringify(values));
});

Deno.test("the limits of a server are those of its configuration, and 0 is none where it may be", () => {
  const defaults = limitsOf(read({}).config);
  assert.deepEqual([defaults.idleMs, defaults.bytesPerSecond], [Infinity, Infinity]);
  const { config } = read({ limits: { idle_timeout: "2s", bytes_per_second: "1KiB", name_length: 7 } });
  const { idleMs, bytesPerSecond, maxNameBytes } = limitsOf(config);
  assert.deepEqual([idleMs, bytesPerSecond, maxNameBytes], [2000, 1024, 7]);
});

Deno.test("there is room for one connection, however few files may be open", () => {
  for (const cert of ["", "c.pem"]) {
    const { maxConnections, maxSockets } = connectionsFor(settings(undefined, cert), { limit: 20, used: 20 });
    assert.deepEqual([maxConnections, maxSockets], [1, 1]);
  }
});

Deno.test("a client defines as many metrics as it may, and none with a long name; those that are known do not count", () => {
  const registry = new MetricRegistry();
  const metrics = new ClientMetrics(registry, { maxMetrics: 2, maxNameBytes: 5 });
  const define = (name: string, client: string) => metrics.register({ ...metricOf(name) }, client);
  const one = define("one", "a");
  assert.equal(define("two", "a").name, "two");
  assert.equal(define("one", "a"), one);
  assert.throws(() => define("three", "a"), /Cannot register metric three: its client has defined 2 already/);
  assert.throws(() => define("longer", "b"), RegistryError);
  assert.equal(define("one", "b"), one);
  for (const name of ["three", "four"]) assert.equal(define(name, "b").name, name);
  assert.throws(() => define("five", "b"), /its client has defined 2 already/);
});
