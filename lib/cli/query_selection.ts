/** What `alumet-relay query` asks for without SQL: points of some metrics and hosts, since some time, or means of them. */
import { DurationError, parseDuration } from "../base/duration.ts";
import { EXIT, ExitError } from "../base/errors.ts";
import { BLOCKS_OF_SERIES, TIMES_OF_BLOCK, VALUE_OF_BLOCK } from "../outputs/sqlite/schema.ts";
import type { CommandLine } from "./parse.ts";
import { timeOf } from "./time_flag.ts";

/** A statement with the values of its parameters. */
export interface Selection {
  /** @param hasBlocks Some points may be in blocks, which the connection can read. */
  readonly sql: (hasBlocks: boolean) => string;
  readonly values: readonly (string | number | bigint)[];
}

const NS_PER_SECOND = 1_000_000_000n;
const MAX_INTEGER = 2n ** 63n - 1n;

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
/** Points, by how they are stored: where they are, their offset, and their value. */
interface Stored {
  readonly from: string;
  readonly offset: string;
  readonly value: string;
}
const ROWS: Stored = {
  // In this order only points of the series that are asked for are read.
  from: "metrics m CROSS JOIN series s ON s.metric = m.id CROSS JOIN parts d " +
    "CROSS JOIN points p ON p.part = d.id AND p.series = s.id",
  offset: "p.offset",
  value: "p.value",
};
const BLOCKS: Stored = {
  // In this order a block is decoded once for all of them.
  from: "parts d CROSS JOIN metrics m CROSS JOIN series s ON s.metric = m.id " +
    `CROSS JOIN blocks b ON d.compacted AND ${BLOCKS_OF_SERIES} CROSS JOIN ${TIMES_OF_BLOCK}`,
  offset: "t.value",
  value: VALUE_OF_BLOCK,
};

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
  const values: (string | number | bigint)[] = [];
  const where = (condition: string, value: string | bigint) => {
    values.push(value);
    conditions.push(`${condition} ?${values.length}`);
  };
  if (metric !== undefined) where("m.name GLOB", metric);
  if (host !== undefined) where("s.relay_client GLOB", host);
  let earliest = "";
  if (since !== undefined) {
    const from = timeOf(since, "--since", nowMs);
    where("d.last >=", from / NS_PER_SECOND);
    // SQLite's integers end in 2262; later times are numbers with a fraction there, too.
    values.push(from > MAX_INTEGER ? Number(from) : from);
    earliest = `WHERE time >= ?${values.length}`;
  }
  const pointsOf = ({ from, offset, value }: Stored) =>
    `SELECT d.start * 1000000000 + ${offset} AS time, s.id AS series, d.id AS part,
    CASE WHEN m.type = 'f64' AND typeof(${value}) = 'integer' THEN CAST(${value} AS REAL) ELSE ${value} END AS value
  FROM ${from}
  ${conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : ""}`;
  const all = (hasBlocks: boolean) =>
    `(${pointsOf(ROWS)}${hasBlocks ? ` UNION ALL ${pointsOf(BLOCKS)}` : ""}) ${earliest}`;
  if (every === undefined) {
    return {
      sql: (hasBlocks) =>
        `SELECT strftime('%Y-%m-%d %H:%M:%f', p.time / 1e9, 'unixepoch') AS time, p.value,
  ${origin} FROM (SELECT * FROM ${all(hasBlocks)}) p
  JOIN series s ON s.id = p.series JOIN metrics m ON m.id = s.metric ORDER BY p.time, p.part`,
      values,
    };
  }
  const step = durationOf(every, "--every");
  if (step % NS_PER_SECOND !== 0n || step === 0n) {
    throw new ExitError(EXIT.usage, "--every: expected whole seconds, such as 30s or 5m");
  }
  const seconds = step / NS_PER_SECOND;
  return {
    sql: (hasBlocks) =>
      `SELECT strftime('%Y-%m-%d %H:%M:%S', bucket * ${seconds}, 'unixepoch') AS time, mean, lowest, highest, points,
  ${origin}
FROM (
  SELECT CAST(time / ${step} AS INTEGER) AS bucket, series, avg(value) AS mean, min(value) AS lowest, max(value) AS highest,
    count(*) AS points
  FROM ${all(hasBlocks)}
  GROUP BY bucket, series
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
