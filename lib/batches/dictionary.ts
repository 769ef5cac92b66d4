/**
 * Definitions of series in a stream of batches (see {@linkcode ./codec.ts}): each text, metric and series stands
 * in a stream once. What a series shares with the one defined before it is not written, so a new process on a machine
 * costs a few bytes per metric. Both ends work on the bytes of tails (../points/tail.ts); texts are not decoded.
 *
 *     flags       u8, which of the following parts are there (`DIFFERS`), + `TAKES_PLACE`
 *     place       varint, if it takes one: the number of a series that will not come again
 *     metric      varint number + 1 of a metric; or 0, its name, u8 type, base and prefix of its unit, its description
 *     texts       resource kind and id, consumer kind and id
 *     attributes  varint count, and for each its name, u8 kind, and the value; a text as any other text
 *
 * A text is varint number + 1 of a text; or 0, its length, and UTF-8.
 */
import type { ValueType } from "../points/measurement.ts";

/** Bits of a definition's first byte: which parts differ from those of the definition before. */
export const DIFFERS = {
  metric: 1,
  /** The next texts have the next bits: text `i` of a tail has `firstText << i`. */
  firstText: 2,
  attributes: 32,
} as const;
export const ALL_DIFFER = 63;
/** Another bit: behind the flags is the number whose place the series takes. */
export const TAKES_PLACE = 64;
/** By their numbers in a stream. */
export const TYPES: readonly ValueType[] = ["f64", "u64"];
/** Texts of a tail before its attributes. */
export const TAIL_TEXTS = 4;
