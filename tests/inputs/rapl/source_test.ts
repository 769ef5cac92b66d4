import assert from "node:assert/strict";
import { config } from "../../../lib/inputs/rapl/config.ts";
import type { FindOptions } from "../../../lib/inputs/rapl/find.ts";
import { RaplSource } from "../../../lib/inputs/rapl/source.ts";
import { EACCES, type PerfEvents, systemPerfEvents } from "../../../lib/inputs/polling/perf_events.ts";
import type { ProcRoots } from "../../../lib/inputs/polling/files.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { closing, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

const ZONE = "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0";
const PMU = "sys/bus/event_source/devices/power";

/** A tree with a package in powercap. */
function powercapTree(vendor = "GenuineIntel"): Tree {
  const tree = new Tree(null);
  tree.write("proc/cpuinfo", `vendor_id\t: ${vendor}\ncpu family\t: 6\nmodel\t\t: 142\n`);
  tree.write(`${ZONE}/name`, "package-0\n");
  tree.write(`${ZONE}/energy_uj`, "1000000\n");
  tree.write(`${ZONE}/max_energy_range_uj`, "262143328850\n");
  return tree;
}

/** Adds the PMU of two packages, whose CPUs are 0 and 64. */
function addPmu(tree: Tree, events: Record<string, string>, cpumask = "0,64"): void {
  tree.write(`${PMU}/type`, "32\n");
  tree.write(`${PMU}/cpumask`, `${cpumask}\n`);
  for (const [cpu, socket] of [[0, 1], [64, 0]]) {
    tree.write(`sys/devices/system/cpu/cpu${cpu}/topology/physical_package_id`, `${socket}\n`);
  }
  for (const [name, code] of Object.entries(events)) {
    tree.write(`${PMU}/events/${name}`, `event=${code}\n`);
    tree.write(`${PMU}/events/${name}.scale`, "2.3283064365386962890625e-10\n");
    tree.write(`${PMU}/events/${name}.unit`, "Joules\n");
  }
}

/** Events that count as the test says. */
class FakePerf implements PerfEvents {
  readonly opened: string[] = [];
  readonly values = new Map<number, bigint>();
  closed = 0;

  constructor(readonly answer = 0) {}

  open(type: number, config: bigint, cpu: number): number {
    this.opened.push(`${type} ${config} ${cpu}`);
    if (this.answer < 0) return this.answer;
    this.values.set(100 + this.opened.length, 45n);
    return 100 + this.opened.length;
  }

  read(descriptor: number): bigint | undefined {
    return this.values.get(descriptor);
  }

  close(): void {
    this.closed++;
  }

  /** Every counter goes on by one joule. */
  advance(): void {
    for (const [descriptor, value] of this.values) this.values.set(descriptor, value + 2n ** 32n);
  }
}

function raplOf(
  roots: ProcRoots,
  perf: PerfEvents | null,
  lines: string[] = [],
  options: Partial<FindOptions> = {},
) {
  const clock = new FakeClock();
  clock.spend(1e6);
  const measuring = measuringOf(roots, lines, clock);
  const source = new RaplSource(config.defaultValue(), measuring, { perfEvents: () => perf, ...options });
  return Object.assign(closing(source), { clock, measuring });
}

/** A tree with files that may not be read. */
function without(tree: Tree, denied: () => boolean, pattern = /energy_uj$/): ProcRoots {
  const open = (path: string) => {
    if (denied() && pattern.test(path)) throw new Deno.errors.PermissionDenied("EACCES");
    return Deno.openSync(path);
  };
  return { proc: tree.proc, sys: tree.sys, dev: tree.dev, open };
}

