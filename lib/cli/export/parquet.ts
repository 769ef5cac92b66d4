/** Points as a Parquet file: dictionaries for texts, statistics for each group of rows. */
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { ExportedSeries, PointBlock } from "./points.ts";
import type { PointSink } from "./sink.ts";

/** Rows of a group: what a reader loads at least. */
const GROUP_ROWS = 524_288;

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

export class ParquetSink implements PointSink {
  readonly #writer: InstanceType<typeof ParquetWriter>;
  readonly #flush: () => void;
  #rows = 0;
  #series: ExportedSeries[] = [];
  #times: bigint[] = [];
  #values: number[] = [];
  #integers: (bigint | null)[] = [];

  /** @param createdBy The name and version of this program. */
  constructor(write: (bytes: Uint8Array) => void, createdBy: string) {
    const bytes = new ByteWriter();
    this.#flush = () => {
      write(bytes.getBytes());
      bytes.index = 0;
    };
    const writer = Object.assign(bytes, { flush: this.#flush });
    this.#writer = new ParquetWriter({ writer, schema: SCHEMA, createdBy });
  }

  add({ length, series, times, values, integers }: PointBlock): void {
    for (let row = 0; row < length; row++) {
      this.#series.push(series[row]);
      this.#times.push(times[row]);
      this.#values.push(values[row]);
      this.#integers.push(integers[row]);
    }
    this.#rows += length;
    if (this.#rows >= GROUP_ROWS) this.#writeGroup();
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
    this.#rows = 0;
    [this.#series, this.#times, this.#values, this.#integers] = [[], [], [], []];
  }

  end(): void {
    if (this.#rows > 0) this.#writeGroup();
    this.#writer.finish();
    this.#flush();
  }
}
