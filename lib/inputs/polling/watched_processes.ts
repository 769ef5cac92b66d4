/** Processes that somebody has asked to be measured by themselves: those of `exec` and `watch`. */

/** Told of such processes. */
export interface ProcessListener {
  /** A program is about to be started by this thread: what is opened now for its children counts from its first instruction. */
  prepare?(): void;
  /** The process runs. */
  started(pid: number): void;
  /** It has ended: the last poll comes after this. */
  ended(pid: number): void;
}

class WatchedProcesses {
  readonly #running = new Set<number>();
  readonly #listeners = new Set<ProcessListener>();

  /** Tells of the processes that run, and from now on. */
  listen(listener: ProcessListener): Disposable {
    this.#listeners.add(listener);
    for (const pid of this.#running) listener.started(pid);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  prepare(): void {
    for (const listener of this.#listeners) listener.prepare?.();
  }

  started(pid: number): void {
    this.#running.add(pid);
    for (const listener of this.#listeners) listener.started(pid);
  }

  ended(pid: number): void {
    if (!this.#running.delete(pid)) return;
    for (const listener of this.#listeners) listener.ended(pid);
  }
}

/** Makes those that the parts of one process share. */
export const watchedProcesses = (): WatchedProcesses => new WatchedProcesses();
