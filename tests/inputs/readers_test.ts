/** What is made of what devices, services and users say: from bytes or a text to values, and nothing else. */
import assert from "node:assert/strict";
import { parseFdInfo } from "../../lib/inputs/drm/fdinfo.ts";
import { GET_POWER_READING, isBusy, wattsOf, wattsOfAnswer } from "../../lib/inputs/ipmi/power_reading.ts";
import { compare, timeOf, unitOf, valuesOf } from "../../lib/inputs/kwollect_input/values.ts";
import { codeOf, Dialect } from "../../lib/inputs/lines/http_dialect.ts";
import { Positions } from "../../lib/inputs/lines/positions.ts";
import { RateLimits } from "../../lib/inputs/lines/rate_limits.ts";
import { UserNames } from "../../lib/inputs/oar/user_names.ts";
import { WatchedProcesses } from "../../lib/inputs/polling/watched_processes.ts";
import { at, linkOf, membersOf, readingsOf } from "../../lib/inputs/redfish/readings.ts";
import { isMeant, parseCommand } from "../../lib/inputs/socket_control/command.ts";
import { FakeClock, settle } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** An answer of a management controller to "Get Power Reading" (DCMI 1.5, 6.6.1). */
const dcmi = (watts: number, changes: Record<number, number> = {}) => {
  const bytes = Uint8Array.of(
    0,
    0xdc,
    watts & 0xff,
    watts >> 8,
    1,
    0,
    2,
    0,
    3,
    0,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    0x40,
  );
  for (const [place, value] of Object.entries(changes)) bytes[Number(place)] = value;
  return bytes;
};

Deno.test("the power of a controller's answer is the present one, of two bytes, where it measures", () => {
  assert.deepEqual(GET_POWER_READING, { netFunction: 0x2c, command: 0x02, data: [0xdc, 0x01, 0x00, 0x00] });
  for (const watts of [0, 220, 65_534]) assert.equal(wattsOfAnswer(dcmi(watts)), watts);
  assert.equal(wattsOfAnswer(dcmi(220, { 18: 0xff })), 220, "other bits of the state are reserved");
  assert.equal(wattsOfAnswer(Uint8Array.from([1, ...dcmi(220), 7]).subarray(1)), 220, "it may be longer");
  for (
    const [answer, problem] of [
      [Uint8Array.of(), /the answer of the controller is empty/],
      [Uint8Array.of(0xc1), /gives no power: it has no power reading \(DCMI\) \(completion code 0xc1\)/],
      [Uint8Array.of(0xd6), /its power reading is switched off/],
      [Uint8Array.of(0x01), /it refuses the request \(completion code 0x1\)/],
      [
        dcmi(220).subarray(0, 18),
        /is no power reading: 00 dc dc 00 01 00 02 00 03 00 04 05 06 07 08 09 0a 0b$/,
      ],
      [dcmi(220, { 1: 0xdd }), /is no power reading: 00 dd .* 40$/],
      [dcmi(220, { 18: 0xbf }), /does not measure \(its state is deactivated\)/],
      [dcmi(65_535), /does not know the power: it says 65535 W/],
    ] as const
  ) {
    assert.throws(() => wattsOfAnswer(answer), problem);
  }
  assert.ok(isBusy(Uint8Array.of(0xc0)) && !isBusy(dcmi(0xc0)));
});

