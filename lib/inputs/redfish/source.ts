/** Measures what one management controller knows of power. */
import { isInTime } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { f64Metric, type Metric, type Points, type Series, seriesOf, WATT } from "../polling/points.ts";
import { Retry } from "../polling/retry.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import type { RedfishTarget } from "./config.ts";
import { Controller, LoginError, type PowerPage } from "./controller.ts";
import type { Reading } from "./readings.ts";

/** How often chassis are looked for, in ms: blades are added and taken out. */
const FIND_AGAIN_MS = 600_000;
/** A controller without a power, or with a chassis that cannot be read, is looked at again after this time, in ms. */
const EMPTY_AGAIN_MS = 60_000;
/** Controllers lock a user after a few wrong passwords: the next try comes after this time, in ms. */
const LOGIN_AGAIN_MS = 300_000;
/** The last poll does not wait longer, in ms: a stop does not wait for a controller. */
const LAST_MS = 500;
const WHAT = "a management controller";

/** What was read of a chassis. */
interface Sample extends Reading {
  readonly chassis: string;
}

export class RedfishSource implements PolledSource {
  readonly name: string;
  readonly #measuring: Measuring;
  readonly #controller: Controller;
  readonly #host: string;
  readonly #metric: Metric;
  readonly #retry: Retry;
  readonly #complaint: Complaint;
  readonly #closed = new AbortController();
  #pages: readonly PowerPage[] = [];
  #findDueMs = -Infinity;
  #loginDueMs = -Infinity;
  /** Whether the last question has failed. */
  #hasFailed = false;
  /** The question that is under way: there is never a second one. */
  #asking: Promise<void> | null = null;
  /** What was read and is not yet a point. */
  #samples: readonly Sample[] = [];
  /** By chassis and name: those of the last poll. */
  #series = new Map<string, Series>();

  /** Registers the metric. @throws {ExitError} if the file with the password cannot be used */
  constructor(target: RedfishTarget, timeoutMs: number, measuring: Measuring) {
    const { registry, clock } = measuring;
    this.name = target.url;
    this.#host = new URL(target.url).host;
    this.#measuring = measuring;
    this.#controller = new Controller(target, timeoutMs);
    this.#metric = registry.register(
      f64Metric("redfish_power", WATT, "Power of a chassis that its management controller reports"),
    );
    this.#retry = new Retry(clock);
    this.#complaint = new Complaint(clock);
  }

  async gather(last: boolean): Promise<void> {
    const isDue = this.#retry.isDue && this.#measuring.clock.monotonicMs() >= this.#loginDueMs;
    if (!this.#asking && isDue) this.#asking = this.#ask().finally(() => this.#asking = null);
    if (!this.#asking) return;
    if (!last) return await this.#asking;
    if (!await isInTime(this.#asking, LAST_MS, this.#measuring.clock)) this.#closed.abort();
  }

  async #ask(): Promise<void> {
    const { log, findings, clock } = this.#measuring;
    const { signal } = this.#closed;
    try {
      let found: string | undefined;
      if (clock.monotonicMs() >= this.#findDueMs) {
        ({ pages: this.#pages, problem: found } = await this.#controller.find(signal));
        const isComplete = this.#pages.length > 0 && found === undefined;
        this.#findDueMs = clock.monotonicMs() + (isComplete ? FIND_AGAIN_MS : EMPTY_AGAIN_MS);
      }
      const { readings, problem = found } = await this.#controller.read(this.#pages, signal);
      this.#samples = readings.flatMap((list, i) =>
        list.map((reading) => ({ ...reading, chassis: this.#pages[i].chassis }))
      );
      const isEmpty = this.#pages.length === 0 && problem === undefined;
      if (isEmpty) findings.failed(WHAT, this.name, "it reports no power");
      else if (this.#hasFailed && problem === undefined) findings.usual(WHAT, this.name);
      this.#hasFailed = isEmpty;
      for (const { chassis, name } of this.#samples) {
        findings.measured(
          `power of chassis ${chassis}${name && ` (${name})`}`,
          this.name,
          this.#seriesOf(chassis, name),
        );
      }
      this.#retry.succeeded();
      // A chassis that cannot be read costs its own points. It may have gone.
      if (problem !== undefined) {
        this.#findDueMs = Math.min(this.#findDueMs, clock.monotonicMs() + EMPTY_AGAIN_MS);
        return this.#complain(problem);
      }
      this.#complaint.end(() => log.info("The management controller answers again", { url: this.name }));
    } catch (error) {
      if (signal.aborted) return;
      this.#retry.failed();
      // A chassis may have gone.
      this.#findDueMs = -Infinity;
      if (error instanceof LoginError) this.#loginDueMs = clock.monotonicMs() + LOGIN_AGAIN_MS;
      this.#complain(messageOf(error));
    }
  }

  #complain(problem: string): void {
    const { log, findings } = this.#measuring;
    this.#hasFailed = true;
    findings.failed(WHAT, this.name, problem);
    this.#complaint.add((failed) => {
      log.warn(`Cannot read a management controller: ${problem}`, { url: this.name, failed });
    });
  }

  #seriesOf(chassis: string, name: string): Series {
    const key = `${chassis}\0${name}`;
    let series = this.#series.get(key);
    if (!series) {
      series = seriesOf(this.#metric, {
        resourceKind: "chassis",
        resourceId: `${this.#host}/${chassis}`,
        attributes: name === "" ? [] : [["name", name]],
      });
      this.#series.set(key, series);
    }
    return series;
  }

  poll(points: Points): void {
    const samples = this.#samples;
    if (samples.length === 0) return;
    this.#samples = [];
    const before = this.#series;
    this.#series = new Map();
    for (const { chassis, name, watts } of samples) {
      const key = `${chassis}\0${name}`;
      const known = before.get(key);
      if (known) this.#series.set(key, known);
      points.f64(this.#seriesOf(chassis, name), watts);
    }
  }

  /** Ends a question that is under way. */
  close(): void {
    this.#closed.abort();
  }
}
