/** Lines that come in pieces: from a connection, a pipe or a file. */
import type { Clock } from "../../base/clock.ts";
import type { LineProblems } from "../decoding/problems.ts";
import type { TimeUnit } from "../decoding/numbers.ts";
import { type LineDecoder, LinePosition } from "./line_decoder.ts";

/** Bytes of one read beside the longest line. */
export const READ_BYTES = 64 * 1024;
const LF = 10;

export interface LineStreamOptions {
  readonly decoder: LineDecoder;
  readonly clock: Clock;
  readonly problems: LineProblems;
  readonly maxLineBytes: number;
  readonly scale?: TimeUnit | undefined;
  /** Whose share of memory new series take. @default that of the input */
  readonly sender?: string | undefined;
}

export class LineStream {
  readonly #options: LineStreamOptions;
  readonly #position = new LinePosition();
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  /** Bytes of a line that is not complete, at the beginning of the buffer. */
  #length = 0;

  constructor(options: LineStreamOptions) {
    this.#options = options;
    this.#bytes = new Uint8Array(options.maxLineBytes + READ_BYTES);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Where the next bytes go, before {@linkcode received}. */
  get space(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(this.#length);
  }

  /** Bytes that wait for the rest of their line. */
  get pendingBytes(): number {
    return this.#length;
  }

  /** Takes the lines that are complete with these bytes. */
  received(count: number): void {
    const before = this.#length;
    this.#length += count;
    // Without a line break nothing is complete.
    if (this.#bytes.subarray(before, this.#length).includes(LF)) this.#decode(false);
    const { maxLineBytes, decoder, problems } = this.#options;
    if (this.#length < maxLineBytes) return;
    if (!this.#position.isSkipping) {
      decoder.skip(this.#position, `it is longer than ${maxLineBytes} bytes (limits.line_length)`, problems);
    }
    this.#length = 0;
  }

  /** No more bytes come: takes the last line, which may have no line break. */
  end(): void {
    if (this.#length > 0) this.#decode(true);
  }

  /** Forgets a line that is not complete. */
  drop(): void {
    this.#length = 0;
    this.#position.isSkipping = false;
  }

  #decode(isFinal: boolean): void {
    const { decoder, problems, scale, clock, sender } = this.#options;
    const end = this.#length;
    const used = decoder.decode(this.#bytes, this.#view, 0, end, this.#position, {
      problems,
      scale,
      isFinal,
      sender,
      now: clock.now(),
    });
    this.#bytes.copyWithin(0, used, end);
    this.#length = end - used;
  }
}
