/** Points as they pass between an output and its thread. */

/** Points, as columns; the arrays may be longer than `length`. */
export interface PointColumns {
  length: number;
  /** The number of each point's series. */
  readonly series: Uint32Array<ArrayBuffer>;
  /** Whole seconds since the Unix epoch. */
  readonly seconds: Float64Array<ArrayBuffer>;
  /** Nanoseconds within the second. */
  readonly nanos: Uint32Array<ArrayBuffer>;
  /** A u64 above 2^53 is rounded here, and stands exactly elsewhere in the message. */
  readonly values: Float64Array<ArrayBuffer>;
}

export function newColumns(capacity: number): PointColumns {
  return {
    length: 0,
    series: new Uint32Array(capacity),
    seconds: new Float64Array(capacity),
    nanos: new Uint32Array(capacity),
    values: new Float64Array(capacity),
  };
}

/** What a message with these columns transfers, so that nothing is copied. */
export function buffersOf({ series, seconds, nanos, values }: PointColumns): ArrayBuffer[] {
  return [series.buffer, seconds.buffer, nanos.buffer, values.buffer];
}