Deno.test("every completion code that the standard names has a meaning of its own", () => {
  const meanings = Array.from({ length: 255 }, (_, i) => {
    try {
      return String(wattsOfAnswer(Uint8Array.of(i + 1)));
    } catch (error) {
      return /power: (.*) \(completion/.exec((error as Error).message)![1];
    }
  });
  const named = meanings.flatMap((meaning, i) => meaning === "it refuses the request" ? [] : [i + 1]);
  assert.deepEqual(
    named,
    [0xc0, 0xc1, 0xc2, 0xc3, 0xc7, 0xcb, 0xcc, 0xce, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xff],
  );
  assert.equal(new Set(meanings).size, named.length + 1);
});

Deno.test("ipmitool's power is the instantaneous one, up to the largest that a controller knows", () => {
  const output = (watts: string, state = "activated") =>
    `\n  Instantaneous power reading:   ${watts}\n  Average power reading: 7 Watts\n` +
    `  Power reading state is:  ${state}\n`;
  assert.equal(wattsOf(output("65534 Watts")), 65_534);
  assert.equal(wattsOf("INSTANTANEOUS POWER READING : 5 watts"), 5);
  assert.throws(() => wattsOf(output("65535 Watts")), /it says 65535 W/);
  assert.throws(() => wattsOf(output("5 Watts", "deactivated")), /its state is deactivated/);
  assert.throws(() => wattsOf("power reading: 5 Watts"), /has no power reading/);
});

Deno.test("a page of Redfish has the power of a chassis, or one for each of its entries", () => {
  assert.deepEqual(readingsOf({ PowerWatts: { Reading: 0 }, PowerControl: [{ PowerConsumedWatts: 1 }] }), [
    { name: "", watts: 0 },
  ]);
  for (const watts of [-1, NaN, Infinity, "5", null]) {
    assert.deepEqual(readingsOf({ PowerWatts: { Reading: watts } }), []);
  }
  const many = {
    PowerControl: Array.from({ length: 65 }, (_, i) => ({ PowerConsumedWatts: i, Name: `n${i}` })),
  };
  assert.deepEqual(readingsOf(many).map(({ watts }) => watts), Array.from({ length: 64 }, (_, i) => i));
  const powers = [1, -1, "2", null, 3].map((PowerConsumedWatts) => ({ PowerConsumedWatts }));
  assert.deepEqual(readingsOf({ PowerControl: [...powers, null] }).map(({ watts }) => watts), [1, 3]);
  const named = (Name: unknown) => readingsOf({ PowerControl: [{ PowerConsumedWatts: 1, Name }] })[0].name;
  assert.equal(named("x".repeat(101)), "x".repeat(100));
  for (const name of ["", "\ud800", 5, undefined]) assert.equal(named(name), "#0");
  assert.deepEqual(
    readingsOf({ PowerControl: ["a", "a", ""].map((Name, i) => ({ PowerConsumedWatts: i, Name })) }),
    [{ name: "a", watts: 0 }, { name: "a#1", watts: 1 }, { name: "#2", watts: 2 }],
  );
});

Deno.test("a link of Redfish leads to a path of the same controller, and members are links", () => {
  const link = (path: unknown) => linkOf({ "@odata.id": path });
  assert.equal(link("/redfish/v1/Chassis/1"), "/redfish/v1/Chassis/1");
  assert.equal(link(`/${"x".repeat(500)}`)?.length, 501);
  for (const path of ["//host/x", "http://host/", "", "x", "/a b", `/${"x".repeat(501)}`, 5]) {
    assert.equal(link(path), undefined, String(path));
  }
  const members = (count: number) => ({
    Members: Array.from({ length: count }, (_, i) => ({ "@odata.id": `/${i}` })),
  });
  assert.deepEqual(membersOf({ Members: [{ "@odata.id": "/a" }, {}, null, { "@odata.id": "/b" }] }), [
    "/a",
    "/b",
  ]);
  assert.equal(membersOf(members(65)).length, 64);
  assert.deepEqual(membersOf({ Members: "x" }), []);
  assert.equal(at({ a: { b: 5 } }, "a", "b"), 5);
  assert.equal(at("text", "length"), undefined);
  for (const value of [{ a: 5 }, { a: null }, {}, null, 5]) assert.equal(at(value, "a", "b"), undefined);
});

Deno.test("an answer of Kwollect has values by time, and what is not one is left out", () => {
  const value = { timestamp: "2026-11-25T12:00:00.5+01:00", device_id: "a-1", metric_id: "m", value: 5 };
  const read = (...entries: unknown[]) =>
    valuesOf(entries).map(({ metric, device, origin, time, value }) =>
      [metric, device, origin, time.seconds, time.nanos, value].join(" ")
    );
  const AT = Date.parse("2026-11-25T11:00:00Z") / 1000;
  assert.deepEqual(read(value), [`m a-1  ${AT} 500000000 5`]);
  assert.deepEqual(read({ ...value, labels: { _device_orig: "b-2" } }), [`m a-1 b-2 ${AT} 500000000 5`]);
  assert.deepEqual(read({ ...value, labels: { _device_orig: "b 2" } }), [`m a-1  ${AT} 500000000 5`]);
  assert.deepEqual(
    read(
      { ...value, value: 3, timestamp: "2026-11-25T12:00:01+0100" },
      { ...value, value: 2, timestamp: "2026-11-25T11:00:00.6Z" },
      { ...value, value: 1 },
    ).map((text) => text.at(-1)),
    ["1", "2", "3"],
  );
  for (
    const bad of [
      null,
      "x",
      { ...value, value: "5" },
      { ...value, metric_id: 5 },
      { ...value, device_id: "" },
      { ...value, device_id: "x".repeat(201) },
      { ...value, timestamp: "2026-11-25 12:00:00Z" },
    ]
  ) {
    assert.deepEqual(read(bad), []);
  }
  assert.throws(() => valuesOf({}), /the answer is not a list/);
  assert.deepEqual(
    [1, 2].map((nanos) => Math.sign(compare({ seconds: 1, nanos }, { seconds: 1, nanos: 2 }))),
    [-1, 0],
  );
  assert.ok(compare({ seconds: 2, nanos: 0 }, { seconds: 1, nanos: 5 }) > 0);
});

Deno.test("times of Kwollect have an offset, and up to nine digits of a fraction", () => {
  assert.deepEqual(timeOf("1970-01-01T00:00:01.123456789123Z"), { seconds: 1, nanos: 123456789 });
  assert.deepEqual(timeOf("1970-01-01T01:00:01.5+01:00"), { seconds: 1, nanos: 5e8 });
  assert.deepEqual(timeOf("1970-01-01T01:00:01+0100"), { seconds: 1, nanos: 0 });
  for (const text of ["1970-01-01T00:00:01", "1970-13-01T00:00:01Z", "", 5, undefined]) {
    assert.equal(timeOf(text), undefined, String(text));
  }
});

Deno.test("the unit of a metric of Kwollect is the end of its name", () => {
  assert.deepEqual(unitOf("wattmetre_power_watt"), { base: "W", prefix: "" });
  assert.deepEqual(unitOf("pdu_power_KILOWATT"), { base: "W", prefix: "kilo" });
  assert.deepEqual(unitOf("network_in_bytes_total"), { base: "By", prefix: "" });
  assert.deepEqual(unitOf("bmc_other_toString"), { base: "tostring", prefix: "" });
  assert.deepEqual(unitOf("bmc_"), { base: "1", prefix: "" });
});

Deno.test("the kernel's file of a GPU has engines in ns or cycles, and memory by kind", () => {
  const parse = (...lines: string[]) =>
    parseFdInfo(["drm-driver: xe", "drm-pdev:\t0000:03:00.0", "drm-client-id: 7 ", ...lines].join("\n"));
  const engines = (...lines: string[]) => [...parse(...lines)!.engines];
  const cycles = (...lines: string[]) => [...parse(...lines)!.cycles];
  assert.deepEqual({ ...parse(), engines: 0, cycles: 0, memory: 0 }, {
    driver: "xe",
    device: "0000:03:00.0",
    client: "7",
    engines: 0,
    cycles: 0,
    memory: 0,
  });
  assert.deepEqual(engines("drm-engine-gfx: 5 ns", "drm-engine-capacity-gfx: 2", "drm-engine-enc_1:\t6 ns"), [
    ["gfx", 5],
    ["enc_1", 6],
  ]);
  assert.deepEqual(engines("drm-engine-gfx: 18446744073709551615 ns"), [["gfx", 2n ** 64n - 1n]]);
  assert.deepEqual(engines("drm-engine-gfx: 999999999999999 ns"), [["gfx", 999_999_999_999_999]]);
  for (const text of ["18446744073709551616 ns", "5", "5 us", "-5 ns", "100000000000000000000 ns"]) {
    assert.deepEqual(engines(`drm-engine-gfx: ${text}`), [], text);
  }
  assert.deepEqual(cycles("drm-cycles-rcs: 5", "drm-total-cycles-rcs: 9", "drm-cycles-vcs: 6"), [
    ["rcs", { used: 5, total: 9 }],
  ]);
  assert.deepEqual(cycles("drm-cycles-rcs: x", "drm-total-cycles-rcs: 9"), []);
  const memory = parse(
    "drm-resident-vram0: 1 KiB",
    "drm-resident-vram1: 2 MiB",
    "drm-total-system: 3 GiB",
    "drm-memory-gtt: 4",
  )!
    .memory;
  assert.deepEqual(memory, { vram: 1024 + 2 * 2 ** 20, gtt: 4, cpu: 3 * 2 ** 30 });
  const others = ["drm-total-vram0: 4 KiB", "drm-shared-vram0: 8 KiB", "drm-active-vram0: 8 KiB"];
  assert.equal(parse(...others)!.memory.vram, 4096, "what is shared or active is a part of it");
  assert.deepEqual(engines("drm-engine-gfx: 9007199254740993 ns"), [["gfx", 2n ** 53n + 1n]]);
  assert.equal(parseFdInfo("drm-driver: xe\ndrm-pdev: ../../etc\ndrm-client-id: 7"), undefined);
  assert.equal(parse("drm-memory-vram: 5 TiB", "drm-memory-gtt: 1234567890123456")!.memory.vram, 0);
  for (const missing of ["driver", "pdev", "client-id"]) {
    const lines = ["drm-driver: xe", "drm-pdev: 0000:03:00.0", "drm-client-id: 7"];
    assert.equal(parseFdInfo(lines.filter((line) => !line.includes(missing)).join("\n")), undefined, missing);
  }
});

Deno.test("a command is for sources, and says what is wrong with it", () => {
  const all = { plugin: "*", source: "*" };
  assert.deepEqual(parseCommand(" status "), { do: "status" });
  for (const word of ["shutdown", "stop"]) assert.deepEqual(parseCommand(word), { do: "shutdown" });
  for (
    const [word, action] of [["pause", "pause"], ["disable", "pause"], ["resume", "resume"], [
      "enable",
      "resume",
    ]]
  ) {
    assert.deepEqual(parseCommand(`control sources ${word}`), { do: action, pattern: all });
  }
  assert.deepEqual(parseCommand("control src/rapl trigger-now"), {
    do: "poll",
    pattern: { ...all, plugin: "rapl" },
  });
  for (
    const [text, ms] of [["1ms", 1], ["24d", 24 * 86_400_000], ["2147483647ms", 2 ** 31 - 1], [
      "1m 30s",
      90_000,
    ]] as const
  ) {
    assert.deepEqual(parseCommand(`control any/a/b set-period ${text}`), {
      do: "interval",
      pattern: { plugin: "a", source: "b" },
      ms,
    });
  }
  for (
    const [line, problem] of [
      ["status now", /not a command/],
      ["control", /not a command/],
      ["command sources pause", /not a command/],
      ["control sources set-period 2147483648ms", /a period is between/],
      ["control sources", /not a command/],
      ["control sources stop", /a single source cannot be stopped/],
      ["control sources jump", /"jump" is not an action/],
      ["control sources pause now", /there is too much at the end: "now"/],
      ["control sources/a/b/c pause", /is not a pattern/],
      ["control sources//b pause", /is not a pattern/],
      ["control sources/a/ pause", /is not a pattern/],
      ["control toString pause", /is not a pattern/],
      ["control out/csv pause", /transforms and outputs cannot be controlled/],
      ["control sources set-period 999us", /a period is between/],
      ["control sources set-period 25d", /a period is between/],
      ["control sources set-period", /not a duration/],
    ] as const
  ) {
    assert.throws(() => parseCommand(line), problem, line);
  }
  assert.ok(isMeant({ plugin: "ra*", source: "*" }, "rapl", "x"));
  assert.ok(!isMeant({ plugin: "ra*", source: "y" }, "rapl", "x"));
  assert.ok(!isMeant({ plugin: "pr*", source: "x" }, "rapl", "x"));
});

Deno.test("an address sends so much a second, which may come at once, and waits for what is above", () => {
  const clock = new FakeClock();
  const limits = new RateLimits(clock);
  const waits = () => ["a", "b"].map((address) => limits.waitMs(address, 1000));
  assert.deepEqual(waits(), [0, 0]);
  limits.took("a", 1000, 1000);
  assert.deepEqual(waits(), [0, 0], "a second's worth");
  limits.took("a", 500, 1000);
  assert.deepEqual(waits(), [500, 0]);
  clock.spend(250);
  assert.deepEqual(waits(), [250, 0]);
  clock.spend(60_000);
  limits.took("a", 1500, 1000);
  assert.deepEqual(waits(), [500, 0], "what was not sent in a minute is not saved up");
  limits.took("b", 1e9, Infinity);
  assert.deepEqual([limits.waitMs("a", Infinity), limits.waitMs("b", 1000)], [0, 0]);
  for (let i = 0; i < 10_000; i++) limits.waitMs(`${i}`, 1000);
  assert.deepEqual(waits(), [0, 0], "of more addresses than are remembered all are forgotten");
});

Deno.test("both versions of InfluxDB have their paths, and their ways to say no", () => {
  const of = (path: string, query = "", headers: Record<string, string> = {}) =>
    Dialect.of({ method: "POST", path, query, headers: new Headers(headers) } as never);
  const answer = ({ status, headers, body }: ReturnType<Dialect["success"]>) => ({
    status,
    error: headers?.["x-influxdb-error"],
    body: body.length > 0 ? JSON.parse(new TextDecoder().decode(body as Uint8Array)) : undefined,
  });
  const [one, two] = [of("/write")!, of("/api/v2/write", "precision=ms")!];
  assert.deepEqual(
    [one, two, of("/query")!, of("/ping")!, of("/health")!].map(({ kind, version }) => [kind, version]),
    [
      ["write", 1],
      ["write", 2],
      ["query", 1],
      ["ping", 1],
      ["health", 2],
    ],
  );
  assert.equal(of("/other"), null);
  assert.equal(of("toString"), null);
  assert.deepEqual([one.precision, two.precision], [undefined, "ms"]);
  const failure = { line: 3, reason: "ä", count: 2 };
  const error = "partial write: unable to parse line 3: ä, and 1 more";
  assert.deepEqual(answer(one.badLines(failure)), {
    status: 400,
    error: `${error.replace("ä", "?")} dropped=2`,
    body: { error: `${error} dropped=2` },
  });
  assert.deepEqual(answer(two.badLines({ ...failure, count: 1 })), {
    status: 400,
    error: undefined,
    body: {
      code: "invalid",
      message: "partial write: unable to parse line 3: ä; all other lines are written",
      line: 3,
    },
  });
  assert.deepEqual([429, 413].map((status) => answer(one.error(status, "x", "no")).status), [503, 413]);
  assert.deepEqual(answer(two.error(429, "x", "no")), {
    status: 429,
    error: undefined,
    body: { code: "x", message: "no" },
  });
  assert.deepEqual([413, 429, 503, 400].map(codeOf), [
    "request too large",
    "too many requests",
    "unavailable",
    "invalid",
  ]);
  assert.equal(answer(one.success()).status, 204);
  assert.equal(answer(of("/ping")!.hello()).status, 204);
  const health = answer(of("/health")!.hello());
  assert.deepEqual([health.status, health.body.status], [200, "pass"]);
  const query = of("/query", "q=CREATE DATABASE x")!;
  assert.deepEqual(answer(query.answerQuery("")), {
    status: 200,
    error: undefined,
    body: { results: [{ statement_id: 0 }] },
  });
  assert.equal(answer(of("/query")!.answerQuery("q= create database x")).status, 200);
  for (const text of ["", "q=select", "q=drop create database x"]) {
    assert.equal(answer(of("/query")!.answerQuery(text)).status, 400);
  }
});

Deno.test("a token for InfluxDB comes in any of its ways", () => {
  const tokens = (authorization: string, query = "") =>
    Dialect.of({ path: "/write", query, headers: new Headers({ authorization }) } as never)!.tokens;
  for (const scheme of ["Token", "bearer", "BEARER"]) {
    assert.deepEqual(tokens(`${scheme}  abc`), ["abc", "abc"]);
  }
  assert.deepEqual(tokens("Token user:abc"), ["user:abc", "abc"]);
  assert.deepEqual(tokens(`Basic ${btoa("user:abc")}`), ["user:abc", "abc"]);
  assert.deepEqual(tokens("Basic !"), []);
  assert.deepEqual(tokens("Other abc"), []);
  assert.deepEqual(tokens("", "u=user&p=abc"), ["abc", "abc"]);
});

Deno.test("places in followed files are kept in a file, and what is none is left out", async () => {
  await using dir = new TempDir();
  const path = dir.file("places");
  const logs = new LogLines();
  const open = (path: string | null) => new Positions(path, logs.log, new FakeClock());
  const place = { device: 1, inode: 2, first: "hash", generation: 0, offset: 70 };
  const positions = open(path);
  assert.equal(positions.of("/a"), undefined);
  await positions.save("/a", place);
  await positions.save("/b", { ...place, offset: 5 });
  assert.deepEqual([open(path).of("/a"), open(path).of("/b")?.offset], [place, 5]);
  assert.deepEqual(logs.matching(/./), [], "a file that is not there yet is no problem");
  const bad = [{ ...place, offset: 0.5 }, { ...place, first: 5 }, { ...place, inode: "x" }, null, 5];
  const entries = Object.fromEntries([...bad, place].entries());
  await Deno.writeTextFile(path, JSON.stringify(entries));
  assert.deepEqual([...bad.keys(), bad.length].filter((n) => open(path).of(String(n))), [bad.length]);
  await Deno.writeTextFile(path, "nonsense");
  assert.equal(open(path).of("/a"), undefined);
  assert.equal(logs.matching(/ERROR.*Cannot read the places in followed files/).length, 1);
});

Deno.test("without a state directory places are kept as long as the process runs, and the log says so", async () => {
  const logs = new LogLines();
  const positions = new Positions(null, logs.log, new FakeClock());
  const place = { device: 1, inode: 2, first: "hash", generation: 0, offset: 70 };
  await positions.save("/a", place);
  assert.equal(positions.of("/a"), place);
  assert.equal(logs.matching(/WARN.*There is no state directory/).length, 1);
  assert.equal(logs.matching(/./).length, 1);
});

Deno.test("of a process that is watched is told once that it runs and once that it ends, also who listens later", () => {
  const watched = new WatchedProcesses();
  assert.equal(watched.isExpected, false);
  const told: string[] = [];
  const listenerOf = (name: string) => ({
    started: (pid: number, isRoot: boolean) => void told.push(`${name} ${pid} ${isRoot}`),
    ended: (pid: number) => void told.push(`${name} ${pid} ended`),
  });
  const first = watched.listen(listenerOf("first"));
  watched.started(1, true);
  watched.started(1, false);
  watched.listen(listenerOf("second"));
  assert.deepEqual(told.splice(0), ["first 1 true", "second 1 true"]);
  first[Symbol.dispose]();
  watched.ended(1);
  watched.ended(1);
  watched.ended(2);
  assert.deepEqual(told, ["second 1 ended"]);
});

Deno.test("the name of a user is asked for once, and known when the answer is there", async () => {
  const asked: number[] = [];
  const names = new UserNames((uid) => {
    asked.push(uid);
    return uid === 2
      ? Promise.reject(new Error("no directory"))
      : Promise.resolve(uid === 1 ? undefined : "toto");
  });
  for (let n = 0; n < 2; n++) for (const uid of [0, 1, 2]) assert.equal(names.of(uid), undefined);
  await settle();
  assert.deepEqual([0, 1, 2].map((uid) => names.of(uid)), ["toto", undefined, undefined]);
  assert.deepEqual([asked, names.revision], [[0, 1, 2], 1]);
  await names.close();
});

Deno.test("4,096 names are asked for at most, and none after the end, which waits for those that are asked for", async () => {
  let asked = 0;
  const { promise, resolve } = Promise.withResolvers<string>();
  const names = new UserNames(() => (asked++, promise));
  for (let uid = 0; uid < 5000; uid++) names.of(uid);
  assert.equal(asked, 4096);
  let isClosed = false;
  const closing = names.close().then(() => isClosed = true);
  await settle();
  assert.ok(!isClosed);
  resolve("late");
  await closing;
  assert.deepEqual([names.of(0), names.revision], [undefined, 0], "what comes after the end changes nothing");
  const closed = new UserNames(() => (asked++, promise));
  await closed.close();
  assert.deepEqual([closed.of(1), asked], [undefined, 4096]);
});
