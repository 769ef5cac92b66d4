/** The line that `systemctl status` shows. */

export interface Figures {
  /** Points that came since the start. */
  readonly points: number;
  /** `undefined` where too little time has passed to tell. */
  readonly pointsPerSecond?: number;
  /** Points that some output has not taken. */
  readonly waiting: number;
  readonly dropped: number;
  /** Clients that are connected, of a server. */
  readonly clients?: number;
  /** Parts that do not get further. */
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

/** Whole, with commas; small ones with a decimal. (`toLocaleString` costs megabytes of memory.) */
function text(value: number): string {
  const digits = value < 10 && !Number.isInteger(value) ? 1 : 0;
  return value.toFixed(digits).replace(/\B(?=(?:\d{3})+(?!\d))/g, ",");
}
