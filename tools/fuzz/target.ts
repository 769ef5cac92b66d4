/** The server under test: the real program, with a journal on disk, TLS, and a pipe that its CSV goes to. */
import { certificates } from "../../tests/kit/certificates.ts";
import { freePort } from "../../tests/kit/ports.ts";
import { PROGRAM, shell } from "../../tests/kit/process.ts";
import { TempDir } from "../../tests/kit/temp_dir.ts";
import { atMost, PATIENCE_MS, until } from "../../tests/kit/waiting.ts";
import { V8_FLAGS } from "../v8_flags.ts";
import { GOOD } from "./good_clients.ts";

// deno-lint-ignore no-control-regex
const RAW = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
const MAX_KEPT = 20;

export interface Sample {
  readonly atMs: number;
  readonly rssBytes: number;
  readonly files: number;
}

export class Target implements AsyncDisposable {
  /** Lines of the log that should not occur. */
  readonly findings: string[] = [];
  /** How often each value of the good clients has arrived, by metric. */
  readonly arrived = new Map<string, Map<number, number>>(GOOD.map((metric) => [metric, new Map()]));
  readonly samples: Sample[] = [];
  rows = 0;
  /** Lines of the log, by their message. */
  readonly messages = new Map<string, number>();
  readonly #began = performance.now();
  readonly #reading: Promise<void>[];
  readonly #sampler: ReturnType<typeof setInterval>;

  private constructor(
    readonly port: number,
    readonly child: Deno.ChildProcess,
    pipe: Deno.FsFile,
    readonly dir: TempDir,
  ) {
    this.#reading = [this.#readLog(), this.#readRows(pipe)];
    this.#sampler = setInterval(() => this.sample(), 500);
  }

  static async start(): Promise<Target> {
    const dir = new TempDir();
    const { issue } = await certificates(dir);
    const { cert, key } = await issue("relay.test");
    const pipe = dir.file("rows");
    await shell("mkfifo", pipe);
    const port = freePort();
    const settings = [`tls.cert='${cert}'`, `tls.key='${key}'`, "tls.mode=optional"];
    const [first, ...rest] = PROGRAM;
    const flags = rest[0] === "run" ? ["run", V8_FLAGS, ...rest.slice(1)] : rest;
    const child = new Deno.Command(first, {
      args: [
        ...flags,
        ...["--relay-in", `127.0.0.1:${port}`.replace("127.0.0.1", "0.0.0.0"), "--output-file", pipe],
        ...["--state-dir", dir.file("state"), "--log-format", "json"],
        ...settings.flatMap((setting) => ["--config-override", `plugins.relay-server.${setting}`]),
      ],
      env: {
        DENO_NO_UPDATE_CHECK: "1",
        ALUMET_RELAY_POISON_SERIES: "1",
        STATE_DIRECTORY: "",
        HOME: dir.path,
      },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    // Opening a pipe for reading and writing does not block.
    const target = new Target(port, child, await Deno.open(pipe, { read: true, write: true }), dir);
    try {
      await until(() => target.messages.has("Running"), PATIENCE_MS, "the server runs");
    } catch (error) {
      await target[Symbol.asyncDispose]();
      throw error;
    }
    return target;
  }

  async #readLog(): Promise<void> {
    let rest = "";
    for await (const text of this.child.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#line(line);
    }
    if (rest !== "") this.#line(rest);
  }

  #line(line: string): void {
    let level = "none", message = line;
    try {
      ({ level, message } = JSON.parse(line));
    } catch { /* not a line of the log */ }
    const short = message.slice(0, 60);
    if (this.messages.size < 1000) this.messages.set(short, (this.messages.get(short) ?? 0) + 1);
    const isRaw = RAW.test(line);
    if ((level === "error" || level === "none" || isRaw) && this.findings.length < MAX_KEPT) {
      this.findings.push(isRaw ? `control characters: ${JSON.stringify(line)}` : line);
    }
  }

  async #readRows(pipe: Deno.FsFile): Promise<void> {
    const pattern = new RegExp(`^(${GOOD.join("|")})[^;]*;[^;]*;(\\d+);`);
    let rest = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(256 * 1024);
    using _pipe = pipe;
    while (true) {
      const count = await pipe.read(buffer);
      if (count === null) return;
      const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === END) return;
        this.rows++;
        if (!line.startsWith("good_")) continue;
        const [, metric, value] = pattern.exec(line) ?? [];
        const values = this.arrived.get(metric);
        values?.set(Number(value), (values.get(Number(value)) ?? 0) + 1);
      }
    }
  }

  sample(): Sample | undefined {
    try {
      const status = Deno.readTextFileSync(`/proc/${this.child.pid}/status`);
      const rssBytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
      const files = [...Deno.readDirSync(`/proc/${this.child.pid}/fd`)].length;
      const sample = { atMs: performance.now() - this.#began, rssBytes, files };
      this.samples.push(sample);
      return sample;
    } catch { /* it has ended */ }
  }

  /** Stops it in good order. @returns the exit code, or the signal that ended it. */
  async stop(): Promise<number | string> {
    clearInterval(this.#sampler);
    try {
      this.child.kill("SIGTERM");
    } catch { /* it has ended, which its status says */ }
    const { code, signal } = await atMost(PATIENCE_MS, this.child.status, () => "the end of the server");
    await Deno.writeTextFile(this.dir.file("rows"), `\n${END}\n`, { append: true, create: false });
    await Promise.all(this.#reading);
    return signal ?? code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sampler);
    try {
      this.child.kill("SIGKILL");
      await this.child.status;
      await Deno.writeTextFile(this.dir.file("rows"), `\n${END}\n`, { append: true, create: false });
    } catch { /* it has ended */ }
    await Promise.all(this.#reading);
    await this.dir[Symbol.asyncDispose]();
  }
}

/** A line that is not a row. */
const END = "the end of the rows";
