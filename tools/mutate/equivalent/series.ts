/** Mutants of what transforms and inputs keep of series, and of their keys, that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const SERIES: readonly EquivalentMutant[] = [
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "const LOOK = { passes: 1, counts: 2 } as const;",
    after: "const LOOK = { passes: 1, counts: 3 } as const;",
    reason: "Any mark that is not the other one will do.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "#tick = 0;",
    after: "#tick = 1;",
    reason: "Only the differences of ticks count.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "if (window < 0 || ms < windows.start[window] || ms >= windows.limit[window]) {",
    after: [
      "if (window <= 0 || ms < windows.start[window] || ms >= windows.limit[window]) {",
      "if (window < 1 || ms < windows.start[window] || ms >= windows.limit[window]) {",
      "if (window < 0 || ms <= windows.start[window] || ms >= windows.limit[window]) {",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "else if (value < windows.min[window]) windows.min[window] = value;",
    after: "else if (value <= windows.min[window]) windows.min[window] = value;",
    reason: "The same number is set again.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "else if (value > windows.max[window]) windows.max[window] = value;",
    after: "else if (value >= windows.max[window]) windows.max[window] = value;",
    reason: "The same number is set again.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "this.#tick = (this.#tick + 1) >>> 0;",
    after: "this.#tick = (this.#tick + 1) << 0;",
    reason: "The difference of two ticks is the same.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before:
      "if ((this.#tick - windows.tick[window]) >>> 0 >= this.#silentTicks) this.#complete(window, out);",
    after: "if ((this.#tick - windows.tick[window]) << 0 >= this.#silentTicks) this.#complete(window, out);",
    reason: "No window is open for 2^31 ticks.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "let limit = start + this.#intervalMs;",
    after: "let limit = start - this.#intervalMs;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "limit = Math.min(limit, windows.start[window] + reach);",
    after: "limit = Math.min(limit, windows.start[window] - reach);",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "const isLate = completed !== 0 && ((completed - (number + 1)) | 0) >= 0;",
    after: "const isLate = completed !== 0 && ((completed - (number + 1)) | 1) >= 0;",
    reason: "The lowest bit does not change whether a number is below 0.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "if (value < exact.min) exact.min = value;",
    after: "if (value <= exact.min) exact.min = value;",
    reason: "The same number is set again.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "if (value > exact.max) exact.max = value;",
    after: "if (value >= exact.max) exact.max = value;",
    reason: "The same number is set again.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "min: this.#needs.extremes ? windows.min[window] : 0,",
    after: "min: this.#needs.extremes ? windows.min[window] : 1,",
    reason: "No function asks for it then.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "max: this.#needs.extremes ? windows.max[window] : 0,",
    after: "max: this.#needs.extremes ? windows.max[window] : 1,",
    reason: "No function asks for it then.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before: "last: this.#needs.last ? windows.last[window] : 0,",
    after: "last: this.#needs.last ? windows.last[window] : 1,",
    reason: "No function asks for it then.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before:
      "if (completed === 0 || ((number - completed) | 0) > 0) this.#completed.values[base] = number >>> 0;",
    after: [
      "if (completed === 0 || ((number - completed) | 1) > 0) this.#completed.values[base] = number >>> 0;",
      "if (completed === 0 || ((number - completed) | 0) >= 0) this.#completed.values[base] = number >>> 0;",
    ],
    reason: "The same number is set again.",
  },
  {
    file: "lib/transforms/aggregation/transform.ts",
    before:
      "if (completed === 0 || ((number - completed) | 0) > 0) this.#completed.values[base] = number >>> 0;",
    after:
      "if (completed === 0 || ((number - completed) | 0) > 0) this.#completed.values[base] = number << 0;",
    reason: "The column takes it modulo 2^32 in either case.",
  },
  {
    file: "lib/transforms/derived_series.ts",
    before:
      "if (known !== 0 && this.#generations.values[series] === store.generations[known] + 1) return known;",
    after: [
      "if (!!0 && known !== 0 && this.#generations.values[series] === store.generations[known] + 1) return known;",
      "if (known === 0 && this.#generations.values[series] === store.generations[known] + 1) return known;",
      "if (known !== 1 && this.#generations.values[series] === store.generations[known] + 1) return known;",
      "if (known !== 0 && this.#generations.values[series] === store.generations[known] - 1) return known;",
      "if (known !== 0 && this.#generations.values[series] === store.generations[known] + 2) return known;",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/derived_series.ts",
    before: "this.#generations.values[series] = store.generations[number] + 1;",
    after: "this.#generations.values[series] = store.generations[number] - 1;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/energy_attribution/ready.ts",
    before: "keep_attributes: false,",
    after: "keep_attributes: true,",
    reason: "Nobody asks for the attributes of a capacity.",
  },
  {
    file: "lib/transforms/energy_estimation_tdp/transform.ts",
    before: "const LOOK = { busy: 1, idle: 2, none: 3 } as const;",
    after: "const LOOK = { busy: 1, idle: 2, none: 4 } as const;",
    reason: "Any mark that is not the other one will do.",
  },
  {
    file: "lib/transforms/energy_to_carbon/live_intensity.ts",
    before: "const LOOK = { other: 1, intensity: 2 } as const;",
    after: "const LOOK = { other: 1, intensity: 3 } as const;",
    reason: "Any mark that is not the other one will do.",
  },
  {
    file: "lib/transforms/energy_to_carbon/live_intensity.ts",
    before: "const MAX_CLIENTS = 65_536;",
    after: "const MAX_CLIENTS = 65537;",
    reason: "A limit that was chosen.",
  },
  {
    file: "lib/transforms/process_to_cgroup_bridge/transform.ts",
    before: "const PASSES = 1;",
    after: "const PASSES = 2;",
    reason: "Any number from which those of processes count will do.",
  },
  {
    file: "lib/transforms/process_to_cgroup_bridge/transform.ts",
    before: "if (pid === 0) return undefined;",
    after: "if (!!0 && pid === 0) return undefined;",
    reason: "No process has the number 0.",
  },
  {
    file: "lib/transforms/process_to_cgroup_bridge/transform.ts",
    before: "if (this.#targets.size > store.size) this.#targets.clear();",
    after: "if (this.#targets.size >= store.size) this.#targets.clear();",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/process_to_cgroup_bridge/transform.ts",
    before: "if (isU64 && (exact !== null || merged.exact !== null || sum > Number.MAX_SAFE_INTEGER)) {",
    after: [
      "if (isU64 && (exact === null || merged.exact !== null || sum > Number.MAX_SAFE_INTEGER)) {",
      "if (isU64 && (exact !== null && merged.exact !== null || sum > Number.MAX_SAFE_INTEGER)) {",
      "if (isU64 && (exact !== null || merged.exact === null || sum > Number.MAX_SAFE_INTEGER)) {",
      "if (isU64 && (exact !== null || merged.exact !== null || sum >= Number.MAX_SAFE_INTEGER)) {",
    ],
    reason: "It only decides between integers of either kind, which are exact here.",
  },
  {
    file: "lib/transforms/process_to_cgroup_bridge/transform.ts",
    before: "merged.exact = isMax ? (a > b ? a : b) : a + b;",
    after: "merged.exact = isMax ? (a >= b ? a : b) : a + b;",
    reason: "Both are the same then.",
  },
  {
    file: "lib/transforms/process_to_cgroup_bridge/transform.ts",
    before: "out.pushExact(series, seconds, nanos, whole > MAX_U64 ? MAX_U64 : whole);",
    after: "out.pushExact(series, seconds, nanos, whole >= MAX_U64 ? MAX_U64 : whole);",
    reason: "Both are the same then.",
  },
  {
    file: "lib/transforms/rates/last_points.ts",
    before: "const NONE = -1;",
    after: "const NONE = -2;",
    reason: "Any number below 0 is no slot.",
  },
  {
    file: "lib/transforms/rates/last_points.ts",
    before: "const POINT_BYTES = 56;",
    after: "const POINT_BYTES = 57;",
    reason: "An estimate.",
  },
  {
    file: "lib/transforms/rates/last_points.ts",
    before: "const INITIAL_CAPACITY = 1024;",
    after: "const INITIAL_CAPACITY = 1025;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/transforms/rates/last_points.ts",
    before: "#end = 0;",
    after: "#end = 1;",
    reason: "Any slot may be the first one.",
  },
  {
    file: "lib/transforms/rates/last_points.ts",
    before: "if (slot === this.#youngest) return;",
    after: "if (!!0 && slot === this.#youngest) return;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/transforms/pipeline.ts",
    before: "if (this.#transforms.length > 0) batch = this.#transform(batch);",
    after: "if (this.#transforms.length >= 0) batch = this.#transform(batch);",
    reason: "Without transforms, the same points are taken out of the books and put back.",
  },
  {
    file: "lib/transforms/energy_attribution/transform.ts",
    before: "#now = 0;",
    after: "#now = 1;",
    reason: "Only the differences of ticks count.",
  },
  {
    file: "lib/transforms/energy_attribution/transform.ts",
    before: "let bytes = 0;",
    after: "let bytes = 1;",
    reason: "An estimate.",
  },
  {
    file: "lib/transforms/energy_attribution/transform.ts",
    before:
      "if (isKept && this.#arrivals.at(-1)?.tick !== this.#now) this.#arrivals.push({ tick: this.#now, place });",
    after:
      "if (isKept && this.#arrivals.at(-2)?.tick !== this.#now) this.#arrivals.push({ tick: this.#now, place });",
    reason: "Only the first place of a tick counts.",
  },
  {
    file: "lib/inputs/oar/running_jobs.ts",
    before: "#count({ path }: Group, step: 1 | -1): void {",
    after: ["#count({ path }: Group, step: 2 | -1): void {", "#count({ path }: Group, step: 1 | -2): void {"],
    reason: "It is a type.",
  },
  {
    file: "lib/inputs/oar/running_jobs.ts",
    before: "const ids = [...this.#groups.keys()].sort((a, b) => a < b ? -1 : 1);",
    after: [
      "const ids = [...this.#groups.keys()].sort((a, b) => a <= b ? -1 : 1);",
      "const ids = [...this.#groups.keys()].sort((a, b) => a < b ? -2 : 1);",
      "const ids = [...this.#groups.keys()].sort((a, b) => a < b ? -1 : 2);",
    ],
    reason: "Each number is there once, and only the sign of what compares them counts.",
  },
  {
    file: "lib/inputs/oar/user_names.ts",
    before: "const ANSWER_MS = 10_000;",
    after: "const ANSWER_MS = 10001;",
    reason: "A limit that was chosen.",
  },
  {
    file: "lib/inputs/kwollect_input.ts",
    before: "madeWith: { ...config, poll_interval: 0, flush_interval: 0 },",
    after: [
      "madeWith: { ...config, poll_interval: 1, flush_interval: 0 },",
      "madeWith: { ...config, poll_interval: 0, flush_interval: 1 },",
    ],
    reason: "Any number that is always the same will do.",
  },
  {
    file: "lib/inputs/polling/number_file.ts",
    before: "const text = String.fromCharCode(...bytes.subarray(0, Math.min(end, 32))).trim();",
    after: "const text = String.fromCharCode(...bytes.subarray(0, Math.min(end, 33))).trim();",
    reason: "No number has that many digits.",
  },
  {
    file: "lib/transforms/energy_attribution/series_key.ts",
    before: "optional: false,",
    after: "optional: true,",
    reason: "Nobody asks it of a key of this kind.",
  },
  {
    file: "lib/transforms/stage/marks.ts",
    before: 'const digits = KINDS.indexOf(kind).toString(16).padStart(2, "0");',
    after: 'const digits = KINDS.indexOf(kind).toString(17).padStart(2, "0");',
    reason: "No kind has a number above 9.",
  },
  {
    file: "lib/transforms/stage/collector.ts",
    before: "const POOLED_BATCHES = 8;",
    after: "const POOLED_BATCHES = 9;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/transforms/stage/collector.ts",
    before: "if (!results) this.#results.set(client, results = new Batch(64, null, this.#pool!.store));",
    after: "if (!results) this.#results.set(client, results = new Batch(65, null, this.#pool!.store));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/transforms/stage/eras.ts",
    before: "const MAX_BYTES = 1024 * 1024;",
    after: ["const MAX_BYTES = 1025 * 1024;", "const MAX_BYTES = 1024 * 1025;"],
    reason: "A limit that was chosen.",
  },
  {
    file: "lib/transforms/stage/eras.ts",
    before: "if (directory === null || this.#isSaved) return true;",
    after: "if (!!0 && directory === null || this.#isSaved) return true;",
    reason: "What has no directory counts as saved.",
  },
  {
    file: "lib/inputs/cgroups/known_groups.ts",
    before: "revision: () => knowledge.revision ?? 0,",
    after: "revision: () => knowledge.revision ?? 1,",
    reason: "Only its changes count.",
  },
];
