/** The line that `systemctl status` shows. */

export interface Figures {
  /** Points since the start. */
  readonly points: number;
  /** `undefined` if it is too early to tell. */
  readonly pointsPerSecond?: number;
  /** Points that at least one output has not taken. */
  readonly waiting: number;
  readonly dropped: number;
  /** Connected clients, of a server. */
  readonly clients?: number;
  /** Parts that make no progress. */
  readonly stuck: readonly string[];
}

export function statusText(figures: Figures): string {
  const { points, pointsPerSecond, waiting, dropped, clients, stuck } = figures;
  const parts: string[] = [];
  if (stuck.length > 0) parts.push(`${stuck.join(" and ")} stuck`);
  if (clients !== undefined) parts.push(`${text(clients)} ${clients === 1 ? "client" : "clients"}`);
  if (pointsPerSecond !== undefined) parts.push(`${text(pointsPerSecond)} points/s`);
  parts.push(`${text(points)} points since the start`, `${text(waiting)} waiting for an output`);
  if (dropped > 0) parts.push(`${text(dropped)} dropped`);
  return parts.join(", ");
}

/** A whole number with commas, or a small one with a decimal. (`toLocaleString` costs megabytes of memory.) */
function text(value: number): string {
  const digits = value < 10 && !Number.isInteger(value) ? 1 : 0;
  return value.toFixed(digits).replace(/\B(?=(?:\d{3})+(?!\d))/g, ",");
}
