/** Points as a Parquet file: dictionaries for texts, statistics for each group of rows. */
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { ColumnsWriter } from "./columns.ts";
import type { FileSeries } from "./file_series.ts";

const TEXTS = [
  ["metric", "metric"],
  ["unit", "unit"],
  ["relay_client", "client"],
  ["resource_kind", "resourceKind"],
  ["resource_id", "resourceId"],
  ["consumer_kind", "consumerKind"],
  ["consumer_id", "consumerId"],
  ["attributes", "attributes"],
] as const;

const textElement = (name: string) =>
  ({ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" }) as const;
const SCHEMA: ConstructorParameters<typeof ParquetWriter>[0]["schema"] = [
  { name: "points", num_children: TEXTS.length + 3 },
  {
    name: "timestamp",
    type: "INT64",
    repetition_type: "REQUIRED",
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "NANOS" },
  },
  { name: "value", type: "DOUBLE", repetition_type: "REQUIRED" },
  {
    name: "value_u64",
    type: "INT64",
    repetition_type: "OPTIONAL",
    converted_type: "UINT_64",
  },
  ...TEXTS.map(([name]) => textElement(name)),
];

export interface ParquetOptions {
  /** The name and version of the program. */
  readonly createdBy: string;
  /** Rows of a group: what a reader loads at least. */
  readonly groupRows: number;
  /** What the file says of itself. */
  readonly about?: Readonly<Record<string, string>>;
}

export class ParquetFile {
  readonly #bytes = new ByteWriter();
  readonly #writer: InstanceType<typeof ParquetWriter>;
  readonly #write: (bytes: Uint8Array) => void;
  readonly #groupRows: number;
  /** The rows of the next group: the place of the series in the list, the time, the value, and that of an integer metric. */
  #length = 0;
  readonly #places: Uint32Array;
  readonly #times: BigInt64Array;
  readonly #values: Float64Array;
  readonly #hasInteger: Uint8Array;
  #integerCount = 0;
  readonly #integers: BigUint64Array;
  readonly #series = new Map<FileSeries, number>();
  #last: FileSeries | null = null;
  #place = 0;

  /** @param write Takes all bytes; they are overwritten afterwards. */
  constructor(write: (bytes: Uint8Array) => void, { createdBy, groupRows, about = {} }: ParquetOptions) {
    this.#write = write;
    this.#groupRows = groupRows;
    this.#places = new Uint32Array(groupRows);
    this.#times = new BigInt64Array(groupRows);
    this.#values = new Float64Array(groupRows);
    this.#hasInteger = new Uint8Array(groupRows);
    this.#integers = new BigUint64Array(groupRows);
    const kvMetadata = Object.entries(about).map(([key, value]) => ({ key, value }));
    this.#writer = new ParquetWriter({ writer: this.#bytes, schema: SCHEMA, createdBy, kvMetadata });
  }

  /**
   * @param timeNs At most `MAX_TIME_NS`.
   * @param integer The value of an integer metric, to the last digit; `null` for floats.
   * @returns whether a group of rows was written.
   */
  add(series: FileSeries, timeNs: bigint, value: number, integer: bigint | null): boolean {
    if (series !== this.#last) this.#place = this.#placeOf(series);
    const row = this.#length++;
    this.#places[row] = this.#place;
    this.#times[row] = timeNs;
    this.#values[row] = value;
    this.#hasInteger[row] = integer === null ? 0 : 1;
    if (integer !== null) this.#integers[this.#integerCount++] = integer;
    if (this.#length < this.#groupRows) return false;
    this.#writeGroup();
    return true;
  }

  #placeOf(series: FileSeries): number {
    this.#last = series;
    const place = this.#series.get(series) ?? this.#series.size;
    this.#series.set(series, place);
    return place;
  }

  #writeGroup(): void {
    const rows = this.#length;
    const columns = new ColumnsWriter(this.#bytes, rows);
    columns.times("timestamp", this.#times.subarray(0, rows));
    columns.floats("value", this.#values.subarray(0, rows));
    const integers = this.#integers.subarray(0, this.#integerCount);
    columns.integers("value_u64", this.#hasInteger.subarray(0, rows), integers);
    const series = [...this.#series.keys()];
    const places = this.#places.subarray(0, rows);
    for (const [name, column] of TEXTS) {
      columns.texts(name, series.map((one) => one[column]), places);
    }
    this.#writer.row_groups.push(columns.end());
    this.#writer.num_rows += BigInt(rows);
    this.#length = this.#integerCount = 0;
    this.#series.clear();
    this.#last = null;
    this.#flush();
  }

  #flush(): void {
    this.#write(this.#bytes.getBytes());
    this.#bytes.index = 0;
  }

  /** Writes what is at the end of the file. */
  end(): void {
    if (this.#length > 0) this.#writeGroup();
    this.#writer.finish();
    this.#flush();
  }
}
