/** The attributes of a result, from those of the points that it is made of. */
import { type Attribute, CLIENT_ATTRIBUTE } from "../../points/measurement.ts";
import type { Source } from "./sources.ts";

/**
 * All attributes, in order. One that two sources have is there once; where the values differ, the name of the later
 * source stands before the second one. The client's is the last one, and always there.
 */
export function joinedAttributes(
  sources: readonly { readonly source: Source; readonly name: string; readonly keepsAttributes: boolean }[],
): Attribute[] {
  const joined: Attribute[] = [];
  let client: Attribute | undefined;
  for (const { source, name, keepsAttributes } of sources) {
    for (const attribute of source.definition.attributes) {
      const [key, value] = attribute;
      const known = joined.find(([found]) => found === key);
      if (key === CLIENT_ATTRIBUTE) client ??= attribute;
      else if (!keepsAttributes) continue;
      else if (!known) joined.push(attribute);
      else if (!isSameValue(known, attribute)) joined.push([`${name}_${key}`, value]);
    }
  }
  return client ? [...joined, client] : joined;
}

/** The attributes that all sources have, with the same values. */
export function commonAttributes([first, ...others]: readonly Source[]): Attribute[] {
  return first.definition.attributes.filter((attribute) =>
    others.every(({ definition }) => definition.attributes.some((other) => isSameAttribute(attribute, other)))
  );
}

function isSameAttribute(a: Attribute, b: Attribute): boolean {
  return a[0] === b[0] && isSameValue(a, b);
}

function isSameValue([, a]: Attribute, [, b]: Attribute): boolean {
  return a === b || Array.isArray(a) && Array.isArray(b) && a.join() === b.join();
}