Deno.test("domains that powercap does not have come from perf events, by the number of the package", () => {
  using tree = powercapTree();
  addPmu(tree, { "energy-pkg": "0x02", "energy-psys": "0x05", "energy-ram": "0x03" });
  const perf = new FakePerf();
  using rapl = raplOf(tree, perf);
  assert.deepEqual(
    perf.opened,
    ["32 2 0", "32 3 0", "32 5 0", "32 3 64"],
    "package 0 is powercap's, the platform one",
  );
  assert.deepEqual(rows(pollOnce(rapl)), []);
  perf.advance();
  tree.write(`${ZONE}/energy_uj`, "3000000\n");
  rapl.clock.spend(1000);
  assert.deepEqual(rows(pollOnce(rapl)), [
    "rapl_consumed_energy{domain=package} cpu_package:0 local_machine 2",
    "rapl_consumed_energy{domain=package} cpu_package:1 local_machine 1",
    "rapl_consumed_energy{domain=dram} dram:1 local_machine 1",
    "rapl_consumed_energy{domain=platform} local_machine local_machine 1",
    "rapl_consumed_energy{domain=dram} dram:0 local_machine 1",
    "rapl_consumed_energy{domain=package_total} local_machine local_machine 3",
    "rapl_consumed_energy{domain=dram_total} local_machine local_machine 2",
    "rapl_consumed_energy{domain=platform_total} local_machine local_machine 1",
  ]);
  rapl.close();
  assert.equal(perf.closed, 4);
});

Deno.test("a counter that stands at 0 has no points until it counts, and its energy is then complete", () => {
  using tree = powercapTree();
  addPmu(tree, { "energy-psys": "0x05" });
  const perf = new FakePerf();
  using rapl = raplOf(tree, perf);
  for (const descriptor of perf.values.keys()) perf.values.set(descriptor, 0n);
  const platform = () => rapl.measuring.findings.list.find(({ what }) => what.includes("platform"))!;
  const polled = () => {
    rapl.clock.spend(1000);
    return rows(pollOnce(rapl)).filter((row) => row.includes("platform"));
  };
  assert.deepEqual(polled(), []);
  assert.equal(platform().problem, undefined, "events of perf begin at 0");
  assert.deepEqual(polled(), []);
  assert.match(platform().problem!, /^its counter stands at 0: this machine does not count it/);
  perf.advance();
  assert.deepEqual(polled(), [
    "rapl_consumed_energy{domain=platform} local_machine local_machine 1",
    "rapl_consumed_energy{domain=platform_total} local_machine local_machine 1",
  ]);
  assert.equal(platform().problem, undefined);
  assert.deepEqual(polled(), [
    "rapl_consumed_energy{domain=platform} local_machine local_machine 0",
    "rapl_consumed_energy{domain=platform_total} local_machine local_machine 0",
  ]);
});

Deno.test("only the package of AMD's processors is measured, even if other events are listed", () => {
  using tree = new Tree(null);
  tree.write("proc/cpuinfo", "vendor_id\t: AuthenticAMD\n");
  addPmu(
    tree,
    { "energy-cores": "0x01", "energy-pkg": "0x02", "energy-ram": "0x03", "energy-psys": "0x05" },
    "0",
  );
  const perf = new FakePerf();
  using _ = raplOf(tree, perf);
  assert.deepEqual(perf.opened, ["32 2 0"]);
});

Deno.test("with no_perf_events, neither events nor registers are opened", () => {
  using tree = powercapTree();
  addPmu(tree, { "energy-ram": "0x03" });
  const perf = new FakePerf();
  using _ = raplOf(tree, perf, [], { onlyPowercap: true });
  assert.deepEqual(perf.opened, []);
});

Deno.test("a counter that may not be read is reported once with the command that allows it, and measured as soon as it is", () => {
  using tree = powercapTree();
  let denied = true;
  const lines: string[] = [];
  using rapl = raplOf(without(tree, () => denied), null, lines);
  for (let minute = 0; minute < 3; minute++) {
    assert.equal(pollOnce(rapl).length, 0);
    rapl.clock.spend(60_000);
  }
  assert.equal(lines.length, 1, lines.join(""));
  assert.match(
    lines[0],
    /WARN .*Cannot read energy of the package, socket 0: permission denied file=.*energy_uj allow="sudo chmod o\+r .*energy_uj"/,
  );
  denied = false;
  pollOnce(rapl);
  tree.write(`${ZONE}/energy_uj`, "2000000\n");
  rapl.clock.spend(1000);
  assert.equal(pollOnce(rapl).length, 2);
  assert.match(lines[1], /INFO .*Found energy of the package/);
});

