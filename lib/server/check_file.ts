/**
 * Keeps the check of each client's last batch over restarts of the server. Without it, a copy of a client that comes
 * after a restart could not be told from the client itself.
 */
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { BatchCheck } from "../points/batch_check.ts";
import type { ClientTable } from "../points/origins.ts";

/** One client, in this order: its instance id, the number of its last batch, and the check of that. */
const LINE = /^([0-9a-f]{32}) (\d{1,16}) (\d{1,10})$/;

export class CheckFile {
  readonly #path: string;
  readonly #clients: ClientTable;
  readonly #log: Logger;
  #saved = "";
  #failed = false;
  /** One write at a time: all go through the same temporary file. */
  #saving: Promise<void> = Promise.resolve();

  /** Reads the file, if there is one, for the clients that the journal knows. */
  constructor(directory: string, clients: ClientTable, log: Logger) {
    this.#path = `${directory}/client-checks`;
    this.#clients = clients;
    this.#log = log;
    this.#load();
  }

  /** Writes what has changed. Does not fail: it is written again the next time. */
  save(): Promise<void> {
    return this.#saving = this.#saving.then(() => this.#save());
  }

  async #save(): Promise<void> {
    const text = this.#text();
    if (text === this.#saved) return;
    const temporary = `${this.#path}.tmp`;
    try {
      await Deno.writeTextFile(temporary, text, { mode: 0o640 });
      await Deno.rename(temporary, this.#path);
      this.#saved = text;
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) {
        const fields = { path: this.#path, reason: messageOf(error) };
        this.#log.warn("Cannot save what the last batch of each client was, retrying", fields);
      }
      this.#failed = true;
    }
  }

  #load(): void {
    const known = new Map<string, BatchCheck>();
    try {
      for (const line of Deno.readTextFileSync(this.#path).split("\n")) {
        const [, instance, sequence, check] = LINE.exec(line) ?? [];
        if (instance !== undefined) known.set(instance, { sequence: Number(sequence), check: Number(check) });
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        const fields = { path: this.#path, reason: messageOf(error) };
        this.#log.warn("Cannot read what the last batch of each client was", fields);
      }
    }
    for (const { instance, numbers } of this.#clients) {
      const last = known.get(instance);
      // What the journal has lost will be sent again.
      if (last && last.sequence <= numbers.durable && !numbers.checks.upTo(last.sequence)) {
        numbers.checks.add(last.sequence, last.check);
      }
    }
  }

  #text(): string {
    const lines = new Map<string, string>();
    for (const { instance, numbers } of this.#clients) {
      const last = numbers.checks.upTo(numbers.durable);
      if (last) lines.set(instance, `${instance} ${last.sequence} ${last.check}\n`);
    }
    return [...lines.values()].join("");
  }
}
