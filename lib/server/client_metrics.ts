/** The metrics that clients define: each client has a limit, so that none fills the registry for the others. */
import type { Metric } from "../points/measurement.ts";
import { longMetricProblem } from "../wire/names.ts";
import { type MetricDefinition, type MetricRegistry, RegistryError } from "../points/registry.ts";

export interface ClientMetricLimits {
  /** Metrics of one client. */
  readonly maxMetrics: number;
  readonly maxNameBytes: number;
}

export class ClientMetrics {
  readonly #registry: MetricRegistry;
  readonly #limits: ClientMetricLimits;
  /** How many metrics each client was the first to define, by its name. */
  readonly #defined = new Map<string, number>();

  constructor(registry: MetricRegistry, limits: ClientMetricLimits) {
    this.#registry = registry;
    this.#limits = limits;
  }

  /**
   * @param sender The name to append where the name of the metric is taken, if it is not the client itself.
   * @throws {RegistryError} if the metric is refused.
   */
  register(definition: MetricDefinition, client: string, sender = client): Metric {
    const { maxMetrics, maxNameBytes } = this.#limits;
    const problem = longMetricProblem(definition, maxNameBytes);
    if (problem) throw new RegistryError(problem);
    return this.#registry.register(definition, `relay-client-${sender}`, (name) => {
      const defined = this.#defined.get(client) ?? 0;
      if (defined >= maxMetrics) {
        throw new RegistryError(
          `Cannot register metric ${name}: its client has defined ${maxMetrics} already`,
        );
      }
      this.#defined.set(client, defined + 1);
    });
  }
}
