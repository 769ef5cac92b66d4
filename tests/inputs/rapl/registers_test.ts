/** How each kind of register is found, and how many joules one of its steps is. */
import assert from "node:assert/strict";
import type { OpenFile } from "../../../lib/inputs/polling/files.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import type { PerfEvents } from "../../../lib/inputs/polling/perf_events.ts";
import type { Candidate } from "../../../lib/inputs/rapl/candidate.ts";
import { msrCandidates } from "../../../lib/inputs/rapl/msr.ts";
import { perfCandidates } from "../../../lib/inputs/rapl/perf.ts";
import { powercapCandidates } from "../../../lib/inputs/rapl/powercap.ts";
import { type Processor, processorOf, wideEnergyUnit } from "../../../lib/inputs/rapl/processor.ts";
import { type Domain, type EnergyRegister, keyOf } from "../../../lib/inputs/rapl/register.ts";
import { Tree } from "../../kit/tree.ts";

const INTEL: Processor = { vendor: "intel", family: 6, model: 142 };

const placesOf = (candidates: Iterable<Candidate>) =>
  Array.from(candidates, ({ domain, socket, die }) => `${domain} ${socket} ${die}`);

function opened(candidate: Candidate): EnergyRegister {
  const register = candidate.open();
  assert.ok(typeof register === "object", String(register));
  return register;
}

Deno.test("the processor is that of the first lines of /proc/cpuinfo", () => {
  using tree = new Tree(null);
  const read = (text: string) => {
    tree.write("proc/cpuinfo", text);
    return processorOf(new ProcFiles(tree));
  };
  const text = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: 7\n";
  assert.deepEqual(read(text), { vendor: "intel", family: 6, model: 85 });
  for (
    const [vendor, expected] of [["AuthenticAMD", "amd"], ["HygonGenuine", "amd"], ["ARM", "other"]] as const
  ) {
    assert.equal(read(text.replace("GenuineIntel", vendor)).vendor, expected);
  }
  assert.equal(read("").vendor, "other");
});

Deno.test("memory of Intel's servers counts in steps of 2^-16 J, and the platform of the newest in joules", () => {
  const steps = (domain: Domain) =>
    Array.from({ length: 256 }, (_, model) => model).filter((model) =>
      wideEnergyUnit({ ...INTEL, model }, domain) !== undefined
    );
  assert.deepEqual(steps("dram"), [63, 79, 85, 86, 87, 106, 108, 133]);
  assert.deepEqual(steps("platform"), [143, 207]);
  assert.deepEqual([steps("package"), steps("pp0"), steps("pp1")], [[], [], []]);
  assert.equal(wideEnergyUnit({ ...INTEL, model: 85 }, "dram"), 2 ** -16);
  assert.equal(wideEnergyUnit({ ...INTEL, model: 143 }, "platform"), 1);
  assert.equal(wideEnergyUnit({ vendor: "amd", family: 6, model: 85 }, "dram"), undefined);
  assert.equal(wideEnergyUnit({ ...INTEL, family: 15, model: 85 }, "dram"), undefined);
});

/** Registers of one CPU by their numbers, as its device has them. */
class Registers implements OpenFile {
  closed = 0;
  #at = 0;

  constructor(readonly values: ReadonlyMap<number, bigint>) {}

  seekSync(offset: number): number {
    return this.#at = offset;
  }

