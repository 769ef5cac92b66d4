/** The key for a series of a formula: what a point must be, and any attributes that it must have. */
import { flag, type Infer, type Key, list, named, optional, table, text } from "../../schema.ts";
import { formatPath, quote } from "../../schema/path.ts";
import type { SeriesRule } from "./series_rules.ts";

const keys = table({
  metric: text({ doc: "The name of the metric.", default: "" }),
  resource_kind: optional(text({ doc: "The kind of the resource.", unset: "any", default: "local_machine" })),
  resource_id: optional(text({ doc: "The id of the resource.", unset: "any", default: "" })),
  consumer_kind: optional(text({ doc: "The kind of the consumer.", unset: "any", default: "process" })),
  consumer_id: optional(text({ doc: "The id of the consumer.", unset: "any", default: "" })),
  keep_attributes: flag({ doc: "Whether results have the attributes of these points.", default: true }),
  except: named(list(text({ doc: "A value.", default: "" }), { doc: "Values.", default: [] }), {
    doc: "Attributes that a point must not have with one of these values; `*` stands for any characters.",
    exampleName: "kind",
  }),
}, { doc: "A series." });

type Fixed = Infer<typeof keys>;
type AttributeWanted = SeriesRule["attributes"][string];

/** A table in one line, such as `{ metric = "cpu_percent", kind = "total" }`. */
export function seriesKey(doc: string, fallback: Partial<SeriesRule> = {}): Key<SeriesRule> {
  const defaultValue = (): SeriesRule => ({ ...keys.defaultValue(), attributes: {}, ...fallback });
  return {
    kind: "scalar",
    doc,
    secret: false,
    optional: false,
    keys: keys.keys!,
    defaultValue,
    check(value, path, report) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        keys.check(value, path, report);
        return defaultValue();
      }
      const own: Record<string, unknown> = {};
      const attributes: Record<string, AttributeWanted> = {};
      for (const [name, given] of Object.entries(value)) {
        if (Object.hasOwn(keys.keys!, name)) own[name] = given;
        else if (isWanted(given)) attributes[name] = typeof given === "bigint" ? Number(given) : given;
        else {
          const message = "expected a text, a number, true or false: the value that this attribute must have";
          report({ path: [...path, name], message });
        }
      }
      const fixed = keys.check(own, path, report);
      if (fixed.metric === "") {
        report({ path: [...path, "metric"], message: "name the metric: metric = " + quote("NAME") });
      }
      return { ...fixed, attributes };
    },
    literal({ attributes, ...fixed }) {
      const parts = Object.entries(keys.keys!).flatMap(([name, key]) => {
        const value = fixed[name as keyof Fixed];
        const isDefault = value === undefined ||
          !key.optional && key.literal(value) === key.literal(key.defaultValue());
        return isDefault ? [] : [`${name} = ${key.literal(value)}`];
      });
      const more = Object.entries(attributes).map(([name, value]) =>
        `${formatPath([name])} = ${literalOf(value)}`
      );
      return `{ ${[...parts, ...more].join(", ")} }`;
    },
  };
}

/** Integers of TOML beyond 2^53 are bigints. */
function isWanted(value: unknown): value is AttributeWanted | bigint {
  return ["string", "number", "bigint", "boolean"].includes(typeof value);
}

const literalOf = (value: AttributeWanted) => typeof value === "string" ? quote(value) : String(value);
