/** Turns what processes use of GPUs into points, in Alumet's order. */
import type { Attribute, Metric, Points, Series } from "../polling/points.ts";
import { seriesOf } from "../polling/points.ts";
import type { ProcessUse } from "./clients.ts";
import type { Occupancy } from "./occupancy.ts";
import type { PROCESS_METRICS } from "./quantities.ts";

type Metrics = Readonly<Record<keyof typeof PROCESS_METRICS, Metric>>;

/** The graphics engine, by amdgpu, i915 and xe. */
const GRAPHICS = new Set(["gfx", "render", "rcs"]);
/** Encoders of amdgpu; Intel's engines of video decode as well. */
const ENCODERS = /^enc(?:_\d+)?$/;
/** Engines of xe, by the names that i915 has for them. */
const INTEL_NAMES: Readonly<Record<string, string>> = {
  bcs: "copy",
  ccs: "compute",
  vcs: "video",
  vecs: "video-enhance",
};

export class ProcessPoints {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  push(points: Points, { pid, name, device, memory, engines }: ProcessUse): void {
    const push = (metric: keyof Metrics, value: number, ...attributes: Attribute[]) => {
      points.u64(this.#seriesOf(metric, { pid, device, name }, ...attributes), value);
    };
    push("memory", memory.vram + memory.gtt + memory.cpu);
    const [graphics, encode, others] = sortEngines(engines);
    if (graphics !== undefined) push("graphics", graphics);
    if (encode !== undefined) push("encode", encode);
    for (const [engine, ns] of others) push("engine", ns, ["engine", engine]);
    push("gtt", memory.gtt);
    push("cpu", memory.cpu);
    push("vram", memory.vram);
  }

  pushOccupancy(points: Points, occupancy: Occupancy, name: string): void {
    points.f64(this.#seriesOf("occupancy", { ...occupancy, name }), occupancy.percent);
  }

  #seriesOf(
    metric: keyof Metrics,
    { pid, device, name }: Pick<ProcessUse, "pid" | "device" | "name">,
    ...attributes: Attribute[]
  ): Series {
    return seriesOf(this.#metrics[metric], {
      resourceKind: "gpu",
      resourceId: device,
      consumerKind: "process",
      consumerId: String(pid),
      attributes: [["process_name", name], ...attributes],
    });
  }
}

function sortEngines(
  engines: ReadonlyMap<string, number>,
): [graphics: number | undefined, encode: number | undefined, others: [string, number][]] {
  let graphics: number | undefined;
  let encode: number | undefined;
  const others: [string, number][] = [];
  for (const [engine, ns] of engines) {
    if (GRAPHICS.has(engine)) graphics = (graphics ?? 0) + ns;
    else if (ENCODERS.test(engine)) encode = (encode ?? 0) + ns;
    else others.push([INTEL_NAMES[engine] ?? engine, ns]);
  }
  return [graphics, encode, others];
}
