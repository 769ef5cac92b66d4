/** Points as a Parquet file: dictionaries for texts, statistics for each group of rows. */
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
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
type TextColumn = typeof TEXTS[number][1];

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
  readonly #writer: InstanceType<typeof ParquetWriter>;
  readonly #flush: () => void;
  readonly #groupRows: number;
  #series: FileSeries[] = [];
  #times: bigint[] = [];
  #values: number[] = [];
  #integers: (bigint | null)[] = [];

  /** @param write Takes all bytes; they are overwritten afterwards. */
  constructor(write: (bytes: Uint8Array) => void, { createdBy, groupRows, about = {} }: ParquetOptions) {
    const bytes = new ByteWriter();
    this.#flush = () => {
      write(bytes.getBytes());
      bytes.index = 0;
    };
    this.#groupRows = groupRows;
    const writer = Object.assign(bytes, { flush: this.#flush });
    const kvMetadata = Object.entries(about).map(([key, value]) => ({ key, value }));
    this.#writer = new ParquetWriter({ writer, schema: SCHEMA, createdBy, kvMetadata });
  }

  /**
   * @param timeNs At most `MAX_TIME_NS`.
   * @param integer The value of an integer metric, to the last digit; `null` for floats.
   * @returns whether a group of rows was written.
   */
  add(series: FileSeries, timeNs: bigint, value: number, integer: bigint | null): boolean {
    this.#series.push(series);
    this.#times.push(timeNs);
    this.#values.push(value);
    this.#integers.push(integer);
    if (this.#series.length < this.#groupRows) return false;
    this.#writeGroup();
    return true;
  }

  #writeGroup(): void {
    const rows = this.#series;
    const texts = (column: TextColumn) => rows.map((series) => series[column]);
    this.#writer.write({
      columnData: [
        { name: "timestamp", data: this.#times, encoding: "DELTA_BINARY_PACKED" },
        // Limits that leave NaN out, or take a u64 for negative, would make readers skip rows.
        { name: "value", data: this.#values, statistics: !this.#values.some(Number.isNaN) },
        { name: "value_u64", data: this.#integers, statistics: false },
        ...TEXTS.map(([name, column]) => ({ name, data: texts(column) })),
      ],
      rowGroupSize: rows.length,
    });
    [this.#series, this.#times, this.#values, this.#integers] = [[], [], [], []];
  }

  /** Writes what is at the end of the file. */
  end(): void {
    if (this.#series.length > 0) this.#writeGroup();
    this.#writer.finish();
    this.#flush();
  }
}
