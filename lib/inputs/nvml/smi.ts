/** The program nvidia-smi, where there is no library: it prints lines at its own pace, and the newest are taken. */
import { TextLineStream } from "@std/streams/text-line-stream";
import type { MonotonicClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import type { within } from "../../base/waiting.ts";
import { Retry } from "../polling/retry.ts";
import { type Backend, CLOCKS, type Gpu, type ProcessMemory, type Sample } from "./sample.ts";

const MIB = 2 ** 20;

/** How long it may take to say which fields it knows, in ms. */
const HELP_MS = 10_000;
/** How long the first line may take, in ms: the driver may have to be loaded. */
const FIRST_LINE_MS = 4000;
/** A line this many intervals old says nothing about now. */
const FRESH_INTERVALS = 3;
const MOST_GPUS = 256;
const MOST_PROCESSES = 65_536;

/** Fields of `--query-gpu` that are wanted, in the order of the columns. The program ends if it does not know one. */
const FIELDS = [
  "pci.bus_id",
  "name",
  "power.draw",
  "power.draw.instant",
  "temperature.gpu",
  "utilization.gpu",
  "utilization.memory",
  "memory.free",
  "memory.reserved",
  "memory.total",
  "memory.used",
  "utilization.decoder",
  "utilization.encoder",
  "clocks.gr",
  "clocks.sm",
  "clocks.mem",
  "clocks.video",
] as const;
type Field = typeof FIELDS[number];
const MINIMAL_FIELDS: readonly Field[] = FIELDS.slice(0, 4);

/** A line with the time at which it came, in monotonic ms. */
interface Line<T> {
  readonly value: T;
  readonly atMs: number;
}

export interface SmiOptions {
  readonly isMinimal: boolean;
  readonly intervalMs: number;
  readonly clock: MonotonicClock;
  /** Whether the first line comes within that many ms. */
  readonly isInTime: typeof within;
}

/** Runs `nvidia-smi`, and again where it ends. */
export class Smi implements Backend {
  readonly findAgainMs: number;
  readonly #options: SmiOptions;
  readonly #retry: Retry;
  readonly #gpus = new Map<string, SmiGpu>();
  /** By GPU and pid. */
  readonly #processes = new Map<string, Line<ProcessMemory & { busId: string }>>();
  #running: Deno.ChildProcess[] = [];
  #error = "";
  #isClosed = false;
  /** Resolves when there is a line, or none will come. */
  #firstLine = Promise.withResolvers<void>();

  constructor(readonly path: string, options: SmiOptions) {
    this.#options = options;
    this.findAgainMs = options.intervalMs;
    this.#retry = new Retry(options.clock);
  }

  /** The GPUs that it has printed a line of. A call that starts it waits for the first line. */
  async find(): Promise<readonly Gpu[]> {
    if (this.#running.length === 0 && this.#retry.isDue && !this.#isClosed) {
      await this.#start();
      await this.#options.isInTime(this.#firstLine.promise, FIRST_LINE_MS);
    }
    if (this.#error !== "") throw new Error(this.#error);
    this.#forgetOld();
    return [...this.#gpus.values()];
  }

  async #start(): Promise<void> {
    this.#error = "";
    this.#firstLine = Promise.withResolvers();
    try {
      const { isMinimal } = this.#options;
      const known = await this.#knownFields();
      const fields = (isMinimal ? MINIMAL_FIELDS : FIELDS).filter((field) => known.has(field));
      this.#run(`--query-gpu=${fields.join()}`, (cells) => this.#takeGpu(fields, cells));
      if (!isMinimal) {
        this.#run("--query-compute-apps=gpu_bus_id,pid,used_memory", (cells) => this.#takeProcess(cells));
      }
    } catch (error) {
      this.#fail(messageOf(error));
    }
  }

  async #knownFields(): Promise<Set<string>> {
    const { code, stdout } = await new Deno.Command(this.path, {
      args: ["--help-query-gpu"],
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(HELP_MS),
    }).output();
    if (code !== 0) throw new Error(`--help-query-gpu ended with exit code ${code}`);
    // Each field stands in quotes, with the other names that it has: "clocks.current.graphics" or "clocks.gr".
    return new Set([...new TextDecoder().decode(stdout).matchAll(/"([\w.]+)"/g)].map(([, field]) => field));
  }

  #run(query: string, take: (cells: string[]) => void): void {
    const child = new Deno.Command(this.path, {
      args: [query, "--format=csv,noheader,nounits", "-lms", String(Math.ceil(this.#options.intervalMs))],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#running.push(child);
    const reading = this.#read(child.stdout, take);
    void Promise.allSettled([child.status, reading]).then(([status]) => {
      const code = status.status === "fulfilled" ? status.value.code : "unknown";
      if (!this.#isClosed) this.#fail(`it ended with exit code ${code}`);
    });
  }

  async #read(
    output: ReadableStream<Uint8Array<ArrayBuffer>>,
    take: (cells: string[]) => void,
  ): Promise<void> {
    for await (const line of output.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
      take(line.split(",").map((cell) => cell.trim()));
    }
  }

  /** Both programs are started again after a while. */
  #fail(message: string): void {
    this.#error = message;
    this.#firstLine.resolve();
    this.#retry.failed();
    this.#stop();
  }

  #stop(): void {
    for (const child of this.#running.splice(0)) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended.
      }
    }
  }

  #takeGpu(fields: readonly Field[], cells: readonly string[]): void {
    const busId = cells[0];
    if (cells.length !== fields.length || !/^[0-9A-Fa-f]{8}:[0-9A-Fa-f]{2}:/.test(busId)) return;
    this.#retry.succeeded();
    const cell = (field: Field) => cells[fields.indexOf(field)] ?? "";
    let gpu = this.#gpus.get(busId);
    if (!gpu) {
      if (this.#gpus.size >= MOST_GPUS) return;
      const processes = () => this.#processesOf(busId);
      gpu = new SmiGpu(busId, cell("name"), this.#options.isMinimal ? undefined : processes);
      this.#gpus.set(busId, gpu);
    }
    this.#firstLine.resolve();
    gpu.line = { value: sampleOf((field) => numberOf(cell(field))), atMs: this.#options.clock.monotonicMs() };
  }

  #takeProcess([busId, pid, memory]: readonly string[]): void {
    if (!/^\d{1,10}$/.test(pid ?? "") || this.#processes.size >= MOST_PROCESSES) return;
    const mebibytes = numberOf(memory);
    const value = { busId, pid: Number(pid), bytes: mebibytes === undefined ? undefined : mebibytes * MIB };
    this.#processes.set(`${busId} ${pid}`, { value, atMs: this.#options.clock.monotonicMs() });
  }

  #processesOf(busId: string): ProcessMemory[] {
    return [...this.#processes.values()].filter(({ value }) => value.busId === busId).map(({ value }) =>
      value
    );
  }

  #forgetOld(): void {
    const oldMs = this.#options.clock.monotonicMs() - FRESH_INTERVALS * this.#options.intervalMs;
    for (const [key, { atMs }] of this.#processes) if (atMs < oldMs) this.#processes.delete(key);
    for (const [busId, { line }] of this.#gpus) if (line && line.atMs < oldMs) this.#gpus.delete(busId);
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#firstLine.resolve();
    this.#stop();
  }
}

class SmiGpu implements Gpu {
  /** The newest one. */
  line: Line<Sample> | null = null;
  #taken: Line<Sample> | null = null;
  readonly #processes: (() => ProcessMemory[]) | undefined;

  constructor(readonly busId: string, readonly name: string, processes: (() => ProcessMemory[]) | undefined) {
    this.#processes = processes;
  }

  /** Each line is taken once. */
  read(): Promise<Sample> {
    const { line } = this;
    if (!line || line === this.#taken) return Promise.resolve({});
    this.#taken = line;
    return Promise.resolve({ ...line.value, computeProcesses: this.#processes?.() });
  }
}

/** `[N/A]` and `[Not Supported]` are not numbers. */
function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined;
}

function sampleOf(number: (field: Field) => number | undefined): Sample {
  const bytes = (field: Field) => {
    const mebibytes = number(field);
    return mebibytes === undefined ? undefined : Math.round(mebibytes * MIB);
  };
  const watts = number("power.draw.instant") ?? number("power.draw");
  const clocks = (["clocks.gr", "clocks.sm", "clocks.mem", "clocks.video"] as const).map(number);
  const codec = (field: Field) => {
    const percent = number(field);
    return percent === undefined ? undefined : { percent };
  };
  const sample: Sample = {
    powerMw: watts === undefined ? undefined : Math.round(watts * 1000),
    temperature: number("temperature.gpu"),
    utilization: { gpu: number("utilization.gpu"), memory: number("utilization.memory") },
    memory: {
      free: bytes("memory.free"),
      reserved: bytes("memory.reserved"),
      total: bytes("memory.total"),
      used: bytes("memory.used"),
    },
    decoder: codec("utilization.decoder"),
    encoder: codec("utilization.encoder"),
    clocks: clocks.length === CLOCKS.length && clocks.every((clock) => clock !== undefined)
      ? clocks.map((clock) => clock! * 1e6)
      : undefined,
  };
  return sample;
}
