/** Processes that somebody has asked to be measured by themselves: those of `exec` and `watch`. */

/** Told of such processes. */
export interface ProcessListener {
  /**
   * A program is about to be started by this thread: what is opened now for its children counts from its first
   * instruction on.
   */
  prepare?(): void;
  /** The process runs. @param isRoot It was asked for; otherwise it is a descendant of such a one. */
  started(pid: number, isRoot: boolean): void;
  /** It has ended: the last poll comes after this. */
  ended(pid: number): void;
}

export class WatchedProcesses {
  /** Whether there are going to be any. */
  isExpected = false;
  /** Those that run, and whether they were asked for. */
  readonly #running = new Map<number, boolean>();
  readonly #listeners = new Set<ProcessListener>();

  /** Tells of the processes that run, and from now on. */
  listen(listener: ProcessListener): Disposable {
    this.#listeners.add(listener);
    for (const [pid, isRoot] of this.#running) listener.started(pid, isRoot);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  prepare(): void {
    for (const listener of this.#listeners) listener.prepare?.();
  }

  started(pid: number, isRoot: boolean): void {
    if (this.#running.has(pid)) return;
    this.#running.set(pid, isRoot);
    for (const listener of this.#listeners) listener.started(pid, isRoot);
  }

  ended(pid: number): void {
    if (!this.#running.delete(pid)) return;
    for (const listener of this.#listeners) listener.ended(pid);
  }
}

/** Makes those that the parts of one process share. */
export const watchedProcesses = (): WatchedProcesses => new WatchedProcesses();
