/** One end of the relay under test: a process that is started, stopped, killed, and whose journal is damaged. */
import { type LogLine, Program } from "../../tests/kit/process.ts";
import { HEADER_BYTES, RECORD_HEAD_BYTES } from "../../lib/journal/disk/format/segment.ts";
import { guessPoints } from "../../lib/journal/disk/format/census.ts";
import { OriginReader, whole } from "../../lib/journal/disk/format/record.ts";
import { PostcardReader } from "../../lib/postcard.ts";
import type { ChaosDisk } from "./disk.ts";
import type { Chance } from "../../tests/kit/bytes.ts";
import { pause } from "../../tests/kit/waiting.ts";

/** The longest that a start may take, in ms; the machine may be busy. */
const START_MS = 180_000;
const STOP_MS = 180_000;
const LIFETIME_MS = 3_600_000;

export type EndName = "client" | "hop" | "server";

export interface EndOptions {
  readonly name: EndName;
  /** @default the program */
  readonly program?: readonly string[];
  readonly args: readonly string[];
  readonly disk: ChaosDisk;
  /** Told what a process has logged, when it has ended, and whether it ended in good order. */
  readonly onEnded: (lines: readonly LogLine[], orderly: boolean) => void;
}

/** Where the records of a segment begin and end; the first one is the list of clients. */
function recordsOf(bytes: Uint8Array<ArrayBuffer>): { from: number; to: number }[] {
  const view = new DataView(bytes.buffer);
  const records = [];
  for (let from = HEADER_BYTES, to; from + RECORD_HEAD_BYTES <= bytes.length; from = to) {
    to = from + RECORD_HEAD_BYTES + view.getUint32(from, true);
    records.push({ from, to });
  }
  return records;
}

/** Whether a byte of a good payload is in what it says of clients, up to the number of points behind that. */
function isOfClients(payload: Uint8Array, at: number): boolean {
  const reader = new PostcardReader(payload);
  new OriginReader({ client: () => null, origin: () => {} }).salvage(reader, () => {});
  whole(reader);
  return at >= 0 && at < reader.offset;
}

export class End implements AsyncDisposable {
  readonly name: EndName;
  readonly disk: ChaosDisk;
  /** It is never killed, but stopped in good order, because it says at its end what is to be counted. */
  mustTell = false;
  /** Points of records that were hit in last segments: the journal counts them as far as they can be read. */
  hitPoints = 0;
  /** How often it was hit where a last segment says whose batches are in it. */
  hiddenClients = 0;
  starts = 0;
  kills = 0;
  readonly #options: EndOptions;
  #process: Program | null = null;

  constructor(options: EndOptions) {
    this.#options = options;
    this.name = options.name;
    this.disk = options.disk;
  }

