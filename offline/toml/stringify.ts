/** Options for {@linkcode stringify}. */
export interface StringifyOptions {
  /** Whether the equals signs of the whole text stand in one column. @default {false} */
  keyAlignment?: boolean;
}

type Table = Record<string, unknown>;
/** A line of text, or a key with its value as text. */
type Line = string | readonly [key: string, value: string];

/** Makes TOML of an object: plain values before tables, an empty line before each table. */
export function stringify(obj: Record<string, unknown>, options: StringifyOptions = {}): string {
  const lines = tableLines(obj, []);
  if (lines.length === 0) return "";
  const width = options.keyAlignment ? Math.max(0, ...lines.map((line) => keyOf(line).length)) : 0;
  return lines.map((line) => typeof line === "string" ? line : `${line[0].padEnd(width)} = ${line[1]}`).join(
    "\n",
  ) + "\n";
}

function keyOf(line: Line): string {
  return typeof line === "string" ? "" : line[0];
}

function tableLines(table: Table, path: readonly string[]): Line[] {
  const pairs: Line[] = [];
  const tables: Line[] = [];
  for (const [key, value] of Object.entries(table)) {
    const text = inlineText(value);
    if (text !== undefined) {
      pairs.push([keyText(key), text]);
      continue;
    }
    const inner = [...path, key];
    const name = inner.map(keyText).join(".");
    if (Array.isArray(value)) {
      for (const element of value) tables.push("", `[[${name}]]`, ...tableLines(element, inner));
    } else if (typeof value === "object") {
      const content = tableLines((value ?? {}) as Table, inner);
      // The header of a table that begins with a table in it says nothing.
      const implied = content[0] === "" && (content[1] as string).startsWith(`[${name}.`);
      tables.push(...(implied ? content : ["", `[${name}]`, ...content]));
    }
  }
  return [...pairs, ...tables];
}

/** The text of what stands behind an equals sign, or `undefined` for a table, an array of tables, or no TOML at all. */
function inlineText(value: unknown): string | undefined {
  if (value instanceof Date) return dateText(value);
  if (Array.isArray(value)) {
    if (value.every(isPlain)) return JSON.stringify(value);
    return value.some((element) => isPlain(element) || Array.isArray(element))
      ? nestedText(value)
      : undefined;
  }
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "boolean") return String(value);
  return typeof value === "number" ? numberText(value) : undefined;
}

/** The text of a value within an array or an inline table. */
function nestedText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(nestedText).join(",")}]`;
  if (value instanceof Date) return `"${dateText(value)}"`;
  if (typeof value === "number") return String(value);
  if (isPlain(value)) return JSON.stringify(value);
  if (typeof value !== "object" || value === null) throw new TypeError(`Cannot write ${value} as TOML`);
  return `{${
    Object.entries(value).map(([key, inner]) => `${keyText(key)} = ${nestedText(inner)}`).join(",")
  }}`;
}

function isPlain(value: unknown): boolean {
  return value instanceof Date || ["string", "number", "boolean"].includes(typeof value);
}

function keyText(key: string): string {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : JSON.stringify(key);
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  return Number.isFinite(value) ? String(value) : value > 0 ? "inf" : "-inf";
}

/** A date and time without an offset, in UTC. */
function dateText(date: Date): string {
  return date.toISOString().slice(0, -1);
}
