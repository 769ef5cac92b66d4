/** Who may send: by address, by number, by token. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Admission, OPEN } from "../../lib/intake/admission/admission.ts";
import { makeToken, nameProblem, parseTokens, Tokens } from "../../lib/intake/admission/tokens.ts";
import { networkProblem, Networks } from "../../lib/net/networks.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";
import { TempDir } from "../kit/temp_dir.ts";

const { log } = new LogLines();

Deno.test("networks of both families match, also IPv4 in IPv6, and an interface matches only if it is known", () => {
  const networks = new Networks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "fe80::/10%eth0"]);
  const has = (hostname: string, scope?: string) => networks.has({ hostname, scope });
  for (const inside of ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.9.9.9"]) {
    assert.ok(has(inside), inside);
  }
  for (const outside of ["11.0.0.1", "192.0.2.8", "2001:db9::1", "::1"]) assert.ok(!has(outside), outside);
  assert.ok(has("fe80::1", "eth0"));
  assert.ok(!has("fe80::1", "eth1"));
  assert.ok(!has("fe80::1"));
  assert.equal(networkProblem("10.0.0.0/8"), undefined);
  for (
    const bad of [
      "10.0.0.0/33",
      "10.0.0",
      "fe80::/129",
      "x",
      "10.0.0.0/8%eth0",
      "",
      "::/0/0",
      "2001:db8::/32%1",
    ]
  ) {
    assert.notEqual(networkProblem(bad), undefined, bad);
  }
});

Deno.test("deny has priority over allow, and an empty allow accepts everyone", () => {
  const open = new Admission({ ...OPEN, deny: ["10.0.0.0/8"] }, log);
  assert.equal(open.arrived({ hostname: "192.0.2.1" }), undefined);
  assert.match(open.arrived({ hostname: "10.0.0.1" })!, /denied/);
  const some = new Admission({ ...OPEN, allow: ["10.0.0.0/8"], deny: ["10.6.0.0/16"] }, log);
  assert.equal(some.arrived({ hostname: "10.0.0.1" }), undefined);
  assert.match(some.arrived({ hostname: "10.6.0.1" })!, /denied/);
  assert.match(some.arrived({ hostname: "192.0.2.1" })!, /not allowed/);
});

Deno.test("connections are counted in total and per address, and closed ones make room", () => {
  const admission = new Admission({ ...OPEN, maxConnections: 3, maxConnectionsPerAddress: 2 }, log);
  const [a, b] = [{ hostname: "192.0.2.1" }, { hostname: "192.0.2.2" }];
  assert.equal(admission.arrived(a), undefined);
  assert.equal(admission.arrived(a), undefined);
  assert.match(admission.arrived(a)!, /2 connections of its address/);
  admission.left(a);
  assert.equal(admission.arrived(b), undefined);
  assert.match(admission.arrived(b)!, /3 connections already/);
  admission.left(b);
  admission.left(a);
  assert.equal(admission.arrived(a), undefined);
});

Deno.test("a token is valid for one name only; the file contains its hash, not the token", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const [a, b] = [makeToken("node-a", false), makeToken("hop", true)];
  await Deno.writeTextFile(path, `# who may send\n\n${a.line}\n${b.line}\n`);
  assert.ok(!a.line.includes(a.token.slice(8)));
  assert.ok(a.token.length > 40);
  const tokens = new Tokens(path, log, 0);
  assert.deepEqual(pick(tokens.check("node-a", a.token)), { name: "node-a", forward: false });
  assert.deepEqual(pick(tokens.check("hop", b.token)), { name: "hop", forward: true });
  assert.match(String(tokens.check("hop", a.token)), /not one of a client called hop/);
  assert.match(String(tokens.check("node-b", a.token)), /not one of a client called node-b/);
  assert.match(String(tokens.check("node-a", "")), /has no token/);
  for (const bad of ["node-a", "node-a sha256:12", `node-a ${a.token}`, `${a.line} extra`]) {
    assert.throws(() => parseTokens(bad), /line 1/, bad);
  }
});

function pick(grant: unknown): unknown {
  assert.ok(typeof grant === "object");
  const { name, forward } = grant as { name: string; forward: boolean };
  return { name, forward };
}

Deno.test("a changed file of tokens is read again, and an invalid one changes nothing", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const [old, young] = [makeToken("n", false), makeToken("n", false)];
  await Deno.writeTextFile(path, old.line);
  const logs = new LogLines();
  const tokens = new Tokens(path, logs.log, 0);
  assert.equal(typeof tokens.check("n", young.token), "string");
  // Both for a while: this is how a token is replaced.
  await Deno.writeTextFile(path, `${old.line}\n${young.line}\n`);
  assert.equal(typeof tokens.check("n", young.token), "object");
  assert.equal(typeof tokens.check("n", old.token), "object");
  await Deno.writeTextFile(path, "nonsense");
  assert.equal(typeof tokens.check("n", young.token), "object");
  assert.equal(logs.matching(/ERROR.*Cannot read the tokens again/).length, 1);
  await Deno.writeTextFile(path, young.line);
  assert.equal(typeof tokens.check("n", old.token), "string");
});

Deno.test("a file of tokens that is just being written revokes nothing, and one that stays empty revokes all", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const { token, line } = makeToken("n", false);
  await Deno.writeTextFile(path, line);
  const tokens = new Tokens(path, log, 0);
  const grant = tokens.check("n", token);
  assert.ok(typeof grant === "object");
  await Deno.writeTextFile(path, "");
  tokens.refresh();
  assert.ok(tokens.holds(grant));
  await Deno.writeTextFile(path, `${line}\n`);
  tokens.refresh();
  assert.ok(tokens.holds(grant));
  await Deno.writeTextFile(path, "# nobody\n");
  for (const isRevoked of [false, true]) {
    tokens.refresh();
    assert.equal(!tokens.holds(grant), isRevoked);
  }
});

Deno.test("changed rules apply to connected clients as well", () => {
  const peer = { hostname: "192.0.2.1" };
  const admission = new Admission(OPEN, log);
  const open = admission.check({ ...peer, name: "n", token: undefined });
  assert.ok(typeof open === "object");
  const before = admission.version;
  assert.equal(admission.recheck(peer, open), undefined);
  admission.change({ ...OPEN, deny: ["192.0.2.0/24"] });
  assert.notEqual(admission.version, before);
  assert.match(admission.recheck(peer, open)!, /denied now/);
  admission.change({ ...OPEN, allow: ["10.0.0.0/8"] });
  assert.match(admission.recheck(peer, null)!, /not allowed any more/);
  const path = Deno.makeTempFileSync();
  try {
    const { token, line } = makeToken("n", true);
    Deno.writeTextFileSync(path, line);
    const tokens = new Tokens(path, log, 0);
    admission.change({ ...OPEN, tokens, withoutToken: ["10.0.0.0/8"] });
    assert.match(admission.recheck(peer, open)!, /needs a token now/);
    const shown = admission.check({ ...peer, name: "n", token });
    assert.ok(typeof shown === "object");
    assert.equal(admission.recheck(peer, shown), undefined);
    const near = { hostname: "10.0.0.1" };
    const without = admission.check({ ...near, name: "m", token: undefined });
    assert.ok(typeof without === "object");
    assert.equal(admission.recheck(near, without), undefined);
    const { version } = admission;
    // Without the right to forward, which it was given.
    Deno.writeTextFileSync(path, `${line.replace(" forward", "")}\n`);
    assert.notEqual(admission.version, version);
    assert.match(admission.recheck(peer, shown)!, /not valid any more/);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("a token is 32 random bytes behind a prefix, and its line has the hash of all of it", () => {
  for (const forward of [false, true]) {
    const { token, line } = makeToken("n", forward);
    assert.match(token, /^alumet_[\w-]{43}$/);
    const hash = createHash("sha256").update(token).digest("hex");
    assert.equal(line, `n sha256:${hash}${forward ? " forward" : ""}`);
  }
  assert.notEqual(makeToken("n", false).token, makeToken("n", false).token);
});

Deno.test("a file of tokens has a line for each, and others are comments; a bad line is named by its number", () => {
  const [a, b] = ["00".repeat(31) + "0f", "A9".repeat(32)];
  const text = `\ufeff# who may send\r\n\n  n   sha256:${a}\r\nn sha256:${b} forward  \n\t# m\nm sha256:${a}`;
  const read = [...parseTokens(text)].map((
    [name, entries],
  ) => [name, ...entries.map(({ name, hash, forward }) => `${name} ${hash.toHex()} ${forward}`)]);
  assert.deepEqual(read, [["n", `n ${a} false`, `n ${b.toLowerCase()} true`], ["m", `m ${a} false`]]);
  for (
    const bad of [`n sha256:${a}0`, `n sha256:${a.slice(1)}`, `n sha512:${a}`, `n sha256:${a} forwards`, "n"]
  ) {
    assert.throws(() => parseTokens(`# 1\n\n${bad}`), /^SyntaxError: line 3 is not NAME sha256:HEX/);
  }
});

Deno.test("the name of a client in the file is one word", () => {
  for (const name of ["n", "node-1.example", "ä"]) assert.equal(nameProblem(name), undefined);
  for (const name of ["", "a b", "#a", "a#", "a\tb", "a\u0001"]) assert.match(nameProblem(name)!, /one word/);
});

Deno.test("a token is found whatever the client is called, and a grant holds as long as its line stands", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const [a, b, c] = [makeToken("a", false), makeToken("b", true), makeToken("b", false)];
  await Deno.writeTextFile(path, [a, b, c].map(({ line }) => line).join("\n"));
  const tokens = new Tokens(path, log, 0);
  assert.equal(tokens.size, 2);
  assert.deepEqual(pick(tokens.find(a.token)), { name: "a", forward: false });
  assert.deepEqual(pick(tokens.find(b.token)), { name: "b", forward: true });
  assert.deepEqual(pick(tokens.check("b", c.token)), { name: "b", forward: false });
  assert.equal(tokens.find(makeToken("a", false).token), undefined);
  assert.equal(tokens.find(""), undefined);
  const grant = tokens.find(b.token)!;
  assert.ok(tokens.holds(grant));
  assert.ok(!tokens.holds({ ...grant, forward: false }));
  assert.ok(!tokens.holds({ ...grant, name: "a" }) && !tokens.holds({ ...grant, name: "c" }));
  assert.ok(!tokens.holds({ name: "b", forward: true }), "without a token there is no line");
});

Deno.test("the file is read again when it has changed, and looked at no more often than it should be", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const [old, young] = [makeToken("n", false), makeToken("n", false)];
  await Deno.writeTextFile(path, old.line);
  const logs = new LogLines();
  const [tokens, patient] = [0, 600_000].map((checkMs) => new Tokens(path, logs.log, checkMs));
  tokens.refresh();
  assert.equal(tokens.version, 0);
  // Another length: the time of a file may stand still for some milliseconds.
  await Deno.writeTextFile(path, `${young.line}\n`);
  for (const each of [tokens, patient]) each.refresh();
  assert.deepEqual([tokens.version, patient.version], [1, 0]);
  assert.deepEqual([typeof tokens.find(young.token), typeof patient.find(young.token)], [
    "object",
    "undefined",
  ]);
  assert.equal(logs.matching(/INFO.*The tokens have been read again.*clients=1/).length, 1);
  for (const failures of [1, 2]) {
    await Deno.writeTextFile(path, `nonsense ${failures}`);
    for (let n = 0; n < 3; n++) tokens.refresh();
    assert.equal(
      logs.matching(/ERROR.*Cannot read the tokens again/).length,
      failures,
      "each change is reported once",
    );
    await Deno.writeTextFile(path, young.line);
    tokens.refresh();
    assert.equal(tokens.version, 1 + failures);
  }
  await Deno.truncate(path, 16 * 1024 * 1024 + 1);
  tokens.refresh();
  assert.equal(tokens.version, 3);
  assert.throws(() => new Tokens(path, log), /it has 16777217 bytes, at most 16777216 are allowed/);
  await Deno.truncate(path, 16 * 1024 * 1024);
  assert.throws(() => new Tokens(path, log), /there is a NUL byte/, "it is read");
});

Deno.test("a file that had no tokens may stay without", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  await Deno.writeTextFile(path, "");
  const tokens = new Tokens(path, log, 0);
  await Deno.writeTextFile(path, "# nobody\n");
  tokens.refresh();
  assert.equal(tokens.version, 1, "there is nothing to wait for");
});

Deno.test("connections are refused above their number in total, and above the number of their address", () => {
  const admission = new Admission(
    { ...OPEN, maxConnections: 2, maxConnectionsPerAddress: 1, maxSockets: 5 },
    log,
  );
  const [a, b, c] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((hostname) => ({ hostname }));
  assert.deepEqual([admission.arrived(a), admission.arrived(b)], [undefined, undefined]);
  assert.match(admission.arrived(c)!, /there are 2 connections already/);
  admission.left(c);
  admission.left(b);
  assert.match(admission.arrived(a)!, /there are 1 connections of its address already/);
  admission.left(a);
  assert.match(
    admission.arrived(a)!,
    /there are 1 connections of its address already/,
    "one of two has left",
  );
  admission.left(a);
  admission.left(a);
  assert.equal(admission.arrived(a), undefined);
});

Deno.test("there is a flood above twice the connections, or above the sockets of the process", () => {
  for (const [maxSockets, most] of [[undefined, 4], [3, 3], [9, 4]] as const) {
    const admission = new Admission({ ...OPEN, maxConnections: 2, ...maxSockets && { maxSockets } }, log);
    const floods = Array.from(
      { length: 6 },
      () => (admission.arrived({ hostname: "192.0.2.1" }), admission.isFlooded),
    );
    assert.deepEqual(floods, floods.map((_, i) => i + 1 > most));
    admission.left({ hostname: "192.0.2.1" });
    admission.left({ hostname: "192.0.2.1" });
    assert.equal(admission.isFlooded, 4 > most);
  }
});

Deno.test("a client has a name of some bytes, and a token where one is needed", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const { token, line } = makeToken("n", true);
  await Deno.writeTextFile(path, line);
  const [near, far] = [{ hostname: "10.0.0.1" }, { hostname: "192.0.2.1" }];
  const open = new Admission({ ...OPEN, maxNameLength: 4 }, log);
  const grant = (admission: Admission, name: string, token: string | undefined, peer = far) => {
    const grant = admission.check({ ...peer, name, token });
    return typeof grant === "string" ? grant : pick(grant);
  };
  assert.deepEqual(grant(open, "ääää".slice(0, 2), undefined), { name: "ää", forward: true });
  assert.equal(grant(open, "ääa", undefined), "its name has 5 bytes, at most 4 are allowed");
  assert.equal(grant(open, "", undefined), "it has no name");
  const usual = new Admission(OPEN, log);
  assert.deepEqual([255, 256].map((length) => typeof grant(usual, "x".repeat(length), undefined)), [
    "object",
    "string",
  ]);
  const closed = new Admission({ ...OPEN, tokens: new Tokens(path, log), withoutToken: ["10.0.0.0/8"] }, log);
  assert.deepEqual(grant(closed, "n", token), { name: "n", forward: true });
  assert.deepEqual(grant(closed, "m", undefined, near), { name: "m", forward: false });
  assert.deepEqual(grant(closed, "m", "", near), { name: "m", forward: false });
  assert.match(
    String(grant(closed, "m", token, near)),
    /not one of a client called m/,
    "a wrong token is wrong anywhere",
  );
  assert.match(String(grant(closed, "m", undefined)), /its protocol has no tokens/);
  assert.match(String(grant(closed, "m", "")), /it has no token/);
  assert.ok(open.checkTokens(far, []) && closed.checkTokens(near, []));
  assert.ok(closed.checkTokens(far, ["x", token]) && !closed.checkTokens(far, ["x"]));
});

Deno.test("connected clients are asked again when rules or tokens have changed, and only then", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const { token, line } = makeToken("n", true);
  await Deno.writeTextFile(path, line);
  const [near, far] = [{ hostname: "10.0.0.1" }, { hostname: "192.0.2.1" }];
  const open = new Admission(OPEN, log);
  const opened = open.check({ ...near, name: "m", token: undefined });
  assert.ok(typeof opened === "object");
  assert.equal(open.recheck(far, null), undefined);
  const options = {
    ...OPEN,
    tokens: new Tokens(path, log, 0),
    withoutToken: ["10.0.0.0/8"],
    allow: ["0.0.0.0/0"],
  };
  open.change(options);
  assert.match(
    open.recheck(near, opened)!,
    /it needs a token now/,
    "it may forward, and without a token nobody may",
  );
  const grant = open.check({ ...near, name: "m", token: undefined });
  assert.ok(typeof grant === "object");
  assert.equal(open.recheck(near, grant), undefined);
  assert.match(open.recheck(far, grant)!, /it needs a token now/);
  const shown = open.check({ ...far, name: "n", token });
  assert.ok(typeof shown === "object");
  assert.equal(open.recheck(far, shown), undefined);
  assert.equal(open.recheck(far, null), undefined, "its protocol has no tokens");
  const versions = [open.version, open.version];
  await Deno.writeTextFile(path, `${line}\n# changed`);
  versions.push(open.version);
  open.change({ ...options, tokens: new Tokens(path, log, 0) });
  versions.push(open.version);
  open.change(OPEN);
  versions.push(open.version);
  assert.equal(versions[0], versions[1]);
  assert.equal(new Set(versions).size, 4, "each change has a version of its own");
});

Deno.test("each refusal is told and said", () => {
  let told = 0;
  const logs = new LogLines();
  new Admission(OPEN, logs.log, () => told++).refuse({ reason: "no" });
  assert.equal(told, 1);
  assert.equal(logs.matching(/WARN.*Refusing a client reason=no/).length, 1);
});

Deno.test("the file is looked at once a second, and again a tenth of a second after it was found empty", async () => {
  await using dir = new TempDir();
  const path = dir.file("tokens");
  const [old, young] = [makeToken("n", false), makeToken("n", false)];
  await Deno.writeTextFile(path, old.line);
  const clock = new FakeClock();
  clock.spend(1e6);
  const tokens = new Tokens(path, log, undefined, clock);
  const versionAfter = (ms: number) => {
    clock.spend(ms);
    tokens.refresh();
    return tokens.version;
  };
  await Deno.writeTextFile(path, `${young.line}\n`);
  assert.deepEqual([versionAfter(999), versionAfter(1)], [0, 1]);
  await Deno.writeTextFile(path, "");
  assert.deepEqual([versionAfter(1000), versionAfter(99), versionAfter(1)], [1, 1, 2]);
  assert.equal(tokens.size, 0);
});
