/** Third-party servers from Debian's packages: a test starts each on loopback, and none outlives it. */
import { atMost, PATIENCE_MS, pause } from "./waiting.ts";

/** A service that is older than this is killed, in ms. */
const LIFETIME_MS = 300_000;
/** How much of what it says is kept for messages, in characters. */
const KEPT = 16_384;
/** Between being asked to stop at the end of a test and being killed, in ms. */
const STOP_MS = 5000;

export interface ServiceOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** A process with arguments; what it writes is kept for messages. */
export class Service implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #title: string;
  readonly #reading: Promise<unknown>;
  readonly #lifetime: ReturnType<typeof setTimeout>;
  #said = "";
  #ended = false;

  constructor(program: string, args: readonly string[], options: ServiceOptions = {}) {
    this.#title = [program, ...args].join(" ");
    this.#child = new Deno.Command(program, {
      args: [...args],
      cwd: options.cwd,
      env: options.env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#reading = Promise.all([this.#read(this.#child.stdout), this.#read(this.#child.stderr)]);
    this.#child.status.then(() => this.#ended = true);
    this.#lifetime = setTimeout(() => this.#signal("SIGKILL"), LIFETIME_MS);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The command and the last that it said. */
  get log(): string {
    return `${this.#title}\n${this.#said}`;
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      this.#said = (this.#said + text).slice(-KEPT);
    }
  }

  /** Waits until the check says yes; an error of it is a no. Fails when the process ends before. */
  async ready(check: () => Promise<boolean>, ms = PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + ms;
    while (true) {
      try {
        if (await check()) return;
      } catch { /* not yet */ }
      if (this.#ended) throw new Error(`It has ended: ${this.log}`);
      if (performance.now() > deadline) throw new Error(`Not ready within ${ms} ms: ${this.log}`);
      await pause(50);
    }
  }

  /** Waits until an address answers with a status below 300. */
  async answers(url: string, ms = PATIENCE_MS): Promise<void> {
    await this.ready(async () => {
      const response = await fetch(url);
      await response.body?.cancel();
      return response.ok;
    }, ms);
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#child.status;
  }

  /** Asks it to stop, and waits for the end. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<void> {
    this.#signal(signal);
    await atMost(PATIENCE_MS, this.#child.status, () => `the end of ${this.log}`);
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch { /* it has ended */ }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#lifetime);
    this.#signal("SIGTERM");
    const killing = setTimeout(() => this.#signal("SIGKILL"), STOP_MS);
    await this.#child.status;
    clearTimeout(killing);
    await this.#reading;
  }
}
