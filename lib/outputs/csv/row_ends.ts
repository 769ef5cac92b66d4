/**
 * What stands behind the value in the rows of a series: resource, consumer and attributes, rendered from the bytes in
 * which the series came, without decoding their texts.
 */
import { NO_CLIENT } from "../../points/client_names.ts";
import { CLIENT_ATTRIBUTE } from "../../points/measurement.ts";
import type { SeriesStore } from "../../points/series_store.ts";
import { VALUE } from "../../points/tail.ts";
import { PostcardReader } from "../../postcard.ts";
import { formatAttribute, formatF64, putInteger, putText, putUtf8 } from "../rendering/numbers.ts";
import type { Cells } from "./cells.ts";

/** Names of late attributes that are remembered. */
const MAX_LATE_NAMES = 256;
/** Clients whose cells are kept. */
const MAX_CLIENTS = 4096;
/** The longest f64 as text is about 330 bytes. */
const MAX_NUMBER_BYTES = 400;
const MAX_SAFE = 9007199254740992;
const NONE = -1;

const encoder = new TextEncoder();

export class RowEnds {
  /** Names of attributes that have come and have no column; not all, if there are very many. */
  readonly late: Set<string> = new Set();
  readonly #store: SeriesStore;
  readonly #cells: Cells;
  readonly #columns: readonly string[];
  readonly #names: readonly Uint8Array[];
  readonly #lateDelimiter: string;
  readonly #delimiter: Uint8Array;
  readonly #clientColumn: number;
  /** By the numbers of clients. */
  #clients: { name: string; cell: Uint8Array }[] = [];
  /** Where the value of each column stands in the arena; {@linkcode NONE} where there is none. */
  readonly #values: Float64Array;
  /** The column of the attribute in each place, in the series before. */
  readonly #guesses: Uint32Array;

  /** @param columns Names of the attributes that have a column. */
  constructor(store: SeriesStore, cells: Cells, columns: readonly string[], lateDelimiter: string) {
    this.#store = store;
    this.#cells = cells;
    this.#columns = columns;
    this.#lateDelimiter = lateDelimiter;
    this.#names = columns.map((name) => encoder.encode(name));
    this.#delimiter = encoder.encode(cells.delimiter);
    this.#clientColumn = columns.indexOf(CLIENT_ATTRIBUTE);
    this.#values = new Float64Array(columns.length);
    this.#guesses = new Uint32Array(16);
  }

  /** The most bytes that {@linkcode put} writes. */
  maxBytes(series: number): number {
    const length = this.#store.tailLength[series];
    const client = this.#store.names.nameOf(this.#store.clients[series]).length;
    // A number may take many more characters than bytes; a late attribute also has its name, and a mark of escape.
    return 8 * length + 8 * client + MAX_NUMBER_BYTES * (1 + length / 10) +
      this.#delimiter.length * (this.#columns.length + 5) + 64;
  }

  /** Renders the end of a row, line break included. @returns where it ends. */
  put(bytes: Uint8Array, at: number, series: number): number {
    return this.#putTail(bytes, at, series) ?? this.#putSlowly(bytes, at, series);
  }

  /** @returns `undefined` where the series has something that is rendered from its definition. */
  #putTail(bytes: Uint8Array, at: number, series: number): number | undefined {
    const store = this.#store;
    const client = store.clients[series];
    if (client !== NO_CLIENT && this.#clientColumn < 0) return undefined;
    const tail = store.arena.bytes;
    const cells = this.#cells;
    let from = store.tailStart[series];
    const reader = new PostcardReader(tail, from, from + store.tailLength[series]);
    for (let i = 0; i < 4; i++) {
      at = this.#putDelimiter(bytes, at);
      let length = tail[from];
      if (length < 0x80) from++;
      else {
        reader.offset = from;
        length = reader.length();
        from = reader.offset;
      }
      at = cells.copy(bytes, at, tail, from, from + length);
      from += length;
    }
    reader.offset = from;
    if (!this.#findValues(tail, reader)) return undefined;
    const values = this.#values;
    for (let column = 0; column < values.length; column++) {
      at = this.#putDelimiter(bytes, at);
      if (column === this.#clientColumn && client !== NO_CLIENT) at = this.#putClient(bytes, at, client);
      else if (values[column] !== NONE) {
        reader.offset = values[column];
        const end = this.#putValue(bytes, at, tail, reader);
        if (end === undefined) return undefined;
        at = end;
      }
    }
    at = this.#putDelimiter(bytes, at);
    bytes[at++] = 10;
    return at;
  }

  /** Finds the values of the columns; of attributes with one name the last one counts. @returns whether all have one. */
  #findValues(tail: Uint8Array, reader: PostcardReader): boolean {
    const values = this.#values;
    const guesses = this.#guesses;
    values.fill(NONE);
    const count = reader.length(3);
    for (let i = 0; i < count; i++) {
      const length = reader.length();
      const at = reader.offset;
      reader.skip(length);
      const guess = guesses[i & 15];
      const column = this.#isName(guess, tail, at, length) ? guess : this.#columnOf(tail, at, length);
      if (column < 0) return false;
      guesses[i & 15] = column;
      values[column] = reader.offset;
      this.#skipValue(reader);
    }
    return true;
  }

  #isName(column: number, tail: Uint8Array, at: number, length: number): boolean {
    const name = this.#names[column];
    if (name?.length !== length) return false;
    for (let i = 0; i < length; i++) if (name[i] !== tail[at + i]) return false;
    return true;
  }

