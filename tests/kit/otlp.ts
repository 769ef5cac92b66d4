/** Receivers of OTLP that are not ours: Google's protobuf behind a server of Python, and VictoriaMetrics. */
import { type Need, program } from "./needs.ts";
import { freePort } from "./ports.ts";
import { Service } from "./service.ts";
import { TempDir } from "./temp_dir.ts";

/** A Python that has the package opentelemetry-proto. */
const PYTHON = Deno.env.get("OTLP_PYTHON") || "python3";
/** A VictoriaMetrics that speaks OTLP: 1.92 or later. Debian 12 has 1.79, Debian 13 has 1.112. */
const VICTORIA_METRICS = Deno.env.get("OTLP_VICTORIA_METRICS") || "";

export const otlpPython: Need = () =>
  program(PYTHON, "", "-c", "import opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")() ===
      undefined
    ? undefined
    : "needs a Python with opentelemetry-proto (OTLP_PYTHON)";
export const otlpDatabase: Need = () =>
  VICTORIA_METRICS !== "" && program(VICTORIA_METRICS, "", "-version")() === undefined
    ? undefined
    : "needs a VictoriaMetrics of 1.92 or later (OTLP_VICTORIA_METRICS)";

/** A typed value, as it was decoded: a double is its 64 bits in hexadecimal digits, an integer is decimal. */
export type Decoded = readonly [kind: string, value: string | boolean | readonly Decoded[]];

export interface DecodedPoint {
  readonly resource: Readonly<Record<string, Decoded>>;
  readonly scope: readonly [name: string, version: string, attributes: Readonly<Record<string, Decoded>>];
  readonly metric: string;
  readonly description: string;
  readonly unit: string;
  /** Nanoseconds. */
  readonly time: string;
  readonly start: number;
  readonly value: Decoded;
  readonly attributes: Readonly<Record<string, Decoded>>;
}

/** How the next requests are answered; see otlp_receiver.py. */
export interface Mode {
  status?: number;
  headers?: Record<string, string>;
  delay?: number;
  hang?: boolean;
  reject?: number;
  message?: string;
  bad?: string;
}

/** What a request has besides its points. */
export type RequestSeen = Readonly<Record<string, string>> & { readonly bytes: number };

/** The receiver of Python. What it has answered is in a file, and outlives the process. */
export class OtlpReceiver implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly port = freePort();
  #service: Service | null = null;

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    await receiver.start();
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const script = new URL("otlp_receiver.py", import.meta.url).pathname;
    this.#service = new Service(PYTHON, [script, String(this.port), this.#dir.file("points.json")]);
    await this.#service.answers(this.url);
  }

  /** It dies. */
  async stop(): Promise<void> {
    await this.#service?.kill();
    await this.#service?.[Symbol.asyncDispose]();
    this.#service = null;
  }

  async mode(mode: Mode): Promise<void> {
    const response = await fetch(`${this.url}/mode`, { method: "POST", body: JSON.stringify(mode) });
    await response.body?.cancel();
  }

  async requests(): Promise<readonly RequestSeen[]> {
    return await (await fetch(this.url)).json();
  }

  points(): DecodedPoint[] {
    try {
      const text = Deno.readTextFileSync(this.#dir.file("points.json"));
      return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Samples of one series. */
export interface StoredSeries {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly (number | string | null)[];
  /** In ms. */
  readonly timestamps: readonly number[];
}

/** VictoriaMetrics, which takes OTLP below `/opentelemetry`. */
export class OtlpDatabase implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly port = freePort();
  readonly #service: Service;

  private constructor() {
    this.#service = new Service(VICTORIA_METRICS, [
      `-storageDataPath=${this.#dir.path}`,
      `-httpListenAddr=127.0.0.1:${this.port}`,
      "-retentionPeriod=100y",
      "-memory.allowedBytes=256MB",
    ]);
  }

  static async start(): Promise<OtlpDatabase> {
    const database = new OtlpDatabase();
    await database.#service.answers(`http://127.0.0.1:${database.port}/health`);
    return database;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/opentelemetry`;
  }

  /** All that is stored of the series that a selector finds. */
  async export(selector: string): Promise<StoredSeries[]> {
    const base = `http://127.0.0.1:${this.port}`;
    await (await fetch(`${base}/internal/force_flush`)).text();
    const query = new URLSearchParams({ "match[]": selector, start: "0", end: "4102444800" });
    const text = await (await fetch(`${base}/api/v1/export?${query}`)).text();
    return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}
