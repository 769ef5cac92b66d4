/** Cells of a row: quoted where their text could be taken for more than one. */
import { putUtf8 } from "../rendering/numbers.ts";
import { decodeUtf8 } from "../../postcard.ts";

/** What a spreadsheet takes for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r]/;
/** Before a text that could be taken for a formula. */
const ESCAPE = "'";

export class Cells {
  readonly delimiter: string;
  readonly #escapesFormulas: boolean;
  readonly #special: RegExp;
  /** By byte: whether a text with it has to be looked at as a whole. */
  readonly #isSpecial = new Uint8Array(256);

  /**
   * @param delimiter One character.
   * @param escapesFormulas Texts that a spreadsheet could run get an apostrophe before them.
   */
  constructor(delimiter: string, escapesFormulas = false) {
    this.delimiter = delimiter;
    this.#escapesFormulas = escapesFormulas;
    this.#special = new RegExp(`["\\n\\r${delimiter.replace(/[\]\\^-]/, "\\$&")}]`, "u");
    for (const text of ['"', "\n", "\r", delimiter]) this.#isSpecial[new TextEncoder().encode(text)[0]] = 1;
  }

  /** A text as it is written into a cell. */
  quoted(text: string): string {
    return this.quotedNumber(this.#escapesFormulas && FORMULA.test(text) ? ESCAPE + text : text);
  }

  /** The text that {@linkcode quoted} was given, from what stands in the cell. */
  unescaped(text: string): string {
    return this.#escapesFormulas && text.startsWith(ESCAPE) && FORMULA.test(text.slice(1))
      ? text.slice(1)
      : text;
  }

  /** A number as it is written into a cell: a sign does not make it a formula. */
  quotedNumber(text: string): string {
    return this.#special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** Writes a text as a cell. @returns where it ends. */
  put(bytes: Uint8Array, at: number, text: string): number {
    return putUtf8(bytes, at, this.quoted(text));
  }

  /** Writes a number as a cell. @returns where it ends. */
  putNumber(bytes: Uint8Array, at: number, text: string): number {
    return putUtf8(bytes, at, this.quotedNumber(text));
  }

  /** Writes a text that stands as valid UTF-8 in `from[start … end-1]`. @returns where it ends. */
  copy(bytes: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
    const isSpecial = this.#isSpecial;
    if (this.#escapesFormulas && end > start && FORMULA.test(String.fromCharCode(from[start]))) {
      return this.put(bytes, at, decodeUtf8(from, start, end));
    }
    for (let i = start; i < end; i++) {
      const byte = from[i];
      if (isSpecial[byte] !== 0) return this.put(bytes, at, decodeUtf8(from, start, end));
      bytes[at + i - start] = byte;
    }
    return at + end - start;
  }
}