Deno.test("a counter that powercap denies and perf events allow causes no warning", () => {
  using tree = powercapTree();
  addPmu(tree, { "energy-pkg": "0x02" }, "64");
  const lines: string[] = [];
  using _ = raplOf(without(tree, () => true), new FakePerf(), lines);
  assert.deepEqual(lines.filter((line) => line.includes("WARN")), []);
  assert.equal(lines.length, 1);
});

Deno.test("events that may not be opened are reported with the setting of the kernel that allows them", () => {
  using tree = new Tree(null);
  addPmu(tree, { "energy-pkg": "0x02" });
  const lines: string[] = [];
  using _ = raplOf(tree, new FakePerf(EACCES), lines);
  assert.equal(lines.length, 2, "one for each package");
  assert.match(lines[0], /WARN .*allow="sudo sysctl kernel.perf_event_paranoid=0"/);
});

Deno.test("registers that may not be read cause no warning: they also exist without the counters", () => {
  using tree = new Tree(null);
  tree.write("proc/cpuinfo", "vendor_id\t: GenuineIntel\n");
  tree.write("sys/devices/system/cpu/online", "0\n");
  tree.write("dev/cpu/0/msr", "x");
  const lines: string[] = [];
  using rapl = raplOf(without(tree, () => true, /msr$/), null, lines);
  assert.equal(pollOnce(rapl).length, 0);
  assert.deepEqual(lines, []);
});

Deno.test("a package that is gone for more than a minute takes no part in the totals any more", () => {
  using tree = powercapTree();
  const second = ZONE.replace(/0$/, "1");
  tree.write(`${second}/name`, "package-1\n");
  tree.write(`${second}/energy_uj`, "1\n");
  using rapl = raplOf(tree, null);
  pollOnce(rapl);
  tree.remove(second);
  const next = () => {
    rapl.clock.spend(60_000);
    return rows(pollOnce(rapl)).map((row) => row.replace(/.*domain=(\w+).*/, "$1"));
  };
  assert.deepEqual(next(), ["package"]);
  assert.deepEqual(next(), ["package", "package_total"]);
});

Deno.test("an interval in which a counter can wrap twice is a warning", () => {
  using tree = powercapTree();
  const lines: string[] = [];
  const slow = { ...config.defaultValue(), poll_interval: 3_600_000 };
  using _ = closing(new RaplSource(slow, measuringOf(tree, lines), { perfEvents: () => null }));
  assert.match(lines.join(""), /WARN .*Energy may be missing.* poll_interval_s=3600 at_most_s=524/);
});

/** Another zone of powercap. */
function addZone(tree: Tree, n: number, name: string, microjoules = 1): string {
  const zone = ZONE.replace(/0$/, String(n));
  tree.write(`${zone}/name`, `${name}\n`);
  tree.write(`${zone}/energy_uj`, `${microjoules}\n`);
  return zone;
}

Deno.test("16 zones with names that mean nothing are said, each once", () => {
  for (const [zones, said] of [[2, 2], [20, 16]]) {
    using tree = new Tree(null);
    tree.write("proc/cpuinfo", "vendor_id\t: GenuineIntel\n");
    for (let n = 0; n < zones; n++) addZone(tree, n, `odd-${n}`);
    const lines: string[] = [];
    using rapl = raplOf(tree, null, lines);
    rapl.clock.spend(60_000);
    pollOnce(rapl);
    assert.equal(lines.filter((line) => /WARN.*Cannot tell what a zone/.test(line)).length, said);
  }
});

Deno.test("registers are looked for every minute while there are none, or one may not be read, and no longer", () => {
  using tree = powercapTree();
  tree.remove(ZONE);
  let denied = true;
  using rapl = raplOf(without(tree, () => denied, /rapl:1\/energy_uj$/), null);
  const measured = () => rows(pollOnce(rapl)).filter((row) => !row.includes("total")).length;
  const next = (ms: number, write: () => void) => {
    rapl.clock.spend(ms);
    measured();
    write();
    return [rapl.isIdle, measured()];
  };
  assert.ok(rapl.isIdle);
  addZone(tree, 0, "package-0");
  assert.deepEqual(next(59_999, () => {}), [true, 0]);
  addZone(tree, 1, "package-1");
  const counted = () =>
    [0, 1, 2].forEach((n) => n < 2 && tree.write(`${ZONE.replace(/0$/, String(n))}/energy_uj`, "2000001\n"));
  assert.deepEqual(next(1, counted), [false, 1]);
  denied = false;
  assert.deepEqual(next(60_000, counted), [false, 2]);
  // All that there is may be read: nobody looks any more.
  addZone(tree, 2, "package-2");
  next(60_000, counted);
  assert.equal(next(60_000, () => {})[1], 2);
});

