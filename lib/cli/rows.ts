/** Prints rows of a query one at a time: as a table for people, as CSV or JSON for programs. */
import { printable, printableJson } from "../base/log.ts";

export type Cell = null | number | bigint | string | Uint8Array;
export type Row = readonly Cell[];

export const FORMATS = ["table", "csv", "json"] as const;
export type Format = typeof FORMATS[number];

/** The first rows, which set the width of the columns of a table. */
const MEASURED_ROWS = 200;
/** Most characters of a cell in a table. */
const MAX_WIDTH = 120;

export interface Layout {
  readonly format: Format;
  /** A terminal shows it: characters that move the cursor or hide text are escaped. */
  readonly terminal: boolean;
}

/** The text of rows, in pieces. */
export function* render(columns: readonly string[], rows: Iterable<Row>, layout: Layout): Generator<string> {
  if (layout.format === "csv") yield* csv(columns, rows, layout.terminal);
  else if (layout.format === "json") yield* json(columns, rows);
  else yield* table(columns, rows);
}

/** A cell after RFC 4180. */
export function csvCell(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lines that end with a line feed; NULL is empty. */
function* csv(columns: readonly string[], rows: Iterable<Row>, terminal: boolean): Generator<string> {
  const cell = (value: Cell) => {
    if (value === null) return "";
    const plain = textOf(value);
    const text = terminal ? printable(plain) : plain;
    return csvCell(text);
  };
  yield columns.map(cell).join(",") + "\n";
  for (const row of rows) yield row.map(cell).join(",") + "\n";
}

/** An array of objects. Integers have all their digits; NULL is null; infinity is a number that is too large. */
function* json(columns: readonly string[], rows: Iterable<Row>): Generator<string> {
  const names = distinct(columns).map((name) => printableJson(name));
  let before = "[";
  for (const row of rows) {
    yield `${before}\n{${row.map((value, i) => `${names[i]}:${jsonOf(value)}`).join(",")}}`;
    before = ",";
  }
  yield before === "[" ? "[]\n" : "\n]\n";
}

function jsonOf(value: Cell): string {
  if (value === null) return "null";
  if (typeof value === "number") {
    if (Number.isFinite(value)) return Object.is(value, -0) ? "-0.0" : String(value);
    return value > 0 ? "9e999" : "-9e999";
  }
  return typeof value === "bigint" ? String(value) : printableJson(textOf(value));
}

/** The second `a` is called `a:1`. */
function distinct(columns: readonly string[]): string[] {
  const taken = new Set<string>();
  return columns.map((name) => {
    let free = name;
    for (let n = 1; taken.has(free); n++) free = `${name}:${n}`;
    taken.add(free);
    return free;
  });
}

/** Columns as wide as the first rows need; later cells may be wider. */
function* table(columns: readonly string[], rows: Iterable<Row>): Generator<string> {
  const header = columns.map(shown);
  const iterator = rows[Symbol.iterator]();
  const first: { cells: string[]; row: Row }[] = [];
  let next = iterator.next();
  for (; !next.done && first.length < MEASURED_ROWS; next = iterator.next()) {
    first.push({ cells: next.value.map(shownCell), row: next.value });
  }
  const widths = header.map((name, i) =>
    first.reduce((width, { cells }) => Math.max(width, lengthOf(cells[i])), lengthOf(name))
  );
  const line = (cells: readonly string[], row?: Row) =>
    cells.map((text, i) => {
      const padding = " ".repeat(Math.max(0, widths[i] - lengthOf(text)));
      return typeof row?.[i] === "number" || typeof row?.[i] === "bigint" ? padding + text : text + padding;
    }).join("  ").trimEnd() + "\n";
  yield line(header);
  yield widths.map((width) => "-".repeat(width)).join("  ") + "\n";
  for (const { cells, row } of first) yield line(cells, row);
  for (; !next.done; next = iterator.next()) yield line(next.value.map(shownCell), next.value);
}

const lengthOf = (text: string) => [...text].length;
const shownCell = (value: Cell) => value === null ? "NULL" : shown(textOf(value));

function shown(text: string): string {
  const characters = [...printable(text)];
  return characters.length <= MAX_WIDTH
    ? characters.join("")
    : characters.slice(0, MAX_WIDTH - 1).join("") + "…";
}

function textOf(value: Exclude<Cell, null>): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return String(value);
  if (value instanceof Uint8Array) return `x'${value.toHex()}'`;
  if (Object.is(value, -0)) return "-0";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return String(value);
}
