/** Counts events for the control groups that other inputs know, and for the processes of `exec` and `watch`. */
import { Complaint } from "../../base/complaint.ts";
import { parseLimit } from "../../net/descriptors.ts";
import { ControlGroups, type ToldGroup } from "../cgroups/groups.ts";
import { perfRootOf } from "../cgroups/hierarchies.ts";
import { cpusOf } from "../polling/cpus.ts";
import { EACCES, EMFILE, EPERM, type PerfCounters, systemPerfEvents } from "../polling/perf_events.ts";
import {
  type Attribute,
  type Metric,
  type Points,
  type Series,
  seriesOf,
  u64Metric,
  UNITY,
} from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { watchedProcesses } from "../polling/watched_processes.ts";
import type { PerfConfig } from "./config.ts";
import type { Event } from "./counters.ts";
import { eventNameOf, metricNameOf, UNKNOWN_NAME } from "./event_names.ts";
import { pmuCodeOf } from "./pmu.ts";
import { closeAll, countChildren, type Counted, countGroup, countProcess } from "./targets.ts";

/** The share of the files that this process may open that counters may take. */
const DESCRIPTOR_SHARE = 0.5;
/** Files that may usually be open, where the limit cannot be read. */
const USUAL_LIMIT = 1024;
/** How often it is looked whether other CPUs are online, and groups that failed are tried again, in ms. */
const LOOK_AGAIN_MS = 60_000;

const PARANOID = "/proc/sys/kernel/perf_event_paranoid";

/** Something that is counted. */
interface Target {
  readonly consumerKind: "process" | "cgroup";
  readonly consumerId: string;
  attributes: readonly Attribute[];
  /** Empty while nothing can be counted. */
  counted: readonly Counted[];
  /** By the place of the set and of the event. */
  series: Series[][];
  /** It is gone: its last counts are in the next poll. */
  isGone: boolean;
}

export class PerfSource implements PolledSource {
  readonly name = "perf";
  readonly #measuring: Measuring;
  readonly #perf: PerfCounters | null;
  readonly #perCpu: boolean;
  readonly #events: Event[] = [];
  readonly #metrics: Metric[] = [];
  /** By kind and id. */
  readonly #targets = new Map<string, Target>();
  readonly #listening: Disposable[];
  readonly #failed: Complaint;
  readonly #mostDescriptors: number;
  /** Counters for the program that is about to be started. */
  #prepared: readonly Counted[] = [];
  #cpus: readonly number[] = [];
  /** The folder of the root group, where groups can be counted. */
  #root: string | undefined;
  /** Files that counters of groups have open, at the last look. */
  #descriptors = 0;
  #lookedMs = -Infinity;

