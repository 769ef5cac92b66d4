/**
 * Text in InfluxDB's line protocol. The protocol has no way to write every text, and the servers do not agree on some
 * that it has; what is written here is read the same by InfluxDB 1 and 2 and by VictoriaMetrics:
 *
 * - a comma, a space and, in tags and field names, an equals sign have a backslash before them;
 * - control characters, which no server can be given (a line break would end the point), and a backslash that a server
 *   would take for an escape (before one of those characters, before another backslash, at the end) are written as
 *   `\xNN`, the way systemd writes them in the names of its units: `\x0a`, `\x5c`;
 * - a `#` that would make a line a comment is `\x23`; a measurement without a name is `_`.
 *
 * https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/#special-characters
 */

// deno-lint-ignore no-control-regex
const SPECIAL = /[\u0000-\u001f\u007f\\ ,=]/;
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/g;

const hex = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;

function escapeWith(text: string, escaped: string): string {
  if (!SPECIAL.test(text)) return text;
  let result = "";
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (escaped.includes(character)) result += `\\${character}`;
    else if (character === "\\") {
      const harmless = i + 1 < text.length && !SPECIAL.test(text[i + 1]);
      result += harmless ? character : hex(character);
    } else result += character < " " || character === "\u007f" ? hex(character) : character;
  }
  return result;
}

/** The name of a measurement. */
export function measurementText(name: string): string {
  if (name === "") return "_";
  return name.startsWith("#") ? hex("#") + escapeWith(name.slice(1), ", ") : escapeWith(name, ", ");
}

/** The name of a tag or a field, or the value of a tag. Empty ones cannot be written: who calls leaves them out. */
export function keyText(text: string): string {
  return escapeWith(text, ",= ");
}

/** A field whose value is a text. A line break is replaced here too: VictoriaMetrics splits lines at each of them. */
export function stringField(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replace(CONTROL, hex)}"`;
}
