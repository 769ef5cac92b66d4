/** What the rows of Parquet files say, whoever writes or reads them. */

/** What all points of a series have in common. */
export interface FileSeries {
  readonly metric: string;
  readonly unit: string;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly consumerKind: string;
  readonly consumerId: string;
  readonly client: string;
  /** JSON. */
  readonly attributes: string;
}

/** The last time that a file can hold, in nanoseconds since the Unix epoch: in the year 2262. */
export const MAX_TIME_NS = 2n ** 63n - 1n;
