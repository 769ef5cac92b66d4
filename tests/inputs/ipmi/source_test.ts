import assert from "node:assert/strict";
import type { OpenDevice } from "../../../lib/inputs/ipmi/device.ts";
import { wattsOf } from "../../../lib/inputs/ipmi/power_reading.ts";
import { IpmiSource } from "../../../lib/inputs/ipmi/source.ts";
import { compiler } from "../../kit/c_library.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { EVENT, FakeIpmi } from "../../kit/fake_ipmi.ts";
import { measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { linux, needs } from "../../kit/needs.ts";
import { Tree } from "../../kit/tree.ts";
import { until } from "../../kit/waiting.ts";

const ANSWER = `
    Instantaneous power reading:                   220 Watts
    Minimum during sampling period:                208 Watts
    Maximum during sampling period:                354 Watts
    Average power reading over sample period:      231 Watts
    IPMI timestamp:                           Thu Mar 21 15:31:53 2019
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated

`;
const POINT = "ipmi_power{} local_machine local_machine 220";

/** A machine with a made-up ipmitool, and the kernel's device if there is one. */
function machine(
  { device = "ipmi0", timeoutMs = 600_000, open = null }: {
    device?: string;
    timeoutMs?: number;
    open?: OpenDevice | null;
  } = {},
) {
  const tree = new Tree(null);
  if (device !== "") tree.write(`dev/${device}`, "");
  const install = (script: string) => {
    tree.install("ipmitool", `#!/bin/sh\ncd "$(dirname "$0")"\necho "$@" >>asked\n${script}\n`);
  };
  tree.write("bin/answer", ANSWER);
  install("cat answer");
  const clock = new FakeClock();
  const lines: string[] = [];
  const measuring = measuringOf(tree, lines, clock);
  const source = new IpmiSource(measuring, timeoutMs, open);
  const poll = async (last = false) => {
    await source.gather(last);
    const batch = pollOnce(source);
    const points = rows(batch);
    batch.release();
    return points;
  };
  return {
    tree,
    install,
    lines,
    source,
    clock,
    poll,
    /** Waits until a failure is tried again, and polls. */
    later: () => (clock.spend(60_000), poll()),
    findings: () => measuring.findings.list,
    [Symbol.dispose]() {
      source.close();
      tree[Symbol.dispose]();
    },
  };
}

Deno.test("the power is the instantaneous reading, and an answer without a valid one is an error", () => {
  assert.equal(wattsOf(ANSWER), 220);
  assert.throws(() => wattsOf(""), /no power reading/);
  for (const value of ["-5 Watts", "n/a", "220 Amps", "99999999999 Watts"]) {
    assert.throws(() => wattsOf(ANSWER.replace("220 Watts", value)), /no power reading/, value);
  }
  assert.throws(() => wattsOf(ANSWER.replace("220 ", "65535 ")), /does not know the power: it says 65535 W/);
  assert.throws(
    () => wattsOf(ANSWER.replace("activated", "deactivated")),
    /does not measure \(its state is deactivated\): sudo ipmitool dcmi power activate/,
  );
});

Deno.test({
  name: "each poll asks ipmitool once, and the last one as well",
  ...needs(linux),
  async fn() {
    for (const device of ["ipmi0", "ipmi/0", "ipmidev/0"]) {
      using m = machine({ device });
      assert.deepEqual(await m.poll(), [POINT]);
      assert.deepEqual(await m.poll(true), [POINT]);
      assert.deepEqual(rows(pollOnce(m.source)), [], "a reading is one point");
      assert.equal(m.tree.read("bin/asked"), "dcmi power reading\n".repeat(2));
      assert.match(m.lines.join(""), /INFO .*Found power of the machine file=\S+\/dev\/ipmi/);
    }
  },
});

Deno.test({
  name: "without a device nothing is run, until there is one",
  ...needs(linux),
  async fn() {
    using m = machine({ device: "" });
    assert.deepEqual(await m.poll(), []);
    assert.ok(m.source.isIdle);
    assert.ok(!m.tree.has("bin/asked"));
    assert.deepEqual(m.lines, []);
    m.tree.write("dev/ipmi0", "");
    assert.ok(!m.source.isIdle);
    assert.deepEqual(await m.poll(), [POINT]);
  },
});

Deno.test({
  name: "an ipmitool that fails is reported with its own words, and asked again after a while",
  ...needs(linux),
  async fn() {
    using m = machine();
    m.install('echo "DCMI request failed because: Invalid command (c1)" >&2; exit 1');
    assert.deepEqual(await m.poll(), []);
    assert.deepEqual(await m.poll(), []);
    assert.equal(m.tree.read("bin/asked").split("\n").length - 1, 1, "it is not asked at each poll");
    assert.match(
      m.lines.join(""),
      /WARN .*Cannot read the power of the machine: DCMI request failed because: Invalid command \(c1\)/,
    );
    assert.match(m.findings()[0].problem!, /Invalid command/);
    m.install("cat answer");
    assert.deepEqual(await m.later(), [POINT]);
    assert.match(m.lines.join(""), /The management controller answers again/);
    m.tree.remove("bin/ipmitool");
    assert.deepEqual(await m.later(), []);
    assert.match(m.lines.join(""), /ipmitool is not installed: sudo apt-get install ipmitool/);
  },
});

Deno.test({
  name: "a device that this user may not open is listed with the command that allows it",
  ...needs(linux),
  async fn() {
    using m = machine();
    m.install(
      'echo "Could not open device at /dev/ipmi0 or /dev/ipmi/0 or /dev/ipmidev/0: Permission denied" >&2; exit 1',
    );
    assert.deepEqual(await m.poll(), []);
    assert.equal(m.findings()[0].problem, "permission denied");
    assert.match(m.findings()[0].allow!, /^sudo setfacl -m u:\d+:rw \S+\/dev\/ipmi0$/);
  },
});

Deno.test({
  name: "a controller that hangs is given up after the timeout, and at once when the source is closed",
  ...needs(linux),
  async fn() {
    {
      using m = machine({ timeoutMs: 100 });
      m.install("exec sleep 600");
      assert.deepEqual(await m.poll(), []);
      assert.match(m.lines.join(""), /no answer within 100 ms/);
    }
    using m = machine();
    m.install("exec sleep 600");
    const polling = m.poll();
    await until(() => m.tree.has("bin/asked"));
    m.source.close();
    assert.deepEqual(await polling, []);
    assert.deepEqual(m.lines, []);
  },
});

const EPERM = 1, ENOENT = 2, EACCES = 13, EINVAL = 22, ENODEV = 19;

/** The answer to Get Power Reading: 220 W now, 208 to 354 W before, 231 W on average; measured by the second, and active. */
const READING = [0, 0xdc, 220, 0, 208, 0, 98, 1, 231, 0, 0x49, 0x9b, 0x93, 0x5c, 0xe8, 3, 0, 0, 0x40];

/** What the answer is with other bytes at these places. */
const answerWith = (bytes: Record<number, number>) => READING.map((byte, i) => bytes[i] ?? byte);

/** A machine whose kernel has a device, with a made-up controller behind it. */
function machineWithDevice({ timeoutMs = 600_000 } = {}) {
  const ipmi = new FakeIpmi();
  const m = machine({ timeoutMs, open: ipmi.open });
  return {
    ...m,
    ipmi,
    log: () => m.lines.join(""),
    [Symbol.dispose]() {
      m[Symbol.dispose]();
      assert.equal(ipmi.openNow, 0, "the device is closed after each question");
      ipmi[Symbol.dispose]();
    },
  };
}

Deno.test({
  name: "the kernel's device is asked for the power by DCMI, in its own structs",
  ...needs(linux, compiler),
  async fn() {
    using m = machineWithDevice();
    m.ipmi.answer(READING);
    m.ipmi.answer(answerWith({ 2: 0x2c, 3: 0x01 }));
    assert.deepEqual(await m.poll(), [POINT]);
    assert.deepEqual(m.ipmi.asked, [0x2c, 0x02, 0xdc, 0x01, 0x00, 0x00]);
    assert.deepEqual(await m.poll(), [POINT.replace("220", "300")]);
    assert.match(m.log(), /INFO .*Found power of the machine file=\S+\/dev\/ipmi0/);
  },
});

Deno.test({
  name: "events, and answers to what was asked before, are not taken for the answer",
  ...needs(linux, compiler),
  async fn() {
    using m = machineWithDevice();
    m.ipmi.answer([1, 2, 3], { type: EVENT });
    m.ipmi.answer(answerWith({ 2: 1 }), { idOffset: -1 });
    m.ipmi.answer(READING);
    assert.deepEqual(await m.poll(), [POINT]);
  },
});

Deno.test({
  name: "a controller that is busy is asked again, and each other refusal is said with its code and meaning",
  ...needs(linux, compiler),
  async fn() {
    using m = machineWithDevice();
    m.ipmi.answer([0xc0]);
    m.ipmi.answer(READING);
    const polling = m.poll();
    await until(() => m.clock.sleepers > 0);
    await m.clock.advance(200);
    assert.deepEqual(await polling, [POINT]);

    const refusals: [number[], RegExp][] = [
      [[0xc1], /it has no power reading \(DCMI\) \(completion code 0xc1\)/],
      [[0xd5], /it cannot answer in its present state \(completion code 0xd5\)/],
      [[0x99], /it refuses the request \(completion code 0x99\)/],
      [[], /the answer of the controller is empty/],
      [[0, 0xdc, 220, 0], /is no power reading: 00 dc dc 00$/],
      [answerWith({ 1: 0 }), /is no power reading: 00 00 dc/],
      [
        answerWith({ 18: 0 }),
        /does not measure \(its state is deactivated\): sudo ipmitool dcmi power activate/,
      ],
      [answerWith({ 2: 0xff, 3: 0xff }), /does not know the power: it says 65535 W/],
    ];
    for (const [answer, problem] of refusals) {
      m.ipmi.reset();
      m.ipmi.answer(answer);
      m.clock.spend(60_000);
      assert.deepEqual(await m.poll(), []);
      assert.match(m.findings()[0].problem!, problem);
    }
    m.ipmi.reset();
    for (let tries = 0; tries < 5; tries++) m.ipmi.answer([0xc0]);
    m.clock.spend(60_000);
    const busy = m.poll();
    for (let pause = 1; pause < 5; pause++) {
      await until(() => m.clock.sleepers > 0);
      await m.clock.advance(200);
    }
    assert.deepEqual(await busy, []);
    assert.match(m.findings()[0].problem!, /it is busy \(completion code 0xc0\)/);
    m.ipmi.answer(READING);
    m.clock.spend(60_000);
    assert.deepEqual(await m.poll(), [POINT]);
    assert.match(m.log(), /The management controller answers again/);
  },
});

Deno.test({
  name:
    "a device that may not be opened is listed with the command that allows it, and one that fails with why",
  ...needs(linux, compiler),
  async fn() {
    using m = machineWithDevice();
    for (const denied of [EACCES, EPERM]) {
      m.ipmi.reset({ onOpen: denied });
      m.clock.spend(60_000);
      assert.deepEqual(await m.poll(), []);
      assert.equal(m.findings()[0].problem, "permission denied");
      assert.match(m.findings()[0].allow!, /^sudo setfacl -m u:\d+:rw \S+\/dev\/ipmi0$/);
    }
    m.ipmi.reset({ onOpen: ENOENT });
    m.clock.spend(60_000);
    assert.deepEqual(await m.poll(), []);
    assert.match(
      m.findings()[0].problem!,
      /^cannot open \S+\/dev\/ipmi0: No such file or directory \(error 2\)$/,
    );
    for (const [onSend, meaning] of [[EINVAL, "Invalid argument"], [ENODEV, "No such device"]] as const) {
      m.ipmi.reset({ onSend });
      m.clock.spend(60_000);
      assert.deepEqual(await m.poll(), []);
      assert.match(m.findings()[0].problem!, new RegExp(`^cannot ask: ${meaning}`));
    }
  },
});

Deno.test({
  name:
    "a controller that never answers is given up after the timeout, and at once when the source is closed",
  ...needs(linux, compiler),
  async fn() {
    {
      using m = machineWithDevice({ timeoutMs: 20 });
      assert.deepEqual(await m.poll(), []);
      assert.match(m.log(), /WARN .*no answer within 20 ms/);
    }
    {
      using m = machineWithDevice();
      const polling = m.poll(true);
      await until(() => m.ipmi.asked.length > 0);
      await m.clock.advance(500);
      assert.deepEqual(await polling, [], "a stop does not wait for it");
      await until(() => m.ipmi.openNow === 0);
    }
    using m = machineWithDevice();
    const polling = m.poll();
    await until(() => m.ipmi.asked.length > 0);
    m.source.close();
    assert.deepEqual(await polling, []);
    assert.equal(m.log(), "");
  },
});
