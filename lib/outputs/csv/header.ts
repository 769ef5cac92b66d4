/** The first line of a CSV file: whether this output can have written it, and with which columns. */
import { Cells } from "./cells.ts";
import { type CsvFormat, FIXED_COLUMNS, headerOf, LATE_COLUMN, mayHaveColumn } from "./format.ts";
import { compareTexts } from "../rendering/numbers.ts";

/** A first line that is longer is not one of ours, in bytes. */
export const MAX_HEADER_BYTES = 1024 * 1024;

// Bytes that are not text are found when the header is compared by bytes.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The cells of the first row; `null` where it has no end. */
function firstRow(text: string, delimiter: string): string[] | null {
  const cells: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = "";
    if (text[at] === '"') {
      for (at++;; at++) {
        const end = text.indexOf('"', at);
        if (end < 0) return null;
        cell += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        cell += '"';
      }
    } else {
      const start = at;
      while (at < text.length && text[at] !== "\n" && !text.startsWith(delimiter, at)) at++;
      cell = text.slice(start, at);
    }
    cells.push(cell);
    if (text[at] === "\n") return cells;
    if (!text.startsWith(delimiter, at)) return null;
    at += delimiter.length;
  }
  return null;
}

/**
 * The columns of attributes in a file that begins with `bytes` (the whole file, or {@linkcode MAX_HEADER_BYTES} of it);
 * `null` where its header is not, byte for byte, one that this format has.
 */
export function columnsOf(bytes: Uint8Array, format: CsvFormat): string[] | null {
  const text = decoder.decode(bytes.subarray(0, bytes.lastIndexOf(10) + 1));
  const row = firstRow(text, format.delimiter);
  if (!row) return null;
  const cells = new Cells(format.delimiter, format.escapeFormulas);
  const columns = row.slice(FIXED_COLUMNS.length, -1).map((name) => cells.unescaped(name));
  // Of two columns with one name readers take one: an older version has written that.
  if (!columns.every(mayHaveColumn)) return null;
  const sorted = columns.every((name, i) => i === 0 || compareTexts(columns[i - 1], name) < 0);
  if (!sorted || row.at(-1) !== LATE_COLUMN) return null;
  const header = headerOf(columns, format);
  const same = header.length <= bytes.length && header.every((byte, i) => byte === bytes[i]);
  return same ? columns : null;
}
