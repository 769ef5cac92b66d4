/**
 * The tail of a point, in the bytes of Alumet's protocol: resource kind and id, consumer kind and id, attributes. A
 * series keeps its tail as it came; text is decoded only for those who ask for it.
 */
import { PostcardReader, type PostcardWriter } from "../postcard.ts";
import { type Attribute, type AttributeValue, CLIENT_ATTRIBUTE, type SeriesDefinition } from "./series.ts";

/** Discriminants of the value enum. */
export const VALUE = { f64: 0, u64: 1, bool: 2, str: 3, listU64: 4 } as const;
const VALUES = 5;

const CLIENT_BYTES = new TextEncoder().encode(CLIENT_ATTRIBUTE);

/** Writes a value with its discriminant: f64 for a number, u64 for a bigint. */
export function writeValue(writer: PostcardWriter, value: AttributeValue): void {
  if (typeof value === "number") writer.discriminant(VALUE.f64).f64(value);
  else if (typeof value === "bigint") writer.discriminant(VALUE.u64).u64(value);
  else if (typeof value === "boolean") writer.discriminant(VALUE.bool).bool(value);
  else if (typeof value === "string") writer.discriminant(VALUE.str).string(value);
  else writer.discriminant(VALUE.listU64).sequence(value, (w, item) => w.u64(item));
}

/** The inverse of {@linkcode writeValue}. */
export function readValue(reader: PostcardReader): AttributeValue {
  switch (reader.discriminant(VALUES)) {
    case VALUE.f64:
      return reader.f64();
    case VALUE.u64:
      return reader.u64();
    case VALUE.bool:
      return reader.bool();
    case VALUE.str:
      return reader.string();
    default:
      return reader.sequence((r) => r.u64());
  }
}

/** Steps over a value; text is not checked. @throws {PostcardError} if it is not a value. */
export function skipValue(bytes: Uint8Array, reader: PostcardReader): void {
  switch (reader.discriminant(VALUES)) {
    case VALUE.f64:
      reader.f64();
      break;
    case VALUE.u64:
      reader.u64Number();
      break;
    case VALUE.bool:
      reader.bool();
      break;
    case VALUE.str:
      skipText(bytes, reader);
      break;
    default:
      for (let n = reader.length(); n > 0; n--) reader.u64Number();
  }
}

/** Steps over a text, which is not checked. @returns its length in bytes. @throws {PostcardError} */
function skipText(bytes: Uint8Array, reader: PostcardReader): number {
  const at = reader.offset;
  // Nearly all lengths are one byte.
  let length = bytes[at];
  if (length < 0x80 && at + length < reader.end) {
    reader.offset = at + 1 + length;
    return length;
  }
  length = reader.length();
  reader.skip(length);
  return length;
}

/** What {@linkcode skipTail} has found in a tail. */
export interface TailFacts {
  /** Bytes of the longest kind or key of an attribute. */
  longestName: number;
  /** It has an attribute with the name of a client. */
  namesClient: boolean;
}

/**
 * Steps over a tail. Its texts are not checked: see {@linkcode checkTexts}.
 *
 * @returns what it has in it; the same object each time.
 * @throws {PostcardError} if the bytes are not a tail.
 */
export function skipTail(bytes: Uint8Array, reader: PostcardReader): TailFacts {
  let longest = skipText(bytes, reader);
  skipText(bytes, reader);
  longest = Math.max(longest, skipText(bytes, reader));
  skipText(bytes, reader);
  facts.namesClient = false;
  for (let n = reader.length(3); n > 0; n--) {
    const length = skipText(bytes, reader);
    if (isClientKey(bytes, reader.offset - length, length)) {
      facts.namesClient = true;
    } else if (length > longest) longest = length;
    skipValue(bytes, reader);
  }
  facts.longestName = longest;
  return facts;
}

const facts: TailFacts = { longestName: 0, namesClient: false };

/**
 * Checks the texts of a tail that {@linkcode skipTail} has stepped over.
 *
 * @throws {PostcardError} if one of them is not UTF-8.
 */
export function checkTexts(bytes: Uint8Array, start: number, end: number): void {
  let i = start;
  // Bytes of ASCII are UTF-8, wherever a text begins. Others may also be those of lengths and numbers.
  while (i < end && bytes[i] < 0x80) i++;
  if (i < end) readTail(new PostcardReader(bytes, start, end));
}

/** Whether `length` bytes are the name of the attribute that names a client. */
export function isClientKey(bytes: Uint8Array, at: number, length: number): boolean {
  if (length !== CLIENT_BYTES.length) return false;
  for (let i = 0; i < CLIENT_BYTES.length; i++) if (bytes[at + i] !== CLIENT_BYTES[i]) return false;
  return true;
}

/** Writes the tail of a series, with the first `count` of its attributes. */
export function writeTail(writer: PostcardWriter, series: SeriesDefinition, count: number): void {
  writer.string(series.resourceKind).string(series.resourceId);
  writer.string(series.consumerKind).string(series.consumerId);
  writer.u64(count);
  for (let i = 0; i < count; i++) {
    const [name, value] = series.attributes[i];
    writeValue(writer.string(name), value);
  }
}

/** Reads a tail. @throws {PostcardError} if it is not valid. */
export function readTail(reader: PostcardReader): Omit<SeriesDefinition, "metric"> & {
  attributes: Attribute[];
} {
  return {
    resourceKind: reader.string(),
    resourceId: reader.string(),
    consumerKind: reader.string(),
    consumerId: reader.string(),
    attributes: reader.sequence((r): Attribute => [r.string(), readValue(r)]),
  };
}
