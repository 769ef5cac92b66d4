/** Measures each GPU of NVIDIA, by the vendor's library, or by nvidia-smi where there is none. */
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { within } from "../../base/waiting.ts";
import { EnergyCounter, JUMPED } from "../polling/energy_counter.ts";
import type { Points } from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import type { NvmlConfig } from "./config.ts";
import { Emitter } from "./emit.ts";
import { FIND_AGAIN_MS, findBackend } from "./find.ts";
import { CODE, NvmlError } from "./library.ts";
import { type Metrics, registerMetrics } from "./metrics.ts";
import type { Backend, Gpu, Sample } from "./sample.ts";

/** How long the driver may take for one round, in ms. A GPU that takes longer is left out. */
const ROUND_MS = 5000;
/** The same for the last round: a stop does not wait. */
const LAST_ROUND_MS = 500;

/** Most polls between two powers that make an energy: a line of nvidia-smi comes now before a poll, now after it. */
const MOST_POLLS = 3;

const MILLI = 1000;
/** The counter of the driver is reset where the driver is loaded again. */
const MILLIJOULES = { joules: (steps: number) => steps / MILLI };

/** A GPU that is measured. */
class Measured {
  readonly counter = new EnergyCounter(MILLIJOULES);
  /** What was read and is not yet a point. */
  sample: Sample | null = null;
  /** The round that is under way: there is never a second one. */
  round: Promise<void> | null = null;
  #powerMw = 0;
  #powerAtMs = -Infinity;

  constructor(readonly gpu: Gpu, readonly emitter: Emitter) {}

  /**
   * The energy since the last sample that has it, in millijoules: as the GPU counts it, or else from its power.
   *
   * @param longestMs After a longer time, nothing is known of the power in between.
   */
  energyOf({ energyMj, powerMw }: Sample, nowMs: number, longestMs: number): number | undefined {
    if (energyMj !== undefined) {
      const joules = this.counter.advance(energyMj, nowMs);
      return joules === undefined ? undefined : Math.round(joules * MILLI);
    }
    if (powerMw === undefined) return undefined;
    const elapsedMs = nowMs - this.#powerAtMs;
    const meanMw = (this.#powerMw + powerMw) / 2;
    this.#powerMw = powerMw;
    this.#powerAtMs = nowMs;
    return elapsedMs <= longestMs ? meanMw * elapsedMs / 1000 : undefined;
  }
}

export class NvmlSource implements PolledSource {
  readonly name = "nvml";
  readonly #measuring: Measuring;
  readonly #config: NvmlConfig;
  readonly #isInTime: typeof within;
  readonly #metrics: Metrics;
  /** By GPU. */
  #measured = new Map<Gpu, Measured>();
  #backend: Backend | null = null;
  #findDueMs = -Infinity;
  #isFinding = false;
  #isClosed = false;
  readonly #findFailures: Complaint;
  readonly #readFailures: Complaint;
  readonly #losses: Complaint;
  readonly #hangs: Complaint;
  readonly #jumps: Complaint;

  /** Registers the metrics. @param isInTime Whether the driver, or a program, answers within that many ms. */
  constructor(config: NvmlConfig, measuring: Measuring, isInTime = within) {
    const { registry, clock } = measuring;
    this.#measuring = measuring;
    this.#isInTime = isInTime;
    this.#config = config;
    this.#metrics = registerMetrics(registry, config.mode === "minimal");
    this.#findFailures = new Complaint(clock);
    this.#readFailures = new Complaint(clock);
    this.#losses = new Complaint(clock);
    this.#hangs = new Complaint(clock);
    this.#jumps = new Complaint(clock);
  }

  get isIdle(): boolean {
    const findAgainMs = this.#backend?.findAgainMs ?? FIND_AGAIN_MS;
    return this.#measured.size === 0 && !this.#isFinding && findAgainMs >= FIND_AGAIN_MS;
  }

