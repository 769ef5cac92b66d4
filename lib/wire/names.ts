/** How long names from the network may be: of clients, metrics, units, kinds of resources, keys of attributes. */
/** Bytes of a name where nothing else is said. */
export const DEFAULT_NAME_BYTES = 255;

const encoder = new TextEncoder();

/** Whether a text has more bytes than that, in UTF-8. */
export function isLonger(text: string, bytes: number): boolean {
  if (text.length * 3 <= bytes) return false;
  return text.length > bytes || encoder.encode(text).length > bytes;
}

interface MetricNames {
  readonly name: string;
  readonly unit: { readonly base: string; readonly prefix: string };
}

/** What is wrong with the names of a metric, or `undefined`. */
export function longMetricProblem({ name, unit }: MetricNames, bytes: number): string | undefined {
  const long = [name, unit.base, unit.prefix].find((text) => isLonger(text, bytes));
  if (long === undefined) return undefined;
  return `Cannot register metric ${name.slice(0, 60)}: a name of it has ${
    encoder.encode(long).length
  } bytes, at most ${bytes} are taken`;
}
