/** Saves the positions of the outputs, soon after they move and at the end. */
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { Timer } from "../../base/timers.ts";
import type { Core } from "./core.ts";
import { cursorPath, saveCursor } from "./format/cursor.ts";

/** Positions are saved so long after one another, in ms, */
const INTERVAL_MS = 1000;
/** a bit sooner where one has just moved: to wake the process once more costs more than to save. */
const EARLY_MS = 100;

export class Cursors {
  readonly #core: Core;
  /** The saved positions, by path. */
  readonly #saved: Map<string, number | null>;
  #timer: Timer | undefined;
  /** When they were saved last, or the journal was opened, in `performance.now()` ms. */
  #savedMs = performance.now();
  #saving: Promise<void> = Promise.resolve();
  readonly #complaint: Complaint;

  constructor(core: Core, saved: Map<string, number | null>) {
    this.#core = core;
    this.#saved = saved;
    this.#complaint = new Complaint(core.settings.times);
  }

  /** The saved position of an output, or `undefined`. */
  of(output: string): { path: string; position: number | undefined } {
    const path = cursorPath(this.#core.settings.directory, output);
    return { path, position: this.#saved.get(path) ?? undefined };
  }

  /** A position has moved. */
  schedule(): void {
    if (this.#core.closed || this.#timer) return;
    const leftMs = this.#savedMs + INTERVAL_MS - performance.now();
    if (leftMs <= EARLY_MS) this.#begin();
    else this.#timer = Timer.after(leftMs, () => this.#begin());
  }

  #begin(): void {
    this.#timer = undefined;
    this.#savedMs = performance.now();
    this.#saving = this.#save();
  }

  async close(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    await this.#save();
  }

  /** Saves the positions now. @throws errors of the file system. */
  async flush(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    let failure: unknown;
    await (this.#saving = this.#save((error) => failure = error));
    if (failure !== undefined) throw failure;
  }

  async #save(onFailure: (error: unknown) => void = () => {}): Promise<void> {
    await this.#saving;
    const { readers, settings: { files, log } } = this.#core;
    for (const [name, { resumePosition }] of readers) {
      const { path, position } = this.of(name);
      if (position === resumePosition) continue;
      try {
        await saveCursor(files, path, resumePosition);
        this.#saved.set(path, resumePosition);
      } catch (error) {
        onFailure(error);
        this.#complaint.add((times) => {
          log.warn("Cannot save a cursor of the journal", { path, error: messageOf(error), times });
        });
      }
    }
  }
}
