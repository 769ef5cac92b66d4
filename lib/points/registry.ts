/** The metrics of one process, and how definitions that disagree live together. */
import type { Metric } from "./measurement.ts";

/** How a metric is declared. */
export type MetricDefinition = Omit<Metric, "description"> & Partial<Pick<Metric, "description">>;

function same(metric: Metric, other: MetricDefinition): boolean {
  return metric.type === other.type && metric.unit.base === other.unit.base &&
    metric.unit.prefix === other.unit.prefix;
}

/** A metric cannot be registered. */
export class RegistryError extends Error {
  override readonly name = "RegistryError";
}

/** Keeps one {@linkcode Metric} object per definition. A name has one definition; descriptions do not count. */
export class MetricRegistry {
  readonly #byName = new Map<string, Metric>();
  readonly #limit: number;

  /** @param limit How many metrics there may be, so that names from a network cannot fill the memory. */
  constructor(limit = 65_536) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#byName.size;
  }

  /**
   * The metric with this definition, new or known. Where the name is taken by another definition, the metric is
   * called `NAME_SUFFIX`, then `NAME_SUFFIX_2`, `NAME_SUFFIX_3` … (as Alumet does).
   *
   * @param admit Is asked before a new one is added; it throws a {@linkcode RegistryError} if there must be no more.
   * @throws {RegistryError} if there is no suffix and the name is taken, or if the registry is full.
   */
  register(definition: MetricDefinition, suffix?: string, admit?: (name: string) => void): Metric {
    let name = definition.name;
    for (let n = 1;; n++) {
      const known = this.#byName.get(name);
      if (!known) break;
      if (same(known, definition)) return known;
      if (suffix === undefined) {
        throw new RegistryError(
          `Cannot register metric ${name}: it is already defined with another type or unit`,
        );
      }
      name = `${definition.name}_${suffix}` + (n === 1 ? "" : `_${n}`);
    }
    if (this.#byName.size >= this.#limit) {
      throw new RegistryError(`Cannot register metric ${name}: there are ${this.#limit} metrics already`);
    }
    admit?.(name);
    const { type, unit, description = "" } = definition;
    const metric: Metric = { name, type, unit: { base: unit.base, prefix: unit.prefix }, description };
    this.#byName.set(name, metric);
    return metric;
  }
}