  get process(): Program {
    if (!this.#process) throw new Error(`The ${this.name} does not run`);
    return this.#process;
  }

  get runs(): boolean {
    return this.#process !== null;
  }

  /** @param more Flags for this start alone. */
  async start(more: readonly string[] = []): Promise<void> {
    this.#spawn(more);
    await this.process.line(/"message":"Running"/, { ms: START_MS });
  }

  /** Kills it so soon that it may not have started. */
  async startAndKill(afterMs: number): Promise<void> {
    this.#spawn([]);
    await pause(afterMs);
    await this.kill();
  }

  #spawn(more: readonly string[]): void {
    const { program, args, disk } = this.#options;
    this.starts++;
    this.#process = new Program([...args, "--state-dir", disk.inside, ...more], {
      program,
      wrapper: disk.wrapper,
      lifetimeMs: LIFETIME_MS,
    });
  }

  /** SIGKILL; where counts would be lost by it, SIGTERM. */
  async kill(): Promise<void> {
    if (this.mustTell) return await this.stop();
    this.kills++;
    await this.process.stop("SIGKILL", STOP_MS);
    await this.#ended(false);
  }

  /** SIGTERM. @throws unless it ends in good order. */
  async stop(): Promise<void> {
    const code = await this.process.stop("SIGTERM", STOP_MS);
    if (code !== 0) throw new Error(`The ${this.name} ended with ${code}: ${this.process.log}`);
    await this.#ended(true);
  }

  /** SIGTERM, and another one soon. @throws unless it ends in good order, or by the second one. */
  async stopTwice(afterMs: number): Promise<void> {
    this.process.signal("SIGTERM");
    await pause(afterMs);
    try {
      this.process.signal("SIGTERM");
    } catch { /* it has ended */ }
    const code = await this.process.exit(STOP_MS);
    // By its own handler, or without it when it had finished and was about to exit.
    if (code !== 0 && code !== 143 && code !== "SIGTERM") {
      throw new Error(`The ${this.name} ended with ${code}: ${this.process.log}`);
    }
    await this.#ended(true);
  }

  async #ended(orderly: boolean): Promise<void> {
    const { lines } = this.process;
    await this.process[Symbol.asyncDispose]();
    this.#process = null;
    this.#options.onEnded(lines, orderly);
  }

  #segments(folder = ""): string[] {
    const journal = `${this.disk.outside}/${this.name}/journal${folder}`;
    return [...Deno.readDirSync(journal)].filter(({ name }) => name.endsWith(".segment"))
      .map(({ name }) => `${journal}/${name}`).sort();
  }

  /** Leaves the beginning of a record at the end of the journal, as a process does that dies while it writes. */
  tear(chance: Chance): string {
    const journal = `${this.disk.outside}/${this.name}/journal`;
    const folders = [...Deno.readDirSync(journal)].map(({ name }) => name)
      .filter((name) => name.startsWith("before-"));
    const last = this.#segments(chance.pick(["", ...folders.map((name) => `/${name}`)])).at(-1);
    if (!last) return "there is no segment";
    const bytes = Deno.readFileSync(last);
    const tail = chance.bytes(200);
    // Something that looks like a record, sometimes: the file's own beginning behind a length.
    if (chance.int(2) === 0) tail.set(bytes.subarray(0, tail.length));
    // Its own length is right, and there is more than what was written.
    if (tail.length >= 4) new DataView(tail.buffer).setUint32(0, tail.length + chance.int(100_000), true);
    try {
      Deno.writeFileSync(last, tail, { append: true });
    } catch (error) {
      return `no room for it: ${(error as Error).message}`;
    }
    return `${tail.length} bytes behind ${bytes.length}`;
  }

  /**
   * Changes one bit of one segment. Not of the last record of all: that cannot be told from one that was torn when the
   * process died, of which nothing was promised. What is missing in other segments, and whose that is, the next one
   * tells exactly; in the last one, what the record that was hit says may be what is damaged.
   */
  flip(chance: Chance): string {
    const segments = this.#segments();
    if (segments.length === 0) return "there is no segment";
    const path = chance.pick(segments);
    const bytes = Deno.readFileSync(path);
    const isLast = path === segments.at(-1);
    const [list, ...records] = recordsOf(bytes);
    const at = chance.int(isLast ? records.at(-1)?.from ?? HEADER_BYTES : bytes.length);
    const name = path.slice(path.lastIndexOf("/") + 1);
    let what = `byte ${at} of ${bytes.length} in ${name}, one of ${segments.length}`;
    const hit = isLast ? records.find(({ from, to }) => from <= at && at < to) : undefined;
    if (hit) {
      const payload = bytes.subarray(hit.from + RECORD_HEAD_BYTES, hit.to);
      const points = guessPoints(payload);
      this.hitPoints += points;
      what += `, in a record of ${points} points`;
      if (isOfClients(payload, at - hit.from - RECORD_HEAD_BYTES)) what += this.#hide();
    } else if (isLast && list && at >= list.from && at < list.to) what += this.#hide();
    bytes[at] ^= 1 << chance.int(8);
    Deno.writeFileSync(path, bytes);
    return what;
  }

  #hide(): string {
    this.hiddenClients++;
    return ", where it says whose they are";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
  }
}
