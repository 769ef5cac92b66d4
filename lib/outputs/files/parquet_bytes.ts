/** The bytes of a Parquet file, as the library that reads it asks for them. */
import type { AsyncBuffer } from "hyparquet";

/** @throws what the file system says, and a RangeError where the file has become shorter; when it is read. */
export function fileBytes(file: Deno.FsFile, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice: (start, end = byteLength) => Promise.resolve(readRange(file, start, end)),
  };
}

function readRange(file: Deno.FsFile, start: number, end: number): ArrayBuffer {
  const bytes = new Uint8Array(end - start);
  file.seekSync(start, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) throw new RangeError("the file is shorter than it says");
    done += count;
  }
  return bytes.buffer;
}