  #columnOf(tail: Uint8Array, at: number, length: number): number {
    return this.#names.findIndex((_, column) => this.#isName(column, tail, at, length));
  }

  #skipValue(reader: PostcardReader): void {
    const kind = reader.u8();
    if (kind === VALUE.f64) reader.skip(8);
    else if (kind === VALUE.u64) reader.u64Number();
    else if (kind === VALUE.bool) reader.skip(1);
    else if (kind === VALUE.str) reader.skip(reader.length());
    else for (let n = reader.length(); n > 0; n--) reader.u64Number();
  }

  #putValue(bytes: Uint8Array, at: number, tail: Uint8Array, reader: PostcardReader): number | undefined {
    const kind = reader.u8();
    if (kind === VALUE.str) {
      const length = reader.length();
      return this.#cells.copy(bytes, at, tail, reader.offset, reader.offset + length);
    }
    if (kind === VALUE.u64) {
      const value = reader.u64Number();
      return typeof value === "number" && value <= MAX_SAFE
        ? putInteger(bytes, at, value)
        : putText(bytes, at, String(value));
    }
    if (kind === VALUE.f64) return this.#cells.putNumber(bytes, at, formatF64(reader.f64()));
    if (kind === VALUE.bool) return this.#cells.put(bytes, at, String(reader.bool()));
    return undefined;
  }

  #putClient(bytes: Uint8Array, at: number, client: number): number {
    const name = this.#store.names.nameOf(client);
    let known = this.#clients[client];
    if (known?.name !== name) {
      if (this.#clients.length > MAX_CLIENTS) this.#clients = [];
      known = { name, cell: encoder.encode(this.#cells.quoted(name)) };
      this.#clients[client] = known;
    }
    const { cell } = known;
    for (let i = 0; i < cell.length; i++) bytes[at + i] = cell[i];
    return at + cell.length;
  }

  #putDelimiter(bytes: Uint8Array, at: number): number {
    const delimiter = this.#delimiter;
    for (let i = 0; i < delimiter.length; i++) bytes[at++] = delimiter[i];
    return at;
  }

  /** Renders from the definition: there are late attributes, or lists. */
  #putSlowly(bytes: Uint8Array, at: number, series: number): number {
    const { delimiter } = this.#cells;
    const lateDelimiter = this.#lateDelimiter;
    const { resourceKind, resourceId, consumerKind, consumerId, attributes } = this.#store.definitionOf(
      series,
    );
    const rest = new Map(attributes);
    const quoted = (text: string) => this.#cells.quoted(text);
    const cells = [resourceKind, resourceId, consumerKind, consumerId].map(quoted);
    for (const column of this.#columns) {
      const value = rest.get(column);
      if (typeof value === "string") cells.push(quoted(value));
      else cells.push(value === undefined ? "" : this.#cells.quotedNumber(formatAttribute(value)));
      rest.delete(column);
    }
    for (const name of rest.keys()) if (this.late.size < MAX_LATE_NAMES) this.late.add(name);
    const late = [...rest].map(([name, value]) =>
      `${name}=${formatAttribute(value).replaceAll(lateDelimiter, "\\" + lateDelimiter)}`
    );
    cells.push(quoted(late.join(lateDelimiter)));
    return putUtf8(bytes, at, cells.map((cell) => delimiter + cell).join("") + "\n");
  }
}