Deno.test("where all is measured nobody looks again, be it one register; those that are measured stay open", () => {
  using tree = powercapTree();
  using one = raplOf(tree, null);
  addZone(tree, 1, "package-1");
  for (let n = 0; n < 3; n++) {
    tree.write(`${ZONE}/energy_uj`, `${2_000_000 + n}\n`);
    one.clock.spend(60_000);
    assert.ok(pollOnce(one).length < 3, "one and its total");
  }
  addPmu(tree, { "energy-psys": "0x05", "energy-ram": "0x03" });
  const perf = new FakePerf();
  using rapl = raplOf(without(tree, () => true), perf);
  const opened = perf.opened.length;
  assert.equal(opened, 3);
  for (let n = 0; n < 2; n++) {
    rapl.clock.spend(60_000);
    pollOnce(rapl);
  }
  assert.deepEqual([perf.opened.length, perf.closed], [opened, 0]);
});

Deno.test("a register that is gone is closed, and a counter that jumps is said", () => {
  using tree = powercapTree();
  const second = addZone(tree, 1, "package-1");
  const lines: string[] = [];
  using rapl = raplOf(tree, null, lines);
  pollOnce(rapl);
  const { kept } = rapl.measuring.files;
  tree.remove(second);
  for (let n = 0; n < 2; n++) {
    rapl.clock.spend(60_000);
    pollOnce(rapl);
  }
  assert.equal(rapl.measuring.files.kept, kept - 1);
  assert.deepEqual(lines.filter((line) => line.includes("jump")), []);
  tree.write(`${ZONE}/energy_uj`, "262143328849\n");
  rapl.clock.spend(1);
  pollOnce(rapl);
  assert.equal(lines.filter((line) => /WARN.*energy_uj.*jumps=1/.test(line)).length, 1, lines.join(""));
});

Deno.test("a register of one of two dies that may not be read is said with its die", () => {
  using tree = powercapTree();
  for (const n of [0, 1]) addZone(tree, n, `package-0-die-${n}`);
  const lines: string[] = [];
  using _ = raplOf(without(tree, () => true, /rapl:1\/energy_uj$/), null, lines);
  assert.match(
    lines.find((line) => line.includes("WARN"))!,
    /Cannot read energy of the package, socket 0, die 1: /,
  );
});

Deno.test("a counter may wrap once between two polls, at 500 W", () => {
  const warnings = (poll_interval: number) => {
    using tree = powercapTree();
    const lines: string[] = [];
    const keys = { ...config.defaultValue(), poll_interval };
    using _ = closing(new RaplSource(keys, measuringOf(tree, lines), { perfEvents: () => null }));
    return lines.filter((line) => line.includes("can wrap more than once")).length;
  };
  const wrapMs = 1000 * (262_143_328_850 / 1e6) / 500;
  assert.deepEqual([1000, wrapMs - 1, wrapMs, wrapMs + 1].map(warnings), [0, 0, 0, 1]);
});

Deno.test({
  name: "the kernel's own events are opened and read through the C library, or refused",
  ignore: Deno.build.os !== "linux",
  sanitizeResources: false,
  fn() {
    const perf = systemPerfEvents()!;
    // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK: nanoseconds.
    const descriptor = perf.open(1, 0n, 0);
    if (descriptor < 0) {
      assert.ok([-1, -13, -38, -22, -2].includes(descriptor), `error ${descriptor}`);
      return;
    }
    const before = perf.read(descriptor)!;
    for (const began = performance.now(); performance.now() - began < 5;);
    const after = perf.read(descriptor)!;
    perf.close(descriptor);
    assert.ok(after > before && after - before < 60_000_000_000n, `${before} ${after}`);
    assert.equal(perf.read(descriptor), undefined, "it is closed");
  },
});
