/** How long the oldest point that waits has been in the journal, from how many points were in it when. */

/** Beyond this number of samples, those that are of little use are forgotten. */
const MAX_SAMPLES = 1024;
/** How precise a lag stays, as a part of it. */
const PRECISION = 1 / 32;

export class LagMeter {
  /** Monotonic times, in ms, and how many points the journal had been given by then. Both ascend. */
  readonly #times: number[] = [];
  readonly #points: number[] = [];

  /** At that time the journal had been given that many points since the start. */
  add(nowMs: number, appendedPoints: number): void {
    const last = this.#points.length - 1;
    // Of a time without new points, the end is enough, and the start of the process.
    if (last > 0 && this.#points[last] === appendedPoints) {
      this.#times[last] = nowMs;
      return;
    }
    this.#times.push(nowMs);
    this.#points.push(appendedPoints);
    if (this.#times.length > MAX_SAMPLES) this.#thin();
  }

  /** Forgets samples that are closer to each other than {@linkcode PRECISION} of their age. */
  #thin(): void {
    const [times, points] = [this.#times, this.#points];
    const now = times[times.length - 1];
    let kept = 0;
    times.forEach((time, i) => {
      // Behind the last one there is none, so it is kept.
      const next = times[i + 1];
      if (i === 0 || next - times[kept] <= (now - next) * PRECISION) return;
      kept++;
      times[kept] = time;
      points[kept] = points[i];
    });
    times.length = points.length = kept + 1;
  }

  /** The age of the oldest of the last `pending` points, in ms. Older ones than the first sample are as old as that. */
  lagMs(nowMs: number, appendedPoints: number, pending: number): number {
    if (pending <= 0 || this.#times.length === 0) return 0;
    const before = appendedPoints - pending;
    // It came after the last sample at which no more than `before` points had come.
    const i = this.#points.findLastIndex((points) => points <= before);
    return Math.max(0, nowMs - this.#times[Math.max(0, i)]);
  }
}
