/** What `alumet-relay query` asks for without SQL: points of some metrics and hosts, since some time, or means of them. */
import { DurationError, parseDuration } from "../base/duration.ts";
import { EXIT, ExitError } from "../base/errors.ts";
import type { CommandLine } from "./parse.ts";

/** A statement with the values of its parameters. */
export interface Selection {
  readonly sql: string;
  readonly values: readonly (string | bigint)[];
}

const NS_PER_SECOND = 1_000_000_000n;

/** Where a point is from, as columns; attributes are one column, or a column for each that is named. */
function originOf(attributes: readonly string[]): string {
  const columns = attributes.map((name) =>
    `(SELECT value FROM json_each(s.attributes) WHERE key = '${name.replaceAll("'", "''")}') AS ` +
    `"${name.replaceAll('"', '""')}"`
  );
  if (columns.length === 0) columns.push("nullif(s.attributes, '{}') AS attributes");
  return `s.relay_client AS host, m.name AS metric, m.unit,
  trim(s.resource_kind || ' ' || s.resource_id) AS resource,
  trim(s.consumer_kind || ' ' || s.consumer_id) AS consumer, ${columns.join(", ")}`;
}
const VALUE =
  "CASE WHEN m.type = 'f64' AND typeof(p.value) = 'integer' THEN CAST(p.value AS REAL) ELSE p.value END";
const TIME = "d.start * 1000000000 + p.offset";

/**
 * The selection that the flags ask for; `undefined` where there are none.
 *
 * @throws {ExitError} 64 if a flag makes no sense, or there is a statement as well.
 */
export function selectionOf(line: CommandLine, nowMs = Date.now()): Selection | undefined {
  const names = ["metric", "host", "since", "every", "attributes"];
  const [metric, host, since, every, attributes] = names.map((name) => line.value(name));
  const flags = { metric, host, since, every, attributes };
  const given = Object.entries(flags).filter(([, value]) => value !== undefined).map(([name]) => `--${name}`);
  if (given.length === 0) return undefined;
  if (line.argument !== undefined) {
    throw new ExitError(
      EXIT.usage,
      `${given.join(" and ")} cannot be used with a statement: put it into WHERE`,
    );
  }
  const origin = originOf(
    (attributes ?? "").split(",").map((name) => name.trim()).filter((name) => name !== ""),
  );
  const conditions: string[] = [];
  const values: (string | bigint)[] = [];
  const where = (condition: string, value: string | bigint) => {
    conditions.push(condition);
    values.push(value);
  };
  if (metric !== undefined) where("m.name GLOB ?", metric);
  if (host !== undefined) where("s.relay_client GLOB ?", host);
  if (since !== undefined) {
    const from = BigInt(nowMs) * 1_000_000n - durationOf(since, "--since");
    where("d.last >= ?", from / NS_PER_SECOND);
    where(`${TIME} >= ?`, from);
  }
  // In this order only points of the series that are asked for are read.
  const from = `FROM metrics m CROSS JOIN series s ON s.metric = m.id CROSS JOIN parts d
CROSS JOIN points p ON p.part = d.id AND p.series = s.id
${conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : ""}`;
  if (every === undefined) {
    return {
      sql:
        `SELECT strftime('%Y-%m-%d %H:%M:%f', d.start + p.offset / 1e9, 'unixepoch') AS time, ${VALUE} AS value,
  ${origin} ${from} ORDER BY ${TIME}, p.part`,
      values,
    };
  }
  const step = durationOf(every, "--every");
  if (step % NS_PER_SECOND !== 0n || step === 0n) {
    throw new ExitError(EXIT.usage, "--every: expected whole seconds, such as 30s or 5m");
  }
  const seconds = step / NS_PER_SECOND;
  return {
    sql:
      `SELECT strftime('%Y-%m-%d %H:%M:%S', bucket * ${seconds}, 'unixepoch') AS time, mean, lowest, highest, points,
  ${origin}
FROM (
  SELECT (${TIME}) / ${step} AS bucket, p.series, avg(p.value) AS mean, min(${VALUE}) AS lowest,
    max(${VALUE}) AS highest, count(*) AS points
  ${from}
  GROUP BY bucket, p.series
) t JOIN series s ON s.id = t.series JOIN metrics m ON m.id = s.metric
ORDER BY bucket, m.name, s.relay_client, s.id`,
    values,
  };
}

/** Nanoseconds. */
function durationOf(text: string, flag: string): bigint {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof DurationError)) throw error;
    throw new ExitError(EXIT.usage, `${flag} ${text}: ${error.message}`, { cause: error });
  }
}
