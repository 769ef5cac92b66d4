/** InfluxDB 1.6 and VictoriaMetrics of Debian, and a proxy in front of either that plays tricks. */
import { type Need, succeeds } from "./needs.ts";
import { freePort } from "./ports.ts";
import { Service } from "./service.ts";
import { TempDir } from "./temp_dir.ts";
import { pause } from "./waiting.ts";

export const influxd: Need = () =>
  succeeds("influxd", "version") ? undefined : "needs influxd (Debian's influxdb)";
export const victoriaMetrics: Need = () =>
  succeeds("victoria-metrics", "-version") ? undefined : "needs victoria-metrics";

/** A database in a process of its own; what it stores outlives the process, and ends with the object. */
abstract class Database implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly port = freePort();
  #service: Service | null = null;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  protected abstract launch(): Service;
  protected abstract readonly health: string;
  protected readonly signal: Deno.Signal = "SIGKILL";

  get pid(): number {
    return this.#service!.pid;
  }

  async start(): Promise<void> {
    this.#service = this.launch();
    await this.#service.answers(this.url + this.health);
  }

  /** It dies. */
  async stop(): Promise<void> {
    const service = this.#service;
    this.#service = null;
    if (this.signal === "SIGKILL") await service?.kill();
    else await service?.stop(this.signal);
    await service?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service?.kill();
    await this.#service?.[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/** A row of a query. */
export type Row = Readonly<Record<string, string | null>>;

/** InfluxDB 1.6. */
export class InfluxDb extends Database {
  protected readonly health = "/ping";
  /** Lines for its section `[http]`, and whole sections. */
  http = "";

  static async start(http = ""): Promise<InfluxDb> {
    const database = new InfluxDb();
    database.http = http;
    await database.start();
    return database;
  }

  protected launch(): Service {
    const path = this.dir.file("influxdb.conf");
    Deno.writeTextFileSync(
      path,
      `reporting-disabled = true
bind-address = "127.0.0.1:${freePort()}"
[meta]
dir = "${this.dir.path}/meta"
[data]
dir = "${this.dir.path}/data"
wal-dir = "${this.dir.path}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
[http]
bind-address = "127.0.0.1:${this.port}"
log-enabled = false
${this.http}
`,
    );
    return new Service("influxd", ["-config", path]);
  }

  /** The text of the answer to a query. */
  async ask(query: string, parameters: Record<string, string> = {}): Promise<string> {
    const body = new URLSearchParams({ q: query });
    const url = `${this.url}/query?${new URLSearchParams({ epoch: "ns", ...parameters })}`;
    const response = await fetch(url, { method: "POST", body });
    const text = await response.text();
    if (!response.ok || text.includes('"error"')) throw new Error(`${query}: ${text}`);
    return text;
  }

  /** Writes lines of the line protocol. */
  async write(db: string, lines: string): Promise<void> {
    const response = await fetch(`${this.url}/write?${new URLSearchParams({ db })}`, {
      method: "POST",
      body: lines,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${lines}: ${text}`);
  }

  /** All rows of all measurements of a database; numbers as they stand in the answer. */
  async rows(db: string): Promise<{ measurement: string; tags: Record<string, string>; row: Row }[]> {
    // One query for each measurement: a field that is an integer in one and a float in another would be a float in both.
    const known = JSON.parse(await this.ask("SHOW MEASUREMENTS", { db })).results[0].series?.[0].values ?? [];
    const queries = (known as string[][]).map(([name]) =>
      `SELECT * FROM "${name.replace(/["\\]/g, "\\$&")}" GROUP BY *`
    );
    if (queries.length === 0) return [];
    const text = await this.ask(queries.join("; "), { db });
    // Numbers as texts: they may be above 2^53.
    const answer = JSON.parse(
      text,
      ((_key: string, value: unknown, { source }: { source: string }) =>
        typeof value === "number" ? source : value) as (key: string, value: unknown) => unknown,
    );
    type Series = {
      name: string;
      tags?: Record<string, string>;
      columns: string[];
      values: (string | null)[][];
    };
    const series = answer.results.flatMap(({ series = [] }: { series?: Series[] }) => series) as Series[];
    return series.flatMap(({ name, tags = {}, columns, values }) =>
      values.map((value) => ({
        measurement: name,
        // A series without a tag that others have has an empty one here.
        tags: Object.fromEntries(Object.entries(tags).filter(([, text]) => text !== "")),
        row: Object.fromEntries(columns.map((column, i) => [column, value[i]])),
      }))
    );
  }
}

/** VictoriaMetrics, single node. */
export class VictoriaMetrics extends Database {
  protected readonly health = "/health";
  /** What it answers is only in memory for some seconds: a death costs it. */
  protected override readonly signal = "SIGTERM";
  flags: readonly string[] = [];

  static async start(...flags: string[]): Promise<VictoriaMetrics> {
    const database = new VictoriaMetrics();
    database.flags = flags;
    await database.start();
    return database;
  }

  protected launch(): Service {
    return new Service("victoria-metrics", [
      `-storageDataPath=${this.dir.path}/data`,
      `-httpListenAddr=127.0.0.1:${this.port}`,
      "-retentionPeriod=100y",
      "-memory.allowedBytes=256MB",
      "-search.maxUniqueTimeseries=1000000",
      ...this.flags,
    ]);
  }

  async ask(path: string, parameters: Record<string, string> = {}): Promise<string> {
    const response = await fetch(`${this.url}${path}?${new URLSearchParams(parameters)}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${text}`);
    return text;
  }

  /** Every sample of every series. */
  async series(): Promise<{ metric: Record<string, string>; values: number[]; timestamps: number[] }[]> {
    await this.ask("/internal/force_flush");
    const text = await this.ask("/api/v1/export", { "match[]": '{__name__!=""}', reduce_mem_usage: "1" });
    return text.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }
}

export type Trick = "none" | "slow" | "refuse" | "hang";

/** Between an output and a database. */
export class Proxy implements AsyncDisposable {
  trick: Trick = "none";
  /** What it answers while it refuses. */
  refusal: () => Response = () => new Response("overloaded", { status: 503 });
  readonly port = freePort();
  #server: Deno.HttpServer | null = null;
  #end = new AbortController();
  #release = Promise.withResolvers<void>();

  constructor(readonly target: string) {
    this.start();
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  start(): void {
    this.#end = new AbortController();
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: this.port,
      signal: this.#end.signal,
      onListen: () => {},
      onError: () => new Response("gone", { status: 502 }),
    }, (request) => this.#answer(request));
  }

  /** Whoever hangs is let go. */
  release(): void {
    this.#release.resolve();
    this.#release = Promise.withResolvers();
  }

  async #answer(request: Request): Promise<Response> {
    const body = request.method === "GET" ? undefined : await request.arrayBuffer();
    if (this.trick === "refuse") return this.refusal();
    if (this.trick === "hang") {
      await this.#release.promise;
      return new Response(null, { status: 504 });
    }
    if (this.trick === "slow") await pause(100);
    const { pathname, search } = new URL(request.url);
    const response = await fetch(this.target + pathname + search, {
      method: request.method,
      headers: request.headers,
      body,
    });
    const headers = new Headers(response.headers);
    headers.delete("content-encoding");
    headers.delete("content-length");
    const text = await response.arrayBuffer();
    return new Response(text.byteLength > 0 ? text : null, { status: response.status, headers });
  }

  async stop(): Promise<void> {
    this.release();
    this.#end.abort();
    await this.#server?.finished;
    this.#server = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
