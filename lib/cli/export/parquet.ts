/** Exported points as a Parquet file. */
import { MAX_TIME_NS } from "../../outputs/files/file_series.ts";
import { ParquetFile } from "../../outputs/files/parquet.ts";
import type { ExportedSeries, PointBlock } from "./points.ts";
import type { PointSink } from "./sink.ts";

/** Rows of a group: they are in memory together, here and where the file is read. */
const GROUP_ROWS = 32_768;

export class ParquetSink implements PointSink {
  readonly #file: ParquetFile;

  /** @param createdBy The name and version of this program. */
  constructor(write: (bytes: Uint8Array) => void, createdBy: string) {
    this.#file = new ParquetFile(write, { createdBy, groupRows: GROUP_ROWS });
  }

  /** @throws {RangeError} for a point after the last time of Parquet. */
  add({ length, series, times, values, integers }: PointBlock): void {
    for (let row = 0; row < length; row++) {
      if (times[row] > MAX_TIME_NS) throw new RangeError(problemOf(series[row], times[row]));
      this.#file.add(series[row], times[row], values[row], integers[row]);
    }
  }

  end(): void {
    this.#file.end();
  }
}

function problemOf({ metric, client }: ExportedSeries, timeNs: bigint): string {
  const time = new Date(Number(timeNs / 1_000_000n)).toISOString();
  const host = client === "" ? "this host" : client;
  return `${metric} of ${host} has a point of ${time}, and the last time of Parquet is 2262-04-11T23:47:16Z; ` +
    "leave such points out with --until 2262-04-11, or choose another format (--format csv or jsonl)";
}
