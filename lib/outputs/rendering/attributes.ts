/** Attributes as JSON. */
import { type Attribute, type AttributeValue, CLIENT_ATTRIBUTE } from "../../points/measurement.ts";
import { jsonF64 } from "./numbers.ts";

/**
 * Attributes as a JSON object, without the client's name, which has a column of its own. Of attributes with the same
 * name the last one counts.
 */
export function renderAttributes(attributes: readonly Attribute[]): { client: string; json: string } {
  const last = new Map(attributes);
  const client = last.get(CLIENT_ATTRIBUTE);
  if (typeof client === "string") last.delete(CLIENT_ATTRIBUTE);
  const entries = [...last].map(([name, value]) => `${JSON.stringify(name)}:${jsonOf(value)}`);
  return { client: typeof client === "string" ? client : "", json: `{${entries.join(",")}}` };
}

/** A u64 is an integer of all its digits. */
function jsonOf(value: AttributeValue): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return jsonF64(value);
  return typeof value === "object" ? `[${value.join(",")}]` : String(value);
}
