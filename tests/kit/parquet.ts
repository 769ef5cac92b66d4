/** The rows of Parquet files. */
import { parquetReadObjects } from "hyparquet";

/** @param bytes A whole file. @returns times as nanoseconds. */
export async function parquetRows(bytes: Uint8Array<ArrayBuffer>): Promise<Record<string, unknown>[]> {
  const timestampFromNanoseconds = (nanos: bigint) => nanos as unknown as Date;
  const stringFromBytes = (text: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(text);
  return await parquetReadObjects({
    file: bytes.slice().buffer,
    parsers: { timestampFromNanoseconds, stringFromBytes },
  });
}
