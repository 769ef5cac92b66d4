/** What a client makes of its configuration, of problems with TLS, and of what it has sent. */
import assert from "node:assert/strict";
import { advise, config, type RelayClientConfig, usesTls } from "../../lib/client/config.ts";
import { Outbox } from "../../lib/client/outbox.ts";
import { explainTls } from "../../lib/client/tls_problem.ts";
import type { BatchReader } from "../../lib/journal.ts";
import type { Problem } from "../../lib/schema.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { numbered } from "../kit/points.ts";

/** The configuration with these keys, and what is wrong with them: where, and why. */
function read(values: Record<string, unknown>): { config: RelayClientConfig; problems: string[] } {
  const problems: string[] = [];
  const report = ({ path, message }: Problem) => problems.push(`${path.join(".")}: ${message}`);
  return { config: config.check(values, [], report) as RelayClientConfig, problems };
}

const problemsOf = (values: Record<string, unknown>) => read(values).problems.join("\n");
const TLS = { ca: "ca.pem" };

Deno.test("a client's name is there and is not longer than servers take", () => {
  assert.match(problemsOf({ client_name: "" }), /^client_name: .*must not be empty/);
  assert.equal(problemsOf({ client_name: "é".repeat(127) }), "");
  assert.match(
    problemsOf({ client_name: "é".repeat(128) }),
    /^client_name: .*is too long: servers accept 255 bytes/,
  );
});

Deno.test("a certificate and its key belong together, and a token is a text or in a file", () => {
  const together = "is required: cert and key belong together";
  assert.ok(
    problemsOf({ tls: { cert: "c.pem" } }).startsWith("tls.key") &&
      problemsOf({ tls: { cert: "c.pem" } }).endsWith(together),
  );
  assert.ok(
    problemsOf({ tls: { key: "k.pem" } }).startsWith("tls.cert") &&
      problemsOf({ tls: { key: "k.pem" } }).endsWith(together),
  );
  assert.equal(problemsOf({ tls: { cert: "c.pem", key: "k.pem" } }), "");
  assert.match(problemsOf({ token: "t", token_file: "f" }), /^token_file.* cannot be combined with token/);
  for (const one of [{ token: "t" }, { token_file: "f" }]) assert.equal(problemsOf(one), "");
});

Deno.test("any key of tls switches TLS on, unless enable says otherwise", () => {
  const uses = (tls: Record<string, unknown>) => usesTls(read({ tls }).config.tls);
  for (const key of ["ca", "server_name"]) assert.ok(uses({ [key]: "x" }), key);
  assert.ok(uses({ enable: true }));
  assert.ok(!uses({}));
  assert.ok(!uses({ enable: false, ca: "x" }));
});

Deno.test("a client is told of each server that it sends to in clear text, and that its token is not sent", () => {
  const advice = (values: Record<string, unknown>) =>
    advise(read(values).config).map(({ path, problem }) => `${path.join(".")}: ${problem}`);
  const servers = ["192.0.2.1:1", "[::1]:1", "example.org:1", "127.0.0.1:1"];
  const clear = (server: string, loss = "") =>
    `relay_server: measurements are sent to ${server} in clear text, which others on the network can read and ` +
    `change${loss}: set tls.ca or tls.enable`;
  assert.deepEqual(advice({ relay_server: servers }), [clear("192.0.2.1:1"), clear("example.org:1")]);
  for (const token of [{ token: "t" }, { token_file: "f" }]) {
    const loss = " (the token is not sent that way)";
    assert.deepEqual(advice({ relay_server: "192.0.2.1:1", ...token }), [clear("192.0.2.1:1", loss)]);
  }
  assert.deepEqual(advice({ relay_server: servers, tls: TLS }), []);
  assert.deepEqual(advice({}), []);
});

Deno.test("what a TLS library says is explained with the key that mends it", () => {
  const keys = { ca: "tls.ca", serverName: "tls.server_name", cert: "tls.cert" };
  for (
    const [problem, meaning] of [
      [
        "invalid peer certificate: UnknownIssuer",
        /signed by an unknown CA \(tls\.ca names the known ones\)$/,
      ],
      ["SELF_SIGNED_CERT", /signed by an unknown CA/],
      ["invalid peer certificate: CaUsedAsEndEntity", /shows the certificate of a CA as its own/],
      ["invalid peer certificate: NotValidYet", /not valid yet: is the clock/],
      ["invalid peer certificate: InvalidPurpose", /extendedKeyUsage must have serverAuth/],
      ["invalid peer certificate: Expired", /has expired: invalid peer certificate: Expired$/],
      ["not valid for name x", /for another name \(tls\.server_name\): not valid for name x$/],
      ["received fatal alert: CertificateRequired", /wants a certificate of this client \(tls\.cert\): /],
      ["received corrupt message of type InvalidContentType", /does not speak TLS: /],
      ["something else", /^no TLS connection: something else$/],
    ] as const
  ) assert.match(explainTls(problem, keys), meaning);
});

/** A reader of batches with 1, 2, 3 … points, from position `position` on; it notes what is committed. */
function readerOf(position: number, count: number) {
  const committed: number[] = [];
  let left = count;
  const reader = {
    position,
    next(): Batch | undefined {
      if (left-- <= 0) return undefined;
      this.position++;
      return numbered(this.position - position);
    },
    commit: (count: number) => void committed.push(count),
  };
  return { reader: reader as unknown as BatchReader, committed };
}

Deno.test("parcels have the numbers of their batches, and are found by them until they are safe", () => {
  const { reader, committed } = readerOf(10, 4);
  const outbox = new Outbox(reader);
  const numbers = Array.from({ length: 5 }, () => outbox.take()?.sequence);
  assert.deepEqual(numbers, [12, 13, 14, 15, undefined]);
  assert.equal(outbox.points, 10);
  const after = (sequence: number) => outbox.after(sequence)?.sequence;
  assert.deepEqual([0, 11, 12, 13, 14, 15].map(after), [12, 12, 13, 14, 15, undefined]);
  const find = (sequence: number) => outbox.find(sequence)?.batch.length;
  assert.deepEqual([11, 12, 13, 14, 15, 16].map(find), [undefined, 1, 2, 3, 4, undefined]);
  assert.equal(outbox.commitUpTo(11), 0);
  assert.deepEqual(committed, []);
  assert.equal(outbox.commitUpTo(13), 3);
  assert.deepEqual([outbox.points, committed, after(0)], [7, [2], 14]);
  assert.equal(outbox.commit(1), 3);
  assert.equal(outbox.commitUpTo(100), 4);
  assert.deepEqual([outbox.points, committed, outbox.parcels], [0, [2, 1, 1], []]);
});
