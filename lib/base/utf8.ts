/** Texts that people wrote into files: UTF-8, and nothing else is guessed. */

/** A text is not UTF-8; the message says what it seems to be, and what to do. */
export class Utf8Error extends SyntaxError {
  override readonly name = "Utf8Error";

  /** @param line From 1; `undefined` where the whole text is in another encoding. */
  constructor(message: string, readonly line: number | undefined) {
    super(message);
  }
}

const SAVE = "save the file as UTF-8";

/** @throws {Utf8Error} if the bytes are not UTF-8. A byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe || first === 0xfe && second === 0xff) {
    throw new Utf8Error(`it is in UTF-16; ${SAVE}`, undefined);
  }
  const zero = bytes.indexOf(0);
  if (zero >= 0) {
    const isWide = bytes.length > 1 && zero <= 1;
    throw new Utf8Error(
      `${isWide ? "it seems to be in UTF-16" : "there is a NUL byte"}; ${SAVE}`,
      lineAt(bytes, zero),
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const at = firstInvalid(bytes);
    const byte = bytes[at].toString(16).padStart(2, "0");
    throw new Utf8Error(`byte 0x${byte} is not UTF-8; ${SAVE}`, lineAt(bytes, at));
  }
}

function lineAt(bytes: Uint8Array, end: number): number {
  let line = 1;
  for (let i = 0; i < end; i++) if (bytes[i] === 10) line++;
  return line;
}

/** The place of the first byte that cannot be decoded. */
function firstInvalid(bytes: Uint8Array): number {
  // A replacement character stands for each part that cannot be decoded; all before it is as it was.
  const [before] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).split("\ufffd", 1);
  let at = new TextEncoder().encode(before).length;
  // Those that are in the text itself are valid.
  while (bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd) {
    const rest = bytes.subarray(at + 3);
    const [next] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(rest).split("\ufffd", 1);
    at += 3 + new TextEncoder().encode(next).length;
  }
  return at;
}
