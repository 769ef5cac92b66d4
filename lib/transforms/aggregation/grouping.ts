/** Which series are aggregated together: all whose labels of some names are equal. */
import { CLIENT_ATTRIBUTE, LOCAL_MACHINE, type SeriesDefinition } from "../../points/measurement.ts";
import type { Derivation } from "../derived_series.ts";

/** Makes the series that stands for the group of another one. What is not named is as for the whole machine. */
export function groupingBy(names: readonly string[]): Derivation {
  const kept = new Set(names);
  const part = (what: "resource" | "consumer", kind: string, id: string): [kind: string, id: string] => {
    if (kept.has(what)) return [kind, id];
    return kept.has(`${what}_kind`) ? [kind, ""] : [LOCAL_MACHINE, ""];
  };
  const group = (definition: SeriesDefinition): SeriesDefinition => {
    const [resourceKind, resourceId] = part("resource", definition.resourceKind, definition.resourceId);
    const [consumerKind, consumerId] = part("consumer", definition.consumerKind, definition.consumerId);
    // The same attributes in another order are the same group.
    const attributes = definition.attributes.filter(([name]) => kept.has(name) && name !== CLIENT_ATTRIBUTE)
      .sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
    const client = kept.has(CLIENT_ATTRIBUTE)
      ? definition.attributes.filter(([name]) => name === CLIENT_ATTRIBUTE)
      : [];
    const { metric } = definition;
    return {
      metric,
      resourceKind,
      resourceId,
      consumerKind,
      consumerId,
      attributes: [...attributes, ...client],
    };
  };
  return (store, series) =>
    kept.has(CLIENT_ATTRIBUTE)
      ? store.internDefinition(group(store.definitionOf(series)), store.ownerOf(series))
      : store.internDefinition(group(store.definitionOf(series)));
}
