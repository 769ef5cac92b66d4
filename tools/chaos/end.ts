/** One end of the relay under test: a process that is started, stopped, killed, and whose journal is damaged. */
import { type LogLine, Program } from "../../tests/kit/process.ts";
import type { ChaosDisk } from "./disk.ts";
import type { Chance } from "../../tests/kit/bytes.ts";

/** The longest that a start may take, in ms; the machine may be busy. */
const START_MS = 60_000;
const STOP_MS = 60_000;
const LIFETIME_MS = 3_600_000;

export interface EndOptions {
  readonly name: "client" | "hop" | "server";
  /** @default the program */
  readonly program?: readonly string[];
  readonly args: readonly string[];
  readonly disk: ChaosDisk;
  /** Told what a process has logged, when it has ended, and whether it ended in good order. */
  readonly onEnded: (lines: readonly LogLine[], orderly: boolean) => void;
}

export class End implements AsyncDisposable {
  readonly name: "client" | "hop" | "server";
  readonly disk: ChaosDisk;
  /** Its journal was damaged: from now on it is only stopped in good order, so that no count is lost. */
  damaged = false;
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
    await new Promise((resolve) => setTimeout(resolve, afterMs));
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
    if (this.damaged) return await this.stop();
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
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    try {
      this.process.signal("SIGTERM");
    } catch { /* it has ended */ }
    const code = await this.process.exit(STOP_MS);
    if (code !== 0 && code !== 143) {
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

  #segments(): string[] {
    const journal = `${this.disk.outside}/${this.name}/journal`;
    return [...Deno.readDirSync(journal)].filter(({ name }) => name.endsWith(".segment"))
      .map(({ name }) => `${journal}/${name}`).sort();
  }

  /** Leaves the beginning of a record at the end of the journal, as a process does that dies while it writes. */
  tear(chance: Chance): string {
    const last = this.#segments().at(-1);
    if (!last) return "there is no segment";
    const bytes = Deno.readFileSync(last);
    const tail = chance.bytes(200);
    // Something that looks like a record, sometimes: the file's own beginning behind a length.
    if (chance.int(2) === 0) tail.set(bytes.subarray(0, tail.length));
    try {
      Deno.writeFileSync(last, tail, { append: true });
    } catch (error) {
      return `no room for it: ${(error as Error).message}`;
    }
    return `${tail.length} bytes behind ${bytes.length}`;
  }

  /** Changes one bit of one segment. */
  flip(chance: Chance): string {
    const segments = this.#segments();
    if (segments.length === 0) return "there is no segment";
    const path = chance.pick(segments);
    const bytes = Deno.readFileSync(path);
    const at = chance.int(bytes.length);
    bytes[at] ^= 1 << chance.int(8);
    Deno.writeFileSync(path, bytes);
    return `byte ${at} of ${bytes.length} in ${
      path.slice(path.lastIndexOf("/") + 1)
    }, one of ${segments.length}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
  }
}
