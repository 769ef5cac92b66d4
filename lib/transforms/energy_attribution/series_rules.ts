/** Which series a declaration of a formula accepts. */
import type { AttributeValue, SeriesDefinition } from "../../points/measurement.ts";
import { Pattern } from "../metric_names.ts";

export interface SeriesRule {
  readonly metric: string;
  readonly resource_kind?: string;
  readonly resource_id?: string;
  readonly consumer_kind?: string;
  readonly consumer_id?: string;
  readonly keep_attributes: boolean;
  /** Attributes that a point must have, with these values. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Attributes that a point must not have, with values that fit one of these patterns. */
  readonly except: Readonly<Record<string, readonly string[]>>;
}

/** Whether a series is one that the rule means. */
export function accepts(rule: SeriesRule): (series: SeriesDefinition) => boolean {
  const except = Object.entries(rule.except)
    .map(([name, values]) => [name, values.map((value) => new Pattern(value))] as const);
  return (series) =>
    series.metric.name === rule.metric &&
    isSame(rule.resource_kind, series.resourceKind) && isSame(rule.resource_id, series.resourceId) &&
    isSame(rule.consumer_kind, series.consumerKind) && isSame(rule.consumer_id, series.consumerId) &&
    Object.entries(rule.attributes).every(([name, wanted]) =>
      series.attributes.some(([found, value]) => found === name && isEqual(value, wanted))
    ) &&
    !series.attributes.some(([found, value]) =>
      except.some(([name, patterns]) =>
        name === found && patterns.some((pattern) => pattern.matches(String(value)))
      )
    );
}

const isSame = (wanted: string | undefined, found: string) => wanted === undefined || wanted === found;

/** A number in the configuration stands for an int or a float. */
function isEqual(found: AttributeValue, wanted: string | number | boolean): boolean {
  return typeof found === "bigint" ? Number(found) === wanted : found === wanted;
}
