/** The thread that encodes files and writes them: a group of rows takes 30 ms of CPU, and the disk may take longer. */
import { messageOf } from "../../base/errors.ts";
import type { FileSeries } from "../files/file_series.ts";
import { ParquetFile } from "../files/parquet.ts";
import { buffersOf } from "../threads/point_columns.ts";
import { type Answer, type Chunk, type Request, SERIES_NUMBERS, SERIES_TEXTS } from "./messages.ts";

/** Rows of a group. */
const GROUP_ROWS = 65_536;
const NS_PER_SECOND = 1_000_000_000n;

/** The thread's side of the conversation; a reference to the types of workers would replace those of all other modules. */
interface Port {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Answer, transfer: Transferable[]): void;
}
const port = self as unknown as Port;

interface EncodedSeries extends FileSeries {
  readonly isInteger: boolean;
}

class OpenFile implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #parquet: ParquetFile;
  readonly #texts: string[] = [];
  readonly #series: EncodedSeries[] = [];

  constructor(path: string, about: Readonly<Record<string, string>>) {
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
    const write = (bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length;) done += this.#file.writeSync(bytes.subarray(done));
    };
    this.#parquet = new ParquetFile(write, { createdBy: "alumet-relay", groupRows: GROUP_ROWS, about });
  }

  add({ texts, series, columns, exact }: Chunk): void {
    for (const text of texts) this.#texts.push(text);
    for (let at = 0; at < series.length; at += SERIES_NUMBERS) {
      const named = SERIES_TEXTS.map((name, i) => [name, this.#texts[series[at + i]]]);
      const isInteger = series[at + SERIES_TEXTS.length] === 1;
      this.#series.push({ ...Object.fromEntries(named) as FileSeries, isInteger });
    }
    const { series: numbers, seconds, nanos, values } = columns;
    for (let row = 0; row < columns.length; row++) {
      const one = this.#series[numbers[row]];
      const timeNs = BigInt(seconds[row]) * NS_PER_SECOND + BigInt(nanos[row]);
      const integer = one.isInteger ? exact.get(row) ?? BigInt(values[row]) : null;
      this.#parquet.add(one, timeNs, values[row], integer);
    }
  }

  /** @returns its size in bytes. */
  end(): number {
    this.#parquet.end();
    this.#file.syncDataSync();
    return this.#file.statSync().size;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

let open: OpenFile | null = null;

function close(): void {
  open?.[Symbol.dispose]();
  open = null;
}

function answerTo(request: Request): Answer {
  switch (request.type) {
    case "begin":
      close();
      open = new OpenFile(request.path, request.about);
      return {};
    case "add":
      open!.add(request.chunk);
      return {};
    case "end": {
      const size = open!.end();
      close();
      return { size };
    }
    case "close":
      close();
      return {};
  }
}

port.onmessage = ({ data }) => {
  const columns = data.type === "add" ? data.chunk.columns : undefined;
  const transfer = columns ? buffersOf(columns) : [];
  let answer: Answer;
  try {
    answer = answerTo(data);
  } catch (error) {
    close();
    answer = { error: messageOf(error) };
  }
  port.postMessage({ ...answer, columns }, transfer);
};
