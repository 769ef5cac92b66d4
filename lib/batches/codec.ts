/**
 * A compact codec for streams of batches, exact to the bit: for the journal's segments, and for the wire between two
 * of ours. Encoder and decoder keep the same state, so the records of a stream must be decoded from the first one on,
 * each of them once, in order.
 *
 * A record is `varint rows`, then chunks until all rows are there:
 *
 *     varint  rows of the chunk × 2, + 1 if all state is forgotten first
 *     series  varint hits: the number of rows whose series is the one that followed last time,
 *             then (unless the chunk is complete) varint number + 1 of a series, or 0 and the definition of a new one
 *             (./dictionary.ts), which has the next number, or that of a series which will not come again; and again
 *     times   varint rows × 2, + 1 if the seconds change; zigzag change of the seconds if so, and of the nanoseconds;
 *             and again
 *     codes   a nibble for each row, low nibble first
 *     values  what the codes say, by row, in 0 to 9 bytes
 *
 * Values are relative to the last value of the same series, which is 0 at first. Code 0 is "the same bits". For u64,
 * 1 to 8 is the zigzag difference (modulo 2^64) in that number of bytes. For f64, 1 to 6 is the zigzag difference of two
 * whole numbers in that number of bytes, 7 to 14 is the XOR of the bits in its lowest 1 to 8 bytes, and 15 is one byte
 * (zero bytes at the low end × 8, + bytes - 1) and the bytes of the XOR above those. All of it is little-endian.
 */
export { type BatchCodecLimits } from "./stream.ts";
export { BatchEncoder } from "./encoder.ts";
export {
  BatchCodecError,
  type BatchCodecErrorCode,
  BatchDecoder,
  type BatchDecoderOptions,
} from "./decoder.ts";
