/** A running agent with its page, within the process of a test. */
import { runAgent } from "../../lib/agent.ts";
import type { RunningAgent } from "../../lib/agent/settings.ts";
import type { StateBase } from "../../lib/agent/state_directory.ts";
import { LogRing } from "../../lib/base/log_ring.ts";
import { createLogger } from "../../lib/base/log.ts";
import { http, type HttpConfig } from "../../lib/http/config.ts";
import type { BatchSink, InputPlugin, OutputPlugin, Plugin } from "../../lib/plugin.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import { table } from "../../lib/schema.ts";
import { Seeing } from "../../lib/seeing.ts";
import { LogLines } from "../kit/log_lines.ts";
import { until } from "../kit/waiting.ts";

const declaration = { description: "for tests", config: table({}, { doc: "Nothing." }) };

/** What a test says about its site. */
export interface SiteOptions {
  http?: Partial<HttpConfig>;
  /** Inputs and outputs beside those of the test. */
  plugins?: { plugin: Plugin; config: unknown }[];
  stateBase?: StateBase;
  host?: string;
}

/** An input that pushes what the test says, an output that takes all, or nothing while `isStuck`, and the page. */
export class Site implements AsyncDisposable {
  readonly logs = new LogLines();
  readonly ring = new LogRing();
  /** The output takes nothing. */
  isStuck = false;
  agent!: RunningAgent;
  readonly #stop = new AbortController();
  #sink: BatchSink | null = null;
  #seeing!: Seeing;
  #done: Promise<number> = Promise.resolve(0);

  static async start(options: SiteOptions = {}): Promise<Site> {
    const site = new Site();
    await site.#start(options);
    return site;
  }

  async #start({ http: given, plugins = [], stateBase, host = "server-1" }: SiteOptions): Promise<void> {
    const config = { ...http.defaultValue(), enable: true, address: "127.0.0.1:0", ...given };
    const log = createLogger("test", {
      level: "trace",
      write: (line) => this.logs.lines.push(line.slice(25)),
      watch: (...entry) => this.ring.add(...entry),
    });
    this.#seeing = await Seeing.open(config, true, { version: "1.2.3", host, log: this.ring }, log);
    const running = Promise.withResolvers<void>();
    this.#done = runAgent(
      {
        general: { shutdown_timeout: 1000, ...stateBase && { journal: undefined } },
        stateBase: stateBase ?? null,
        plugins: [{ plugin: this.#input(), config: {} }, { plugin: this.#output(), config: {} }, ...plugins],
      },
      log,
      {
        stop: this.#stop.signal,
        signals: false,
        onRunning: (agent) => {
          this.agent = agent;
          this.#seeing.running(agent);
          running.resolve();
        },
        onStopping: () => this.#seeing.stopping(),
      },
    );
    await running.promise;
    await until(() => this.#sink !== null);
  }

  #input(): InputPlugin<unknown> {
    return {
      ...declaration,
      name: "source",
      kind: "input",
      open: () =>
        Promise.resolve({
          run: async (sink: BatchSink, stop: AbortSignal) => {
            this.#sink = sink;
            await new Promise<void>((resolve) => {
              if (stop.aborted) resolve();
              else stop.addEventListener("abort", () => resolve(), { once: true });
            });
          },
          stats: { polls: 3, pollMs: 1500 },
          async [Symbol.asyncDispose]() {},
        }),
    };
  }

  #output(): OutputPlugin<unknown> {
    return {
      ...declaration,
      name: "store",
      kind: "output",
      open: () =>
        Promise.resolve({
          run: async (reader, signal) => {
            while (await reader.wait(20, signal) !== "ended" && !signal.aborted) {
              while (!this.isStuck && reader.next()) reader.commit(1);
              if (this.isStuck) await new Promise((resolve) => setTimeout(resolve, 5));
            }
          },
          stats: { bytes: 7, rows: 5 },
          gauges: ["bytes"],
          async [Symbol.asyncDispose]() {},
        }),
    };
  }

  /** @throws with what the agent has logged, where it takes nothing more. */
  push(batch: Batch): void {
    try {
      void this.#sink!.push(batch);
    } catch (error) {
      throw new Error(`The agent has stopped:\n${this.logs.lines.join("")}`, { cause: error });
    }
  }

  /** `http://127.0.0.1:PORT`, without a slash at the end. */
  get url(): string {
    const [line] = this.logs.matching(/The page of this process/);
    return /url=(\S+)\//.exec(line)![1];
  }

  async get(
    path: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(this.url + path, { headers });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  // deno-lint-ignore no-explicit-any
  async json(path: string): Promise<any> {
    const { status, text } = await this.get(path);
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await this.#seeing[Symbol.asyncDispose]();
  }
}
