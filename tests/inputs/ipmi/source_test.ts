import assert from "node:assert/strict";
import { wattsOf } from "../../../lib/inputs/ipmi/power_reading.ts";
import { IpmiSource } from "../../../lib/inputs/ipmi/source.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
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

/** A machine with a made-up ipmitool. */
function machine({ device = "ipmi0", timeoutMs = 60_000 } = {}) {
  const tree = new Tree(null);
  if (device !== "") tree.write(`dev/${device}`, "");
  const install = (script: string) => {
    tree.write("bin/ipmitool", `#!/bin/sh\ncd "$(dirname "$0")"\necho "$@" >>asked\n${script}\n`);
    Deno.chmodSync(`${tree.bin}/ipmitool`, 0o755);
  };
  tree.write("bin/answer", ANSWER);
  install("cat answer");
  const clock = new FakeClock();
  const lines: string[] = [];
  const measuring = measuringOf(tree, lines, clock);
  const source = new IpmiSource(measuring, timeoutMs);
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
