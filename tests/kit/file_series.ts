import type { FileSeries } from "../../lib/outputs/files/file_series.ts";

/** A series of which a file says no more than its metric. */
export const BARE_SERIES: FileSeries = {
  metric: "m",
  unit: "",
  client: "",
  resourceKind: "",
  resourceId: "",
  consumerKind: "",
  consumerId: "",
  attributes: "{}",
};