  async gather(last: boolean): Promise<void> {
    const isDue = this.#measuring.clock.monotonicMs() >= this.#findDueMs;
    if (!last && isDue && !this.#isFinding) await this.#find();
    const rounds: Promise<void>[] = [];
    for (const measured of this.#measured.values()) {
      // The last round takes what is under way; the others do not wait for a GPU that hangs.
      if (!measured.round) rounds.push(measured.round = this.#read(measured));
      else if (last) rounds.push(measured.round);
    }
    const limitMs = last ? LAST_ROUND_MS : ROUND_MS;
    if (rounds.length > 0 && !await this.#isInTime(Promise.all(rounds), limitMs) && !last) {
      this.#complainOfHangs();
    }
  }

  /** Looks for GPUs. A driver that hangs is not asked again until it answers. */
  async #find(): Promise<void> {
    this.#isFinding = true;
    const finding = this.#findGpus().catch((error) => this.#complainOfFinding(error)).then(() => {
      this.#isFinding = false;
      this.#findDueMs = this.#measuring.clock.monotonicMs() + (this.#backend?.findAgainMs ?? FIND_AGAIN_MS);
    });
    if (!await this.#isInTime(finding, ROUND_MS)) this.#complainOfHangs();
  }

  async #findGpus(): Promise<void> {
    this.#backend ??= findBackend(this.#config, this.#measuring, this.#isInTime);
    if (!this.#backend || this.#isClosed) return;
    const found = await this.#backend.find((error) => this.#complainOfFinding(error));
    const before = this.#measured;
    this.#measured = new Map();
    for (const gpu of found) this.#measured.set(gpu, before.get(gpu) ?? this.#begin(gpu));
  }

  #begin(gpu: Gpu): Measured {
    const emitter = new Emitter(this.#metrics, gpu.busId);
    const what = `NVIDIA GPU ${gpu.busId}${gpu.name && ` (${gpu.name})`}`;
    this.#measuring.findings.measured(what, this.#backend!.path, emitter.energy);
    return new Measured(gpu, emitter);
  }

  async #read(measured: Measured): Promise<void> {
    const { gpu } = measured;
    try {
      measured.sample = await gpu.read((quantity, error) => this.#complainOf(gpu, quantity, error));
    } catch (error) {
      // It is found again when it is back.
      this.#measured.delete(gpu);
      this.#losses.add((times) => {
        this.#measuring.log.warn(`Lost a GPU: ${messageOf(error)}`, { gpu: gpu.busId, times });
      });
    } finally {
      measured.round = null;
    }
  }

  poll(points: Points): void {
    const { clock, log } = this.#measuring;
    const nowMs = clock.monotonicMs();
    const longestMs = MOST_POLLS * this.#config.poll_interval;
    for (const measured of this.#measured.values()) {
      const { sample, counter, emitter, gpu } = measured;
      if (!sample) continue;
      measured.sample = null;
      emitter.push(points, sample, measured.energyOf(sample, nowMs, longestMs));
      if (counter.hasJumped) this.#jumps.add((jumps) => log.warn(JUMPED, { gpu: gpu.busId, jumps }));
    }
  }

  #complainOf({ busId }: Gpu, quantity: string, error: Error): void {
    this.#readFailures.add((failed) => {
      this.#measuring.log.warn(`Cannot read ${quantity} of a GPU: ${messageOf(error)}`, {
        gpu: busId,
        failed,
      });
    });
  }

  #complainOfHangs(): void {
    this.#hangs.add((times) => {
      this.#measuring.log.warn("The driver does not answer: GPUs are not measured until it does", {
        limit_ms: ROUND_MS,
        times,
      });
    });
  }

  #complainOfFinding(error: unknown): void {
    const { log, findings, files } = this.#measuring;
    const code = error instanceof NvmlError ? error.code : undefined;
    // The library is installed on a machine without such a GPU.
    if (code === CODE.driverNotLoaded || code === CODE.notFound) return;
    if (code === CODE.noPermission) {
      return findings.denied("NVIDIA GPUs", `${files.dev}/nvidiactl`, "sudo chmod o+rw /dev/nvidia*");
    }
    this.#findFailures.add((failed) => {
      const path = this.#backend?.path;
      log.warn(`Cannot look for NVIDIA GPUs: ${messageOf(error)}`, { path, failed });
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#measured.clear();
    this.#backend?.[Symbol.dispose]();
  }
}
