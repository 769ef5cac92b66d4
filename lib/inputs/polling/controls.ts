/** What somebody may change of the sources that run, without a new configuration. */

/** A source that runs. */
export interface SourceState {
  readonly name: string;
  readonly isPaused: boolean;
  /** Time between two polls, in ms. */
  readonly intervalMs: number;
}

/** An input whose sources can be controlled. What is asked for holds until the process ends, over reloads, too. */
export interface Controllable {
  readonly controlled: readonly SourceState[];
  /** A source that is paused is not polled. */
  setPaused(name: string, isPaused: boolean): void;
  setInterval(name: string, ms: number): void;
  /** Polls at once what is not paused. */
  pollNow(): void;
}

export class Controls {
  readonly #inputs = new Map<string, Controllable>();

  /** By the names of the inputs. */
  get inputs(): ReadonlyMap<string, Controllable> {
    return this.#inputs;
  }

  add(input: string, controllable: Controllable): void {
    this.#inputs.set(input, controllable);
  }
}

/** Makes those that the parts of one process share. */
export const controls = (): Controls => new Controls();
