// deno-lint-ignore no-import-prefix -- laid out as a package of its own, where no import map applies
import { parse as parseToml, TomlDate, TomlError } from "npm:smol-toml@1.9.1";

/**
 * Parses TOML. Integers above 2^53 lose precision, as every number does; dates are `Date`s, and times of day strings.
 *
 * @throws {SyntaxError} With the line (from 1) and the column (from 0) in its message.
 */
export function parse(tomlString: string): Record<string, unknown> {
  try {
    const table = plainTable(parseToml(tomlString, { integersAsBigInt: "asNeeded", useLegacyDate: true }));
    // Without pairs before the first header, the real one starts from an object without a prototype, and keeps it.
    return /^(?:\s|#.*)*\[/.test(tomlString) ? Object.assign(emptyTable(), table) : table;
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n", 1)[0].replace(/^Invalid TOML document: /, "");
    throw new SyntaxError(`Parse error on line ${error.line}, column ${error.column - 1}: ${reason}`);
  }
}

function plainTable(table: object): Record<string, unknown> {
  const entries = Object.entries(table);
  if (entries.length === 0) return emptyTable();
  // fromEntries makes an own property of a key named `__proto__`, too.
  return Object.fromEntries(entries.map(([key, value]) => [key, plain(value)]));
}

function emptyTable(): Record<string, unknown> {
  return { __proto__: null } as unknown as Record<string, unknown>;
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof TomlDate) return plainDate(value);
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "object" && value !== null ? plainTable(value) : value;
}

function plainDate(date: TomlDate): Date | string {
  const text = date.toISOString();
  // A date and time without an offset is one of the local time zone, and so is how Date reads it.
  return date.isTime() ? text.replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") : new Date(text);
}
