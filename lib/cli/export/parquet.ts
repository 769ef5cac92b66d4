/** Exported points as a Parquet file. */
import { ParquetFile } from "../../outputs/files/parquet.ts";
import type { PointBlock } from "./points.ts";
import type { PointSink } from "./sink.ts";

/** Rows of a group: they are in memory together, here and where the file is read. */
const GROUP_ROWS = 32_768;

export class ParquetSink implements PointSink {
  readonly #file: ParquetFile;

  /** @param createdBy The name and version of this program. */
  constructor(write: (bytes: Uint8Array) => void, createdBy: string) {
    this.#file = new ParquetFile(write, { createdBy, groupRows: GROUP_ROWS });
  }

  add({ length, series, times, values, integers }: PointBlock): void {
    for (let row = 0; row < length; row++) {
      this.#file.add(series[row], times[row], values[row], integers[row]);
    }
  }

  end(): void {
    this.#file.end();
  }
}
