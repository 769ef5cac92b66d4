/**
 * Columns of a group of rows, in Parquet's encodings. The library takes a value of JavaScript for each row and column; here
 * a text is encoded once for each series, and numbers are taken as bytes. Pages, headers and runs are the library's.
 */
import { ByteWriter } from "hyparquet-writer";
import { writePageHeader } from "hyparquet-writer/src/datapage.js";
import { writeRleBitPackedHybrid } from "hyparquet-writer/src/encoding.js";
import { snappyCompress } from "hyparquet-writer/src/snappy.js";
import type { ParquetWriter } from "hyparquet-writer";
import { compareBytes } from "../rendering/numbers.ts";

type RowGroup = ParquetWriter["row_groups"][number];
type ColumnChunk = RowGroup["columns"][number];
type MetaData = NonNullable<ColumnChunk["meta_data"]>;
type Encoding = MetaData["encodings"][number];

interface Page {
  readonly encoding: Encoding;
  readonly data: Uint8Array;
  /** Which rows have a value, as runs. */
  readonly levels?: Uint8Array;
  readonly nulls?: number;
}

/** Writes columns behind each other. */
export class ColumnsWriter {
  readonly #bytes: ByteWriter;
  readonly #rows: number;
  readonly #start: number;
  readonly #columns: ColumnChunk[] = [];
  #uncompressed = 0;

  constructor(bytes: ByteWriter, rows: number) {
    this.#bytes = bytes;
    this.#rows = rows;
    this.#start = bytes.offset;
  }

  /** Nanoseconds since the Unix epoch. */
  times(name: string, times: BigInt64Array): void {
    let [min, max] = [times[0], times[0]];
    for (let row = 1; row < times.length; row++) {
      if (times[row] < min) min = times[row];
      else if (times[row] > max) max = times[row];
    }
    const statistics = { min_value: min, max_value: max, null_count: 0n };
    this.#add(name, "INT64", { encoding: "PLAIN", data: bytesOf(times) }, statistics);
  }

  /** Without statistics if there is a NaN: limits that leave it out would make readers skip rows. */
  floats(name: string, values: Float64Array): void {
    let [min, max] = [Infinity, -Infinity];
    let hasNaN = false;
    for (const value of values) {
      if (value < min) min = value;
      if (value > max) max = value;
      if (value !== value) hasNaN = true;
    }
    // Zero stands for both of its signs.
    const statistics = { min_value: min === 0 ? -0 : min, max_value: max === 0 ? 0 : max, null_count: 0n };
    const page: Page = { encoding: "PLAIN", data: bytesOf(values) };
    this.#add(name, "DOUBLE", page, hasNaN ? undefined : statistics);
  }

  /**
   * Without statistics: readers take a u64 for negative.
   *
   * @param has 1 for rows with a value, otherwise 0. @param values Of these rows.
   */
  integers(name: string, has: Uint8Array, values: BigUint64Array): void {
    const levels = new ByteWriter();
    writeRleBitPackedHybrid(levels, has, 1);
    const page: Page = {
      encoding: "PLAIN",
      data: bytesOf(values),
      levels: levels.getBytes(),
      nulls: has.length - values.length,
    };
    this.#add(name, "INT64", page, undefined);
  }

  /** @param texts The text of each place. @param places Of each row. */
  texts(name: string, texts: readonly string[], places: Uint32Array): void {
    const numbers = new Map<string, number>();
    const numberOf = Uint32Array.from(texts, (text) => {
      const number = numbers.get(text) ?? numbers.size;
      numbers.set(text, number);
      return number;
    });
    const dictionary = new ByteWriter();
    const encoded = [...numbers.keys()].map((text) => new TextEncoder().encode(text));
    for (const bytes of encoded) {
      dictionary.appendUint32(bytes.length);
      dictionary.appendBytes(bytes);
    }
    const page = new ByteWriter();
    const width = Math.ceil(Math.log2(numbers.size));
    page.appendUint8(width);
    writeRleBitPackedHybrid(page, places.map((place) => numberOf[place]), width);
    encoded.sort(compareBytes);
    const statistics = { min_value: encoded[0], max_value: encoded.at(-1), null_count: 0n };
    this.#add(name, "BYTE_ARRAY", { encoding: "RLE_DICTIONARY", data: page.getBytes() }, statistics, {
      values: numbers.size,
      data: dictionary.getBytes(),
    });
  }

  /** What the file says of the group. */
  end(): RowGroup {
    return {
      columns: this.#columns,
      total_byte_size: BigInt(this.#uncompressed),
      num_rows: BigInt(this.#rows),
      total_compressed_size: BigInt(this.#bytes.offset - this.#start),
    };
  }

  #add(
    name: string,
    type: MetaData["type"],
    { encoding, data, levels = new Uint8Array(), nulls = 0 }: Page,
    statistics: MetaData["statistics"],
    dictionary?: { readonly values: number; readonly data: Uint8Array },
  ): void {
    const bytes = this.#bytes;
    const start = bytes.offset;
    let saved = 0;
    if (dictionary) {
      const compressed = snappyCompress(dictionary.data);
      writePageHeader(bytes, {
        type: "DICTIONARY_PAGE",
        uncompressed_page_size: dictionary.data.length,
        compressed_page_size: compressed.length,
        dictionary_page_header: { num_values: dictionary.values, encoding: "PLAIN" },
      });
      bytes.appendBytes(compressed);
      saved += dictionary.data.length - compressed.length;
    }
    const pageStart = bytes.offset;
    const compressed = snappyCompress(data);
    writePageHeader(bytes, {
      type: "DATA_PAGE_V2",
      uncompressed_page_size: levels.length + data.length,
      compressed_page_size: levels.length + compressed.length,
      data_page_header_v2: {
        num_values: this.#rows,
        num_nulls: nulls,
        num_rows: this.#rows,
        encoding,
        definition_levels_byte_length: levels.length,
        repetition_levels_byte_length: 0,
        is_compressed: true,
      },
    });
    bytes.appendBytes(levels);
    bytes.appendBytes(compressed);
    saved += data.length - compressed.length;
    const size = bytes.offset - start;
    this.#uncompressed += size + saved;
    this.#columns.push({
      meta_data: {
        type,
        encodings: dictionary ? ["PLAIN", encoding] : [encoding],
        path_in_schema: [name],
        codec: "SNAPPY",
        num_values: BigInt(this.#rows),
        total_compressed_size: BigInt(size),
        total_uncompressed_size: BigInt(size + saved),
        data_page_offset: BigInt(pageStart),
        dictionary_page_offset: dictionary ? BigInt(start) : undefined,
        statistics,
        encoding_stats: [
          ...dictionary ? [{ page_type: "DICTIONARY_PAGE", encoding: "PLAIN", count: 1 } as const] : [],
          { page_type: "DATA_PAGE_V2", encoding, count: 1 },
        ],
      },
      file_offset: BigInt(start),
    });
  }
}

/** Parquet's numbers are little-endian, as those of all machines that this program runs on. */
const bytesOf = ({ buffer, byteOffset, byteLength }: BigInt64Array | BigUint64Array | Float64Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);
