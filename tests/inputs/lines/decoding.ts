/** A decoder of lines in a test, and what it has made of what it was given. */
import assert from "node:assert/strict";
import { Naming } from "../../../lib/inputs/decoding/naming.ts";
import type { TimeUnit } from "../../../lib/inputs/decoding/numbers.ts";
import { type MetricRule, MetricRules } from "../../../lib/inputs/decoding/rules.ts";
import { LineDecoder } from "../../../lib/inputs/lines/line_decoder.ts";
import { LineStream } from "../../../lib/inputs/lines/line_stream.ts";
import { BatchBuilder } from "../../../lib/points/batch_builder.ts";
import { type Batch, BatchPool } from "../../../lib/points/measurement.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { SeriesStore } from "../../../lib/points/series_store.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { textsOf } from "./taking.ts";

export const encode = (text: string) => new TextEncoder().encode(text);

export interface Options {
  rules?: { metric?: string; unit?: string; type?: string; resource?: string; consumer?: string }[];
  scale?: TimeUnit;
  maxMetrics?: number;
  maxLineBytes?: number;
  registry?: MetricRegistry;
  maxTexts?: number;
}

/** A decoder, and what it has made of what it was given. */
export class Decoding {
  readonly problems: string[] = [];
  readonly stats = { points: 0, badLines: 0, refusedPoints: 0, skippedTexts: 0 };
  readonly clock = new FakeClock();
  readonly stream: LineStream;
  readonly store = new SeriesStore();
  /** How often a series was looked up by its name. */
  lookups = 0;
  readonly #out: BatchBuilder;

  constructor(
    { rules = [], scale, maxMetrics = 4096, maxLineBytes = 65_536, registry, maxTexts }: Options = {},
  ) {
    this.clock.spend(1000);
    this.#out = new BatchBuilder(new BatchPool(16, 4, this.store));
    const naming = new Naming({
      input: "lines",
      registry: registry ?? new MetricRegistry(),
      store: this.store,
      rules: new MetricRules(rules.map((rule) => ({ metric: "*", ...rule }) as MetricRule)),
      maxMetrics,
      maxNameBytes: 25,
    });
    const find = naming.find.bind(naming);
    naming.find = (...names) => (this.lookups++, find(...names));
    this.stream = new LineStream({
      decoder: new LineDecoder(naming, this.#out, this.stats, maxTexts),
      clock: this.clock,
      maxLineBytes,
      scale,
      problems: {
        badLine: (line, reason) => void this.problems.push(`${line}: ${reason}`),
        refusedPoint: (line, reason) => void this.problems.push(`${line} (point): ${reason}`),
      },
    });
  }

  /** Gives it bytes, in pieces of that length. */
  give(bytes: Uint8Array, piece = bytes.length): this {
    for (let at = 0; at < bytes.length; at += piece) {
      for (let part = bytes.subarray(at, at + piece); part.length > 0;) {
        const { space } = this.stream;
        const count = Math.min(space.length, part.length);
        space.set(part.subarray(0, count));
        this.stream.received(count);
        part = part.subarray(count);
      }
    }
    return this;
  }

  takeBatches(): Batch[] {
    return this.#out.take();
  }

  /** What has come out since the last time, as texts. */
  take(): string[] {
    return this.takeBatches().flatMap((batch) => {
      const texts = textsOf(batch);
      batch.release();
      return texts;
    });
  }
}

/** The points of a text whose last line may have no line break. */
export function pointsOf(text: string, options?: Options): string[] {
  const decoding = new Decoding(options).give(encode(text));
  decoding.stream.end();
  assert.deepEqual(decoding.problems, []);
  return decoding.take();
}

export function problemsOf(text: string, options?: Options): string[] {
  const decoding = new Decoding(options).give(encode(text));
  decoding.stream.end();
  return decoding.problems;
}