  /** Registers the metrics. */
  constructor(config: PerfConfig, measuring: Measuring, perf: PerfCounters | null = systemPerfEvents()) {
    const { files, clock } = measuring;
    this.#measuring = measuring;
    this.#perf = perf;
    this.#perCpu = config.per_cpu;
    this.#failed = new Complaint(clock);
    const limit = parseLimit(files.text(`${files.proc}/self/limits`) ?? "") ?? USUAL_LIMIT;
    this.#mostDescriptors = limit * DESCRIPTOR_SHARE;
    this.#resolve(config);
    this.#listening = this.#events.length === 0 ? [] : [
      ControlGroups.of(measuring).listenToTold({
        told: (group) => this.#toldOf(group),
        gone: (path) => this.#gone("cgroup", path),
      }),
      measuring.shared.of(watchedProcesses).listen({
        prepare: () => this.#prepare(),
        // Its descendants are counted with it.
        started: (pid, isRoot) => isRoot ? this.#started(pid) : undefined,
        ended: (pid) => this.#gone("process", String(pid)),
      }),
    ];
  }

  /** Finds the codes of the events, and leaves out those that this machine does not have. */
  #resolve({ events }: PerfConfig): void {
    const { files, registry, findings, log } = this.#measuring;
    for (const configured of events) {
      const { event, rename } = typeof configured === "string"
        ? { event: configured, rename: undefined }
        : configured;
      const name = eventNameOf(event);
      if (typeof name === "string") continue;
      const code = name.code === undefined
        ? UNKNOWN_NAME
        : "pmu" in name.code
        ? pmuCodeOf(files, name.code)
        : name.code;
      const metricName = metricNameOf(name.name, rename);
      const problem = typeof code === "string" ? code : this.#problemOf({ code, flags: name.excludes });
      const file = `${files.sys}/bus/event_source/devices`;
      if (problem !== undefined || typeof code === "string") {
        findings.failed(`event ${event}`, file, problem!);
        log.warn(`Cannot count the event ${event}: ${problem}`);
        continue;
      }
      findings.usual(`event ${event}`, file);
      this.#events.push({ code, flags: name.excludes });
      this.#metrics.push(registry.register(u64Metric(metricName, UNITY, `Number of events ${event}`)));
    }
  }

  /** Why this machine cannot count an event; it is tried on this process itself. */
  #problemOf({ code, flags }: Event): string | undefined {
    if (!this.#perf) return "there is no C library, or no permission to call it";
    const target = { id: 0, isGroup: false, cpu: -1, leader: -1 };
    const descriptor = this.#perf.openCounter({ ...code, flags, readFormat: 0n }, target);
    if (descriptor >= 0) this.#perf.close(descriptor);
    // Whether it may be counted is another question, which each target answers.
    if (descriptor >= 0 || descriptor === EPERM || descriptor === EACCES || descriptor === EMFILE) {
      return undefined;
    }
    return `this machine does not have it (error ${-descriptor}); virtual machines often count nothing`;
  }

  /** There are events only where there are counters. */
  get #counters(): PerfCounters {
    return this.#perf!;
  }

  get isIdle(): boolean {
    return this.#events.length === 0;
  }

  poll(points: Points): void {
    this.#lookAgain();
    const counts: (number | undefined)[] = [];
    let descriptors = 0;
    for (const [key, target] of this.#targets) {
      this.#push(points, target, counts);
      if (target.isGone) {
        closeAll(target.counted);
        this.#targets.delete(key);
      } else descriptors += descriptorsOf(target.counted);
    }
    this.#descriptors = descriptors;
  }

  #push(points: Points, target: Target, counts: (number | undefined)[]): void {
    const isPerCpu = this.#perCpu && target.consumerKind === "cgroup";
    counts.length = 0;
    target.counted.forEach(({ cpu, set }, i) => {
      set.read(counts);
      if (!isPerCpu) return;
      this.#pushCounts(points, target, i, cpu, counts);
      counts.length = 0;
    });
    if (!isPerCpu) this.#pushCounts(points, target, 0, undefined, counts);
  }

  #pushCounts(
    points: Points,
    target: Target,
    place: number,
    cpu: number | undefined,
    counts: readonly (number | undefined)[],
  ): void {
    const list = target.series[place] ??= [];
    this.#metrics.forEach((metric, i) => {
      const count = counts[i];
      if (count === undefined) return;
      const { consumerKind, consumerId, attributes } = target;
      const resource = cpu === undefined ? {} : { resourceKind: "cpu_core", resourceId: String(cpu) };
      list[i] ??= seriesOf(metric, { ...resource, consumerKind, consumerId, attributes });
      points.u64(list[i], Math.round(count));
    });
  }

  /** Takes over other CPUs, and tries what has failed again. */
  #lookAgain(): void {
    const { clock } = this.#measuring;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#lookedMs < LOOK_AGAIN_MS) return;
    this.#lookedMs = nowMs;
    const cpus = this.#onlineCpus();
    const isSame = String(cpus) === String(this.#cpus);
    this.#cpus = cpus;
    this.#root = perfRootOf(this.#measuring.files);
    for (const target of this.#targets.values()) {
      if (target.consumerKind !== "cgroup" || target.isGone) continue;
      if (isSame && target.counted.length > 0) continue;
      closeAll(target.counted);
      this.#countGroup(target);
    }
  }

  #onlineCpus(): number[] {
    const { files } = this.#measuring;
    const list = cpusOf(files.text(`${files.sys}/devices/system/cpu/online`) ?? "");
    return list ?? Array.from({ length: navigator.hardwareConcurrency }, (_, cpu) => cpu);
  }

  #toldOf({ path, attributes }: ToldGroup): void {
    const known = this.#targets.get(`cgroup ${path}`);
    if (known && !known.isGone) {
      known.attributes = attributes;
      known.series = [];
      return;
    }
    if (known) closeAll(known.counted);
    this.#countGroup(this.#add("cgroup", path, attributes, []));
  }

  #add(
    consumerKind: Target["consumerKind"],
    consumerId: string,
    attributes: readonly Attribute[],
    counted: readonly Counted[],
  ): Target {
    const target = { consumerKind, consumerId, attributes, counted, series: [], isGone: false };
    this.#targets.set(`${consumerKind} ${consumerId}`, target);
    return target;
  }

  #countGroup(target: Target): void {
    target.counted = [];
    target.series = [];
    // At the first poll, it is looked where groups can be counted.
    if (this.#root === undefined) return;
    const folder = target.consumerId === "/" ? this.#root : this.#root + target.consumerId;
    const isRoom = this.#descriptors + this.#cpus.length * this.#events.length <= this.#mostDescriptors;
    const counted = isRoom ? countGroup(this.#counters, this.#events, folder, this.#cpus) : EMFILE;
    if (typeof counted === "number") this.#cannotCount("control groups", counted);
    else {
      target.counted = counted;
      this.#descriptors += descriptorsOf(counted);
    }
  }

  #prepare(): void {
    closeAll(this.#prepared);
    const counted = countChildren(this.#counters, this.#events);
    if (typeof counted === "number") this.#cannotCount("commands", counted);
    this.#prepared = typeof counted === "number" ? [] : counted;
  }

  #started(pid: number): void {
    let counted: readonly Counted[] | number = this.#prepared;
    this.#prepared = [];
    if (counted.length === 0) {
      counted = countProcess(this.#counters, this.#measuring.files, this.#events, pid);
    }
    if (typeof counted === "number") return this.#cannotCount("processes", counted);
    this.#add("process", String(pid), [], counted);
  }

  #gone(kind: Target["consumerKind"], id: string): void {
    const target = this.#targets.get(`${kind} ${id}`);
    if (target) target.isGone = true;
  }

  #cannotCount(what: string, error: number): void {
    const { findings, log } = this.#measuring;
    if (error === EPERM || error === EACCES) {
      return findings.denied(`events of ${what}`, PARANOID, "sudo sysctl kernel.perf_event_paranoid=0");
    }
    // Something that has ended meanwhile is no reason to say anything.
    if (error !== EMFILE) return;
    this.#failed.add((times) => {
      log.warn("Some control groups are not counted: too many files would be open", {
        limit: Math.floor(this.#mostDescriptors),
        times,
      });
    });
  }

  close(): void {
    for (const listening of this.#listening) listening[Symbol.dispose]();
    closeAll(this.#prepared);
    this.#prepared = [];
    for (const { counted } of this.#targets.values()) closeAll(counted);
    this.#targets.clear();
  }
}

function descriptorsOf(counted: readonly Counted[]): number {
  return counted.reduce((sum, { set }) => sum + set.descriptors, 0);
}
