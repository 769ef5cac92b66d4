/** Cells of a row: quoted where their text could be taken for more than one. */
import { putUtf8 } from "../rendering/numbers.ts";
import { decodeUtf8 } from "../../postcard.ts";

export class Cells {
  readonly delimiter: string;
  readonly #special: RegExp;
  /** By byte: whether a text with it has to be looked at as a whole. */
  readonly #isSpecial = new Uint8Array(256);

  /** @param delimiter One character. */
  constructor(delimiter: string) {
    this.delimiter = delimiter;
    this.#special = new RegExp(`["\\n\\r${delimiter.replace(/[\]\\^-]/, "\\$&")}]`, "u");
    for (const text of ['"', "\n", "\r", delimiter]) this.#isSpecial[new TextEncoder().encode(text)[0]] = 1;
  }

  /** A text as it is written into a cell. */
  quoted(text: string): string {
    return this.#special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /** Writes a text as a cell. @returns where it ends. */
  put(bytes: Uint8Array, at: number, text: string): number {
    return putUtf8(bytes, at, this.quoted(text));
  }

  /** Writes a text that stands as valid UTF-8 in `from[start … end-1]`. @returns where it ends. */
  copy(bytes: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
    const isSpecial = this.#isSpecial;
    for (let i = start; i < end; i++) {
      const byte = from[i];
      if (isSpecial[byte] !== 0) return this.put(bytes, at, decodeUtf8(from, start, end));
      bytes[at + i - start] = byte;
    }
    return at + end - start;
  }
}
