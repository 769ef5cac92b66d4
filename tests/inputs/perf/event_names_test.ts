import assert from "node:assert/strict";
import { config } from "../../../lib/inputs/perf/config.ts";
import { eventNameOf, eventNote, metricNameOf } from "../../../lib/inputs/perf/event_names.ts";
import { pmuCodeOf } from "../../../lib/inputs/perf/pmu.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { Tree } from "../../kit/tree.ts";

/** `type config excludes`, or the problem. */
function of(text: string): string {
  const event = eventNameOf(text);
  if (typeof event === "string") return event;
  const { code, excludes } = event;
  if (!code) return "unknown";
  const bits = [...excludes.toString(2)].reverse().flatMap((bit, i) => bit === "1" ? [i] : []).join();
  return "pmu" in code ? `${code.pmu} ${code.terms} ${bits}` : `${code.type} ${code.config} ${bits}`;
}

Deno.test("names mean the kernel's events: hardware, software, cache, raw, and those of a PMU", () => {
  assert.equal(of("CPU_CYCLES"), "0 0 5,6");
  assert.equal(of("REF_CPU_CYCLES"), "0 9 5,6");
  assert.equal(of("PAGE_FAULTS_MAJ"), "1 6 5,6");
  assert.equal(of("CGROUP_SWITCHES"), "1 11 5,6");
  assert.equal(of("LL_READ_MISS"), `3 ${2 | 1 << 16} 5,6`);
  assert.equal(of("L1D_PREFETCH_ACCESS"), `3 ${2 << 8} 5,6`);
  assert.equal(of("NODE_WRITE_MISS"), `3 ${6 | 1 << 8 | 1 << 16} 5,6`);
  assert.equal(of("r01c2"), `4 ${0x1c2} 5,6`);
  assert.equal(of("r0x1C2"), `4 ${0x1c2} 5,6`);
  assert.equal(of("cpu/cache-misses,umask=0x1/"), "cpu cache-misses,umask=0x1 5,6");
  for (
    const text of [
      "",
      "cycles",
      "L1D",
      "LL_READ_MISS_X",
      "LL_MISS_READ",
      "XX_READ_MISS",
      "L1D_XX_MISS",
      "L1D_READ_XX",
      "r",
      "rXYZ",
      "r11112222333344445",
      "a/b/c/",
    ]
  ) {
    assert.equal(of(text), "unknown", text);
  }
});

Deno.test("each event has the number that the kernel gives it in perf_event.h", () => {
  const hardware = [
    ...[
      "CPU_CYCLES",
      "INSTRUCTIONS",
      "CACHE_REFERENCES",
      "CACHE_MISSES",
      "BRANCH_INSTRUCTIONS",
      "BRANCH_MISSES",
    ],
    ...["BUS_CYCLES", "STALLED_CYCLES_FRONTEND", "STALLED_CYCLES_BACKEND", "REF_CPU_CYCLES"],
  ];
  const software = [
    ...["CPU_CLOCK", "TASK_CLOCK", "PAGE_FAULTS", "CONTEXT_SWITCHES", "CPU_MIGRATIONS", "PAGE_FAULTS_MIN"],
    ...["PAGE_FAULTS_MAJ", "ALIGNMENT_FAULTS", "EMULATION_FAULTS"],
  ];
  hardware.forEach((name, i) => assert.equal(of(name), `0 ${i} 5,6`));
  software.forEach((name, i) => assert.equal(of(name), `1 ${i} 5,6`));
  const caches = ["L1D", "L1I", "LL", "DTLB", "ITLB", "BPU", "NODE"];
  caches.forEach((cache, c) =>
    ["READ", "WRITE", "PREFETCH"].forEach((operation, o) =>
      ["ACCESS", "MISS"].forEach((result, r) =>
        assert.equal(of(`${cache}_${operation}_${result}`), `3 ${c | o << 8 | r << 16} 5,6`)
      )
    )
  );
});

Deno.test("modes say what is counted: user mode alone unless others are named", () => {
  assert.equal(of("INSTRUCTIONS#u:k"), "0 1 6");
  assert.equal(of("INSTRUCTIONS#k"), "0 1 4,6");
  assert.equal(of("INSTRUCTIONS#u:k:h"), "0 1 ");
  assert.equal(of("INSTRUCTIONS#H"), "0 1 5,6,20");
  assert.equal(of("INSTRUCTIONS#u:G:I"), "0 1 5,6,7,19");
  assert.equal(of("INSTRUCTIONS#G:H"), "0 1 5,6");
  for (const text of ["INSTRUCTIONS#x", "INSTRUCTIONS#u,k", "INSTRUCTIONS#u#k"]) {
    assert.match(of(text), /^modes are/);
  }
});

