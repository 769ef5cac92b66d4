/** The input `lines` in a test, and what it has handed over. */
import { config, type LinesConfig } from "../../../lib/inputs/lines/config.ts";
import { LinesInput, type StandardInput } from "../../../lib/inputs/lines/input.ts";
import type { Batch } from "../../../lib/points/measurement.ts";
import { unitUniqueName } from "../../../lib/points/units.ts";
import type { PluginContext } from "../../../lib/plugin.ts";
import { contextWith } from "../../kit/context.ts";
import { LogLines } from "../../kit/log_lines.ts";

/** `power[W] resource/1 consumer/2 {a=b} 1.5 @12.000000003`: what a test says about each point of a batch. */
export function textsOf(batch: Batch): string[] {
  return Array.from({ length: batch.length }, (_, row) => {
    const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = batch.seriesAt(row);
    const unit = unitUniqueName(metric.unit);
    const place = (kind: string, id: string) => kind === "local_machine" && id === "" ? "" : ` ${kind}/${id}`;
    const tags = attributes.map(([key, value]) => `${key}=${value}`).join(",");
    const value = metric.type === "u64" ? `${batch.exactValue(row)}u` : String(batch.values[row]);
    const nanos = String(batch.nanos[row]).padStart(9, "0").replace(/0+$/, "");
    const time = `${batch.seconds[row]}${nanos && `.${nanos}`}`;
    return `${metric.name}${unit === "1" ? "" : `[${unit}]`}${place(resourceKind, resourceId)}` +
      `${place(consumerKind, consumerId)}${tags && ` {${tags}}`} ${value} @${time}`;
  });
}

export class Taking implements AsyncDisposable {
  /** Points, as {@linkcode textsOf} shows them. */
  readonly points: string[] = [];
  readonly batches: Batch[] = [];
  readonly logs: LogLines;
  readonly input: LinesInput;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  /** While it is set, the pipe is full. */
  #full: PromiseWithResolvers<void> | null = null;

  private constructor(input: LinesInput, logs: LogLines) {
    this.input = input;
    this.logs = logs;
    this.#running = input.run({
      push: (batch) => {
        this.points.push(...textsOf(batch));
        this.batches.push(batch);
        return this.#full?.promise;
      },
    }, this.#stop.signal);
  }

  static async open(
    given: { [K in keyof LinesConfig]?: LinesConfig[K] extends object ? unknown : LinesConfig[K] },
    context: Partial<PluginContext> = {},
    stdin?: StandardInput,
  ): Promise<Taking> {
    const logs = new LogLines();
    const checked = config.check(given, [], ({ path, message }) => {
      throw new Error(`${path.join(".")}: ${message}`);
    });
    return new Taking(
      await LinesInput.open(checked, contextWith({ log: logs.log, ...context }), stdin),
      logs,
    );
  }

  /** The pipe takes nothing more until {@linkcode makeRoom}. */
  fill(): void {
    this.#full ??= Promise.withResolvers();
  }

  makeRoom(): void {
    this.#full?.resolve();
    this.#full = null;
  }

  /** The address of a source, as the log says it. */
  address(kind: "tcp" | "udp" | "http"): string {
    const line = this.logs.lines.find((line) => line.includes(`Listening for lines ${kind}=`));
    return line!.split(`${kind}=`)[1].trim();
  }

  port(kind: "tcp" | "udp" | "http"): number {
    return Number(this.address(kind).split(":").at(-1));
  }

  /** Stops in order. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.makeRoom();
    await this.stop();
    await this.input[Symbol.asyncDispose]();
  }
}