  readSync(buffer: Uint8Array): number {
    const value = this.values.get(this.#at);
    if (value === undefined) throw new Error("Input/output error (os error 5)");
    assert.equal(buffer.length, 8);
    new DataView(buffer.buffer).setBigUint64(0, value, true);
    return value === SHORT ? 4 : 8;
  }

  close(): void {
    this.closed++;
  }
}

/** A read of this one is cut short. */
const SHORT = 1n;

/** A machine with these registers in each of its CPUs. */
function machine(tree: Tree, values: Record<number, bigint>, online = "0-1") {
  tree.write("sys/devices/system/cpu/online", `${online}\n`);
  const registers = new Registers(
    new Map(Object.entries(values).map(([key, value]) => [Number(key), value])),
  );
  const files = new ProcFiles({
    ...tree,
    proc: tree.proc,
    sys: tree.sys,
    dev: tree.dev,
    open: (path) => path.endsWith("/msr") ? registers : Deno.openSync(path),
  });
  return { registers, files };
}

Deno.test("a register is measured on one CPU of each die, and the platform once", () => {
  using tree = new Tree(null);
  for (const [cpu, socket, die] of [[0, 0, 0], [1, 0, 0], [2, 0, 1], [3, 1, 0]]) {
    const folder = `sys/devices/system/cpu/cpu${cpu}/topology`;
    tree.write(`${folder}/physical_package_id`, `${socket}\n`);
    tree.write(`${folder}/die_id`, `${die}\n`);
  }
  const { files } = machine(tree, {}, "0-3");
  const of = (processor: Processor) => [...msrCandidates(files, processor)];
  const places = ["0 0", "0 1", "1 0"].flatMap((place) => [
    ...["package", "pp0", "pp1", "dram"].map((domain) => `${domain} ${place}`),
    "platform 0 0",
  ]);
  assert.deepEqual(placesOf(of(INTEL)), places);
  assert.deepEqual(of(INTEL).filter(({ domain }) => domain === "package").map(({ file }) => file), [
    `${tree.dev}/cpu/0/msr`,
    `${tree.dev}/cpu/2/msr`,
    `${tree.dev}/cpu/3/msr`,
  ]);
  assert.deepEqual(placesOf(of({ ...INTEL, vendor: "amd" })), ["package 0 0", "package 0 1", "package 1 0"]);
  assert.deepEqual(of({ ...INTEL, vendor: "other" }), []);
  tree.write("sys/devices/system/cpu/online", "9\n");
  assert.deepEqual(placesOf(of({ ...INTEL, vendor: "amd" })), ["package 0 0"], "nothing says where it is");
  tree.write("sys/devices/system/cpu/online", "none\n");
  assert.deepEqual(of(INTEL), []);
});

Deno.test("a register counts in 32 bits, in steps that another register says", () => {
  using tree = new Tree(null);
  // The unit is in the bits 8 to 12; what else is in the registers is left alone.
  const { files, registers } = machine(tree, {
    0x606: 0xffff_ffff_ffff_eeffn,
    0x611: 0xffff_ffff_0000_0010n,
    0x619: 7n,
    0x639: 0n,
    0x641: SHORT,
    0x64d: 9n,
    0xc0010299: 16n << 8n,
    0xc001029b: 5n,
  });
  const open = (domain: Domain, processor = INTEL) =>
    [...msrCandidates(files, processor)].find((candidate) => candidate.domain === domain)!.open();
  const of = (domain: Domain, processor?: Processor) => {
    const register = open(domain, processor);
    assert.ok(typeof register === "object");
    assert.equal(register.max, 2 ** 32 - 1);
    return [register.read(), register.joules(3 * 2 ** 16)];
  };
  assert.deepEqual(of("package"), [16, 3 * 2 ** 16 * 2 ** -14]);
  assert.deepEqual(of("dram"), [7, 3 * 2 ** 16 * 2 ** -14]);
  assert.deepEqual(of("dram", { ...INTEL, model: 85 }), [7, 3]);
  assert.deepEqual(of("platform", { ...INTEL, model: 143 }), [9, 3 * 2 ** 16]);
  assert.deepEqual(of("package", { ...INTEL, vendor: "amd" }), [5, 3]);
  assert.equal(registers.closed, 0);
  for (const domain of ["pp0", "pp1"] as const) assert.equal(open(domain), "failed", domain);
  assert.equal(registers.closed, 2, "one that is 0 for ever, and one that cannot be read");
  const register = open("package");
  assert.ok(typeof register === "object");
  assert.equal(register.isGone, false);
  register.close();
  register.close();
  assert.deepEqual([register.read(), registers.closed], [undefined, 3]);
});

Deno.test("each domain of Intel has its register", () => {
  using tree = new Tree(null);
  const registers = { package: 0x611, pp0: 0x639, pp1: 0x641, dram: 0x619, platform: 0x64d };
  const { files } = machine(tree, {
    0x606: 0n,
    ...Object.fromEntries(Object.values(registers).map((number) => [number, BigInt(number)])),
  });
  const values = Array.from(msrCandidates(files, INTEL), (candidate) => {
    const register = opened(candidate);
    return [candidate.domain, Number(register.read())];
  });
  assert.deepEqual(Object.fromEntries(values), registers);
});

Deno.test("registers without a unit, or without a device, are not measured", () => {
  using tree = new Tree(null);
  const { files, registers } = machine(tree, { 0x611: 5n });
  assert.equal([...msrCandidates(files, INTEL)][0].open(), "failed");
  assert.equal(registers.closed, 1);
  for (
    const [error, why] of [
      [new Deno.errors.PermissionDenied("EACCES"), "denied"],
      [new Deno.errors.NotFound("ENOENT"), "gone"],
      [new Error("Input/output error (os error 5)"), "failed"],
    ] as const
  ) {
    const open = (path: string) => {
      if (path.endsWith("/msr")) throw error;
      return Deno.openSync(path);
    };
    const files = new ProcFiles({ proc: tree.proc, sys: tree.sys, dev: tree.dev, open });
    assert.equal([...msrCandidates(files, INTEL)][0].open(), why);
  }
});

Deno.test("zones of powercap are those of packages and dies, and what is nested in them", () => {
  using tree = new Tree(null);
  const zone = (path: string, name: string) => {
    const folder = `sys/class/powercap/${path}`;
    tree.write(`${folder}/name`, `${name}\n`);
    tree.write(`${folder}/energy_uj`, "5000000\n");
  };
  zone("intel-rapl:0", "package-0");
  zone("intel-rapl:0/intel-rapl:0:0", "core");
  zone("intel-rapl:0/intel-rapl:0:1", "uncore");
  zone("intel-rapl:0:0", "core");
  zone("intel-rapl:1", "package-1-die-2");
  zone("intel-rapl:1/intel-rapl:1:0", "dram");
  zone("intel-rapl:2", "psys");
  zone("intel-rapl:3", "toString");
  zone("intel-rapl:5", "dram");
  zone("intel-rapl:4/intel-rapl:4:0", "core");
  zone("intel-rapl-mmio:0", "package-0");
  tree.write("sys/class/powercap/intel-rapl/enabled", "1\n");
  const skipped: string[] = [];
  const find = () => [...powercapCandidates(new ProcFiles(tree), (name) => void skipped.push(name))];
  assert.deepEqual(placesOf(find()).sort(), [
    "dram 0 0",
    "dram 1 2",
    "package 0 0",
    "package 1 2",
    "platform 0 0",
    "pp0 0 0",
    "pp1 0 0",
  ]);
  assert.deepEqual(skipped, ["toString"]);
  const first = find().find(({ domain }) => domain === "package")!;
  assert.equal(first.allow, `sudo chmod o+r ${tree.sys}/class/powercap/intel-rapl:0/energy_uj`);
  const register = opened(first);
  assert.deepEqual([register.max, register.read(), register.joules(5_000_000)], [undefined, 5_000_000, 5]);
  register.close();
  for (
    const [range, max] of [["262143328850\n", 262143328850], ["0\n", undefined], ["1\n", 1], [
      "",
      undefined,
    ]] as const
  ) {
    tree.write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", range);
    const register = opened(first);
    assert.equal(register.max, max);
    register.close();
  }
  const last = opened(first);
  assert.deepEqual([last.read(), last.isGone], [5_000_000, false]);
  tree.remove("sys/class/powercap/intel-rapl:0");
  assert.deepEqual([last.read(), last.isGone], [undefined, true]);
  last.close();
  assert.equal(first.open(), "gone");
  // The folder of the control type itself goes first.
  tree.write("sys/devices/virtual/powercap/intel-rapl/intel-rapl:7/name", "package-7\n");
  assert.deepEqual(placesOf(find()), ["package 7 0"]);
});

Deno.test("zones are looked for five levels deep, and not for ever", () => {
  using tree = new Tree(null);
  let folder = "sys/class/powercap";
  for (let depth = 0; depth < 8; depth++) {
    folder += `/intel-rapl:0${":0".repeat(depth)}`;
    tree.write(`${folder}/name`, `package-${depth}\n`);
  }
  assert.equal(placesOf(powercapCandidates(new ProcFiles(tree), () => {})).length, 5);
});

Deno.test("events of energy are those of the PMU power, on each CPU that it names, in the steps that it says", () => {
  using tree = new Tree(null);
  const folder = "sys/bus/event_source/devices/power";
  tree.write(`${folder}/type`, "4294967295\n");
  tree.write(`${folder}/cpumask`, "0,8\n");
  const event = (name: string, code: string, scale: string) => {
    tree.write(`${folder}/events/${name}`, `${code}\n`);
    tree.write(`${folder}/events/${name}.scale`, `${scale}\n`);
  };
  event("energy-pkg", "event=0x02", "0.5");
  event("energy-cores", "umask=1,event=0xfF", "1e-3");
  event("energy-gpu", "event=2", "0.5");
  event("energy-ram", "event=0x03", "0");
  event("energy-psys", "event=0x05", "-1");
  tree.write("sys/devices/system/cpu/cpu8/topology/physical_package_id", "1\n");
  tree.write("sys/devices/system/cpu/cpu8/topology/die_id", "3\n");
  const asked: string[] = [];
  let answer = 0;
  const values = new Map([[0, 7n]]);
  const perf: PerfEvents = {
    open: (type, config, cpu) => (asked.push(`${type} ${config} ${cpu}`), answer),
    read: (descriptor) => values.get(descriptor),
    close: (descriptor) => void asked.push(`close ${descriptor}`),
  };
  const find = () => [...perfCandidates(new ProcFiles(tree), () => perf)];
  assert.deepEqual(placesOf(find()), ["package 0 0", "pp0 0 0", "package 1 3", "pp0 1 3"]);
  const register = opened(find()[3]);
  assert.deepEqual(asked, ["4294967295 255 8"]);
  assert.equal(register.isGone, false, "nobody has read it");
  assert.deepEqual([register.read(), register.joules(2000), register.isGone], [7n, 2, false]);
  values.clear();
  assert.deepEqual([register.read(), register.isGone], [undefined, true]);
  register.close();
  register.close();
  assert.deepEqual(asked.slice(1), ["close 0"]);
  for (const [error, why] of [[-1, "denied"], [-13, "denied"], [-2, "failed"]] as const) {
    answer = error;
    assert.equal(find()[0].open(), why);
  }
  event("energy-psys", "event=0x05", "1");
  assert.deepEqual(placesOf(find()).filter((place) => place.startsWith("platform")), [
    "platform 0 0",
    "platform 0 0",
  ]);
  for (const [file, text] of [["type", "4294967296"], ["type", "x"], ["type", "-1"], ["cpumask", "x"]]) {
    const before = tree.read(`${folder}/${file}`);
    tree.write(`${folder}/${file}`, text);
    assert.deepEqual(find(), [], `${file}: ${text}`);
    tree.write(`${folder}/${file}`, before);
  }
  tree.write(`${folder}/type`, "0\n");
  assert.equal(find().length, 6);
  assert.deepEqual([...perfCandidates(new ProcFiles(tree), () => null)], []);
});

Deno.test("a register is one of its domain, package and die; a machine has one platform", () => {
  const keys = (["package", "dram", "platform"] as const).map((domain) =>
    new Set([[0, 0], [0, 1], [1, 0]].map(([socket, die]) => keyOf({ domain, socket, die }))).size
  );
  assert.deepEqual(keys, [3, 3, 1]);
});
