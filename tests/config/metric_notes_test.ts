/** What `config check` says of metrics that transforms name. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { metricNotes } from "../../lib/config/metric_notes.ts";
import type { Plugin } from "../../lib/plugin.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** The notes on a file with procfs, rapl and csv, and their number. */
async function notesOn(text: string): Promise<string[]> {
  await using dir = new TempDir();
  const path = dir.file("c.toml");
  await Deno.writeTextFile(path, `[plugins.procfs]\n[plugins.rapl]\n[plugins.csv]\n${text}`);
  let said = "";
  const code = await main(["config", "check", "--config", path, "--strict"], {
    stdout: () => true,
    stderr: (text) => void (said += text),
    env: () => undefined,
  });
  assert.equal(code, 0, said);
  return said.replaceAll(path, "c.toml").split("\n").filter((line) => line.startsWith("Note: "));
}

const FORMULA = (energy: string) =>
  `[plugins.energy-attribution.formulas.a]
expr = "e * u"
ref = "e"
per_resource.e = { metric = "${energy}" }
per_consumer.u = { metric = "cpu_percent" }
`;

const CASES: [name: string, text: string, note: RegExp | undefined][] = [
  ["a metric that an input makes", FORMULA("rapl_consumed_energy"), undefined],
  [
    "a metric that no input makes",
    FORMULA("rapl_energy"),
    /^Note: c\.toml:7: plugins\.energy-attribution\.formulas\.a\.per_resource\.e: no enabled input makes the metric rapl_energy/,
  ],
  ...([
    ["an event of perf", "[plugins.perf]\nevents = ['PAGE_FAULTS']", "perf_page_faults", "perf_cache_misses"],
    ["a renamed event", "[plugins.perf]\nevents = [{ event = 'rC0', rename = 'x' }]", "perf_x", "perf_rc0"],
    ["a metric of Intel's GPUs", "[plugins.intel-gpu]", "gpu_process_engine_time", "gpu2"],
    [
      "a metric of Kwollect",
      "[plugins.kwollect-input]\nsite = 'a'\nhostname = 'b'\nmetrics = ['c_watt']",
      "c_watt",
      "c",
    ],
  ].flatMap(([name, section, made, other]): typeof CASES => [
    [name, `${section}\n[plugins.filter]\ninclude = ["${made}"]`, undefined],
    [
      `not ${name}`,
      `${section}\n[plugins.filter]\ninclude = ["${other}"]`,
      new RegExp(`makes the metric ${other}`),
    ],
  ])),
  ["a pattern", '[plugins.filter]\ninclude = ["x_*"]', undefined],
  [
    "a name of a filter",
    '[plugins.filter]\ninclude = ["mem_total", "mem_totl"]',
    /include\[1\]: no enabled input makes the metric mem_totl/,
  ],
  [
    "a metric from clients",
    '[plugins.relay-server]\naddress = "127.0.0.1:1"\n' + FORMULA("anything"),
    undefined,
  ],
  [
    "the result of a transform before",
    '[plugins.energy-attribution]\nenergy_by = ["process"]\n[plugins.filter]\ninclude = ["process_energy"]',
    undefined,
  ],
  [
    "the result of a transform behind",
    '[plugins.filter]\ninclude = ["process_energy"]\n[plugins.energy-attribution]\nenergy_by = ["process"]',
    /no enabled input makes the metric process_energy, and no transform before/,
  ],
  [
    "a unit that does not fit",
    '[[plugins.convert.rules]]\nmetric = "mem_total"\nunit = "kWh"',
    /rules\[0\]\.metric: the unit of mem_total is By, expected W\.h or J/,
  ],
  ["a unit that fits", '[[plugins.convert.rules]]\nmetric = "rapl_consumed_energy"\nunit = "kWh"', undefined],
  [
    "energy in the wrong unit",
    '[plugins.energy-attribution]\nenergy_by = ["process"]\nenergy = { metric = "cpu_percent" }',
    /energy: the unit of cpu_percent is %, expected J or W\.h/,
  ],
];

Deno.test("what an input says of one metric counts more than what it says of many", () => {
  const plugin = (rest: Partial<Plugin>) => ({ plugin: rest as Plugin, config: {} });
  const notes = metricNotes({
    plugins: [
      plugin({ name: "in", kind: "input", metrics: ["m J", "m* W"] }),
      plugin({
        ...{ name: "t", kind: "transform", metrics: [] },
        wants:
          () => [{ path: ["x"], metric: "m", bases: ["W"] }, { path: ["y"], metric: "m2", bases: ["W"] }],
      }),
    ],
    source: () => ({ kind: "default" }),
  });
  assert.equal(notes.length, 1);
  assert.match(notes[0], /plugins\.t\.x: the unit of m is J, expected W$/);
});

for (const [name, text, note] of CASES) {
  Deno.test(`${name} ${note ? "is noted" : "needs no note"}`, async () => {
    const notes = await notesOn(text);
    if (note) assert.ok(notes.length >= 1 && note.test(notes.join("\n")), notes.join("\n"));
    else assert.deepEqual(notes, []);
  });
}