Deno.test("a name of libpfm is valid, with a note that it is not counted; wrong modes are not valid", () => {
  const check = (...events: unknown[]) => {
    const problems: string[] = [];
    config.check({ events }, [], ({ path, message, isNote }) => {
      problems.push(`${isNote ? "note" : "problem"} ${path.join(".")}: ${message.slice(0, 60)}`);
    });
    return problems;
  };
  assert.deepEqual(check("INSTRUCTIONS", { event: "cpu/x/", rename: "x" }), []);
  assert.deepEqual(check("skx::INST_RETIRED:ANY"), [
    "note events.0: the event skx::INST_RETIRED:ANY will not be counted: its nam",
  ]);
  assert.match(
    check({ event: "INSTRUCTIONS#x" }).join(),
    /^problem events\.0\.event: cannot use .*: modes are/,
  );
  assert.equal(eventNote("INSTRUCTIONS#x"), undefined, "it is a problem, and no note");
  assert.match(check({ rename: "x" }, 5).join(), /^problem events\.1: expected a text, found 5/);
});

Deno.test("a metric is called after its event", () => {
  assert.equal(metricNameOf("REF_CPU_CYCLES", undefined), "perf_ref_cpu_cycles");
  assert.equal(metricNameOf("cpu/cache-misses/", undefined), "perf_cpu_cache_misses");
  assert.equal(metricNameOf("r01c2", "stalls"), "perf_stalls");
});

Deno.test("terms of a PMU are put into the bits that its files name", () => {
  using tree = new Tree(null);
  const folder = "sys/bus/event_source/devices/cpu";
  tree.write(`${folder}/type`, "4\n");
  tree.write(`${folder}/format/event`, "config:0-7,32-35\n");
  tree.write(`${folder}/format/umask`, "config:8-15\n");
  tree.write(`${folder}/format/edge`, "config:18\n");
  tree.write(`${folder}/format/ldlat`, "config1:0-15\n");
  tree.write(`${folder}/format/odd`, "nothing\n");
  tree.write(`${folder}/events/cache-misses`, "event=0x64,umask=0x09\n");
  const files = new ProcFiles(tree);
  const code = (terms: string, pmu = "cpu") => {
    const code = pmuCodeOf(files, { pmu, terms });
    return typeof code === "string"
      ? code
      : `${code.type} ${[code.config, code.config1, code.config2].map((n) => n.toString(16))}`;
  };
  assert.equal(code("cache-misses"), "4 964,0,0");
  assert.equal(code("event=0x364,umask=1,edge"), "4 300040164,0,0");
  assert.equal(code("cache-misses,ldlat=30"), "4 964,1e,0");
  assert.equal(code("config=0x1,config2=5"), "4 1,0,5");
  assert.equal(code("event=0x1000"), "event=0x1000 does not fit into config:0-7,32-35");
  assert.equal(code("odd=1"), "odd=1 does not fit into nothing");
  assert.equal(code("unknown"), "the PMU cpu has neither an event nor a term unknown");
  assert.equal(code("event=x"), "event=x is not a term with a number");
  assert.equal(code("event=1", "gpu"), "there is no PMU gpu on this machine");
  for (
    const [type, found] of [["4294967296", "there is no PMU cpu on this machine"], [
      "4294967295",
      "4294967295 1,0,0",
    ]]
  ) {
    tree.write(`${folder}/type`, `${type}\n`);
    assert.equal(code("event=1"), found);
  }
  for (const format of ["config:9-3", "config:60-64", "config:64", "config:0-7,9-8"]) {
    tree.write(`${folder}/format/event`, format);
    assert.equal(code("event=1"), `event=1 does not fit into ${format}`);
  }
  tree.write(`${folder}/format/event`, "config:60-63");
  assert.equal(code("event=15"), "4294967295 f000000000000000,0,0");
  // Whatever is in the files, a code is one of 64 bits.
  for (
    const format of ["config:0-63", "config:60-70", "config:9-3", "config:0-7,", "", "config3:0", "config:63"]
  ) {
    tree.write(`${folder}/format/event`, format);
    for (const value of ["0xffffffffffffffff", "99999999999999999999", "1"]) {
      const result = pmuCodeOf(files, { pmu: "cpu", terms: `event=${value}` });
      if (typeof result === "object") assert.ok(result.config < 2n ** 64n && result.config >= 0n);
    }
  }
});
