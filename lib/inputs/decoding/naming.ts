/** From the name and the tags of a line to a series: what is a metric, a resource, a consumer and an attribute. */
import {
  type Attribute,
  CLIENT_ATTRIBUTE,
  LOCAL_MACHINE,
  type Metric,
  type Unit,
  type ValueType,
} from "../../points/measurement.ts";
import { type MetricRegistry, RegistryError } from "../../points/registry.ts";
import type { SeriesStore } from "../../points/series_store.ts";
import { isLonger } from "../../wire/names.ts";
import type { MetricFacts, MetricRules } from "./rules.ts";

/** A name and the text behind it, such as a tag. */
export type Tag = readonly [name: string, value: string];

/** A point is refused; the message says why, and counts as one kind of problem. */
export class NamingError extends Error {
  override readonly name = "NamingError";
}

/** What a sender says of a metric itself; rules go before it. */
export interface Declared {
  readonly unit?: Unit;
  readonly type?: ValueType;
  readonly description?: string;
}

export interface NamingOptions {
  /** The input, for metrics whose name is taken by another one. */
  readonly input: string;
  readonly registry: MetricRegistry;
  readonly store: SeriesStore;
  readonly rules: MetricRules;
  /** Metrics, at most; further ones are refused. */
  readonly maxMetrics: number;
  /** How many of them one sender may bring. @default as many */
  readonly maxMetricsOfSender?: number;
  /** Bytes of the name of a metric, a kind and a tag. */
  readonly maxNameBytes: number;
}

interface Known {
  readonly metric: Metric;
  readonly facts: MetricFacts;
}

/** Tags that are no attributes. Those with `resource_consumer` are what Alumet's output to InfluxDB writes. */
const PLACES: Readonly<Record<string, "resourceKind" | "resourceId" | "consumerKind" | "consumerId">> = {
  resource_kind: "resourceKind",
  resource_id: "resourceId",
  consumer_kind: "consumerKind",
  consumer_id: "consumerId",
  resource_consumer_kind: "consumerKind",
  resource_consumer_id: "consumerId",
};

const UNITY: Unit = { base: "1", prefix: "" };

export class Naming implements Disposable {
  readonly #options: NamingOptions;
  readonly #metrics = new Map<string, Known>();
  /** Whose share of memory series take that come from nobody in particular: that of the input. */
  readonly #inputOwner: number;
  /** Whose share new series take now. */
  #owner: number;
  #sender: string | undefined;
  /** How many metrics each sender brought. */
  readonly #broughtBy = new Map<string, number>();

  constructor(options: NamingOptions) {
    this.#options = options;
    this.#owner = this.#inputOwner = options.store.names.hold(`input ${options.input}`);
  }

  /** From now on new series take memory of this sender's share; `undefined`: of that of the input. */
  set sender(sender: string | undefined) {
    if (sender === this.#sender) return;
    const { input, store: { names } } = this.#options;
    const before = this.#owner;
    this.#owner = sender === undefined ? this.#inputOwner : names.hold(`input ${input} from ${sender}`);
    if (before !== this.#inputOwner) names.release(before);
    this.#sender = sender;
  }

  get store(): SeriesStore {
    return this.#options.store;
  }

  /**
   * The number of the series with these names.
   *
   * @throws {NamingError} if it has none.
   */
  find(name: string, tags: readonly Tag[], declared: Declared = {}): number {
    const { metric, facts } = this.#metricOf(name, declared);
    const places = {
      resourceKind: LOCAL_MACHINE,
      resourceId: "",
      consumerKind: LOCAL_MACHINE,
      consumerId: "",
    };
    const attributes = new Map<string, Attribute>();
    const taken = new Set<string>();
    const fill = (text: string) =>
      text.replace(/\{([^{}]*)\}/g, (_, tag) => {
        taken.add(tag);
        return tags.find(([name]) => name === tag)?.[1] ?? "";
      });
    if (facts.resource !== undefined) [places.resourceKind, places.resourceId] = split(fill(facts.resource));
    if (facts.consumer !== undefined) [places.consumerKind, places.consumerId] = split(fill(facts.consumer));
    for (const [key, value] of tags) {
      this.#checkLength("tag", key);
      const place = Object.hasOwn(PLACES, key) ? PLACES[key] : undefined;
      if (place) places[place] = value;
      // Nobody sends under the name of a client here.
      else if (key !== CLIENT_ATTRIBUTE && !taken.has(key) && !attributes.has(key)) {
        attributes.set(key, [key, value]);
      }
    }
    this.#checkLength("kind", places.resourceKind);
    this.#checkLength("kind", places.consumerKind);
    return this.store.internDefinition(
      { metric, ...places, attributes: [...attributes.values()] },
      this.#owner,
    );
  }

  #metricOf(name: string, declared: Declared): Known {
    const known = this.#metrics.get(name);
    if (known) return known;
    const { input, registry, rules } = this.#options;
    this.#checkLength("metric", name);
    this.#checkRoom();
    const facts = rules.of(name);
    const unit = facts.unit ?? declared.unit ?? UNITY;
    const type = facts.type ?? declared.type ?? "f64";
    try {
      const metric = registry.register({ name, type, unit, description: declared.description }, input);
      const made = { metric, facts };
      this.#metrics.set(name, made);
      const sender = this.#sender;
      if (sender !== undefined) this.#broughtBy.set(sender, (this.#broughtBy.get(sender) ?? 0) + 1);
      return made;
    } catch (error) {
      if (error instanceof RegistryError) throw new NamingError(error.message);
      throw error;
    }
  }

  /** @throws {NamingError} if there is no room for one more metric, or none of this sender. */
  #checkRoom(): void {
    const { maxMetrics, maxMetricsOfSender = maxMetrics } = this.#options;
    if (this.#metrics.size >= maxMetrics) {
      throw new NamingError(`there are ${maxMetrics} metrics already (limits.metrics)`);
    }
    if (this.#sender !== undefined && (this.#broughtBy.get(this.#sender) ?? 0) >= maxMetricsOfSender) {
      throw new NamingError(
        `this address has brought ${maxMetricsOfSender} metrics already (limits.metrics_per_address)`,
      );
    }
  }

  #checkLength(what: string, text: string): void {
    const { maxNameBytes } = this.#options;
    if (!isLonger(text, maxNameBytes)) return;
    throw new NamingError(`the name of a ${what} has more than ${maxNameBytes} bytes`);
  }

  [Symbol.dispose](): void {
    this.sender = undefined;
    this.store.names.release(this.#inputOwner);
  }
}

/** `KIND/ID`, or `KIND`. */
function split(text: string): [string, string] {
  const slash = text.indexOf("/");
  return slash < 0 ? [text, ""] : [text.slice(0, slash), text.slice(slash + 1)];
}
