/**
 * The tables, and what a file must be to be written to.
 *
 * Points are stored in **parts**: what one transaction writes is sorted by series and time and appended as one part.
 * So a write touches few pages however many series there are, pages are full, and the points of one series in one part
 * lie together; small parts are merged later (housekeeping.ts). A table that is sorted by series alone would have each
 * transaction write one page for each series.
 */
import type { DatabaseSync } from "node:sqlite";
import { fillHosts } from "./hosts.ts";
import { numberOf } from "./number_of.ts";
import type { RollupOptions } from "../rollups/levels.ts";
import { formerRollupViews, rollupTables, rollupViews } from "./rollup_tables.ts";
import { StoreError } from "./store_error.ts";

/** `PRAGMA user_version` of files that this program writes. */
export const SCHEMA_VERSION = 5;
/** The first version whose `measurements` is the present one. */
const COMPACTED_VERSION = 4;
/** `PRAGMA application_id`: "ALMR". */
const APPLICATION_ID = 0x414c4d52;

/** Offsets may be negative, but a part is of one day. */
const DAY = "86400";

/** SQL for the second, and for the nanoseconds within it, of a point with this offset: `/` cuts towards zero. */
export const secondOf = (start: string, offset: string): string =>
  `${start} - ${DAY} + (${offset} + ${DAY}000000000) / 1000000000`;
const nanosOf = (offset: string) => `(${offset} + ${DAY}000000000) % 1000000000`;

/** Tables and indexes, in the order in which they are created. */
const TABLES = [
  `CREATE TABLE metrics (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  type TEXT NOT NULL,          -- 'u64' or 'f64'
  unit_base TEXT NOT NULL,     -- 'J'
  unit_prefix TEXT NOT NULL,   -- 'milli'
  unit TEXT NOT NULL,          -- as people read it: 'mJ'
  description TEXT NOT NULL,
  UNIQUE (name, type, unit_base, unit_prefix)
)`,
  `CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  metric INTEGER NOT NULL REFERENCES metrics (id),
  relay_client TEXT NOT NULL,  -- the host that measured, as it calls itself; '' for this one
  resource_kind TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  consumer_kind TEXT NOT NULL,
  consumer_id TEXT NOT NULL,
  attributes TEXT NOT NULL,    -- JSON
  hash INTEGER NOT NULL,       -- of the columns behind relay_client
  seen INTEGER NOT NULL        -- day of the last use, in days since 1970
)`,
  `CREATE INDEX series_by_metric ON series (metric, relay_client, hash)`,
  `CREATE TABLE parts (
  id INTEGER PRIMARY KEY,
  day TEXT NOT NULL,           -- all its points are of this day (UTC)
  start INTEGER NOT NULL,      -- what offsets count from, in seconds since 1970; not always the earliest
  first INTEGER NOT NULL,      -- the second of the earliest point
  last INTEGER NOT NULL,       -- the second of the latest point
  points INTEGER NOT NULL,
  repeats INTEGER NOT NULL,    -- 1: its points have the same series and time as points of other parts
  written INTEGER NOT NULL,    -- day of the (first) transaction, in days since 1970
  rolled INTEGER NOT NULL DEFAULT 1, -- 0: not all its points are in the tables of sums
  stored INTEGER NOT NULL DEFAULT 0, -- when its last points were stored, in seconds since 1970
  compacted INTEGER NOT NULL DEFAULT 0 -- 1: its points are in blocks
)`,
  `CREATE INDEX parts_by_day ON parts (day)`,
  `CREATE INDEX parts_to_roll ON parts (id) WHERE rolled = 0`,
  `CREATE INDEX parts_to_compact ON parts (day, first) WHERE compacted = 0`,
  `CREATE TABLE points (
  part INTEGER NOT NULL,
  series INTEGER NOT NULL,
  offset INTEGER NOT NULL,     -- nanoseconds from the part's start, which may be negative
  value,                       -- INTEGER, REAL, TEXT for u64 above 2^63-1, NULL for NaN
  PRIMARY KEY (part, series, offset)
) WITHOUT ROWID`,
  `CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  part INTEGER NOT NULL,
  first_series INTEGER NOT NULL, -- all its series are of these ids
  last_series INTEGER NOT NULL,
  first INTEGER NOT NULL,      -- the second of the earliest point
  last INTEGER NOT NULL,       -- the second of the latest point
  points INTEGER NOT NULL,
  data BLOB NOT NULL           -- its points, compressed
)`,
  `CREATE INDEX blocks_by_part ON blocks (part, last_series, first_series)`,
  `CREATE TABLE packs (
  id INTEGER PRIMARY KEY,
  part INTEGER NOT NULL,       -- its points once more, for compaction alone: the table of points counts
  last_series INTEGER NOT NULL,
  data BLOB NOT NULL           -- points of series after the row before, compressed
)`,
  `CREATE INDEX packs_by_part ON packs (part, last_series)`,
  `CREATE TABLE journal_positions (
  journal TEXT PRIMARY KEY,    -- id of a journal
  position INTEGER NOT NULL    -- number of its last batch that is stored here
) WITHOUT ROWID`,
  `CREATE TABLE clients (
  instance TEXT NOT NULL,
  name TEXT NOT NULL,
  sequence INTEGER NOT NULL,   -- number of the client's last batch that is stored here
  seen INTEGER NOT NULL,       -- day, in days since 1970
  PRIMARY KEY (instance, name)
) WITHOUT ROWID`,
  `CREATE TABLE host_times (
  name TEXT PRIMARY KEY,       -- relay_client of its series
  first INTEGER NOT NULL,      -- time of its earliest point, in nanoseconds since 1970
  last INTEGER NOT NULL,       -- time of its latest point
  contact INTEGER NOT NULL     -- when its last points were stored, in seconds since 1970
) WITHOUT ROWID`,
  `CREATE TABLE rollup_parts (
  id INTEGER PRIMARY KEY,
  every INTEGER NOT NULL,      -- length of an interval, in seconds; the table is called after it
  day TEXT NOT NULL,
  start INTEGER NOT NULL,      -- of its first interval, in seconds since 1970
  seconds INTEGER NOT NULL,    -- length of all its intervals
  below INTEGER,               -- while intervals are merged: series with a lower id are in it
  UNIQUE (every, start, seconds)
)`,
  `CREATE INDEX rollup_parts_by_day ON rollup_parts (every, day)`,
  `CREATE TABLE rolled (
  every INTEGER NOT NULL,
  start INTEGER NOT NULL,
  part INTEGER NOT NULL,       -- points of the interval in parts up to this one are in the sums
  below INTEGER,               -- while they are stored: those of series with a lower id
  PRIMARY KEY (every, start, part)
) WITHOUT ROWID`,
];

/** Nanoseconds since 1970 as text, with nine digits behind the seconds. */
const timestampOf = (time: string) =>
  `strftime('%Y-%m-%dT%H:%M:%S', ${time} / 1000000000, 'unixepoch') || printf('.%09dZ', ${time} % 1000000000)`;

/** A group for each series in each part: in the order of the points, so nothing has to be sorted. */
const PART_TOTALS = "count(*) AS points, total(p.value) AS sum, min(p.value) AS min, max(p.value) AS max";
/** The sum of a part is NULL where it is not a number, as that of both infinities; so is the sum of all of them then. */
const SUM = "CASE WHEN count(sum) = count(*) THEN total(sum) END AS sum";
const SUMS = `sum(points) AS points, ${SUM}, min(min) AS min, max(max) AS max`;

/** Points as rows that views show. @param offset Nanoseconds from the start of the part. @param from Joins s, m and d. */
const measurementsOf = (series: string, offset: string, value: string, from: string) =>
  `SELECT
  m.name AS metric,
  strftime('%Y-%m-%dT%H:%M:%S', ${secondOf("d.start", offset)}, 'unixepoch')
    || printf('.%09dZ', ${nanosOf(offset)}) AS timestamp,
  CASE WHEN m.type = 'f64' AND typeof(${value}) = 'integer' THEN CAST(${value} AS REAL) ELSE ${value} END AS value,
  s.resource_kind,
  s.resource_id,
  s.consumer_kind,
  s.consumer_id,
  s.relay_client,
  s.attributes,
  m.unit,
  d.day,
  d.start * 1000000000 + ${offset} AS time,
  ${series} AS series_id
${from}`;

const ROWS = measurementsOf(
  "p.series",
  "p.offset",
  "p.value",
  `FROM points p
JOIN parts d ON d.id = p.part
JOIN series s ON s.id = p.series
JOIN metrics m ON m.id = s.metric`,
);

const totalsOf = (points: string) =>
  `SELECT series AS series_id, ${SUMS}
FROM (${points})
GROUP BY series`;
const dailyTotalsOf = (points: string) =>
  `SELECT day, series AS series_id, ${SUMS}
FROM (
  ${points}
)
GROUP BY day, series`;
const TOTALS = `SELECT part, series, ${PART_TOTALS} FROM points p GROUP BY part, series`;
const DAILY_TOTALS =
  `SELECT d.day, p.series, ${PART_TOTALS} FROM parts d CROSS JOIN points p ON p.part = d.id GROUP BY d.id, d.day, p.series`;

/** Which blocks may have points of a series s, in a part d. */
export const BLOCKS_OF_SERIES = "b.part = d.id AND b.last_series >= s.id AND b.first_series <= s.id";
/** The points t of a series s in a block b: their offsets, and SQL for the value of each. */
export const TIMES_OF_BLOCK = "json_each(block_times(b.id, s.id)) t";
export const VALUE_OF_BLOCK = "block_value(b.id, s.id, t.key)";

/**
 * Temporary views of all points, in place of those that show what is not compacted, for a connection that has the functions
 * `block_times` and `block_value`.
 */
export function completeViews(): string[] {
  const compacted = measurementsOf(
    "s.id",
    "t.value",
    VALUE_OF_BLOCK,
    // Part by part, so that a block is decoded once for all series that are asked for.
    `FROM parts d
CROSS JOIN metrics m
CROSS JOIN series s ON s.metric = m.id
CROSS JOIN blocks b ON ${BLOCKS_OF_SERIES}
CROSS JOIN ${TIMES_OF_BLOCK}
WHERE d.compacted`,
  );
  const value = VALUE_OF_BLOCK;
  const sums = `count(*) AS points, total(${value}) AS sum, min(${value}) AS min, max(${value}) AS max`;
  const from = `FROM blocks b JOIN parts d ON d.id = b.part
  JOIN series s ON s.id BETWEEN b.first_series AND b.last_series JOIN ${TIMES_OF_BLOCK}`;
  return [
    `CREATE TEMP VIEW measurements AS ${ROWS} UNION ALL ${compacted}`,
    `CREATE TEMP VIEW totals AS ${
      totalsOf(`${TOTALS} UNION ALL SELECT b.part, s.id, ${sums} ${from} GROUP BY b.id, s.id`)
    }`,
    `CREATE TEMP VIEW daily_totals AS ${
      dailyTotalsOf(
        `${DAILY_TOTALS} UNION ALL SELECT d.day, s.id, ${sums} ${from} GROUP BY b.id, d.day, s.id`,
      )
    }`,
  ];
}

const VIEWS = [
  `CREATE VIEW measurements AS
${ROWS}`,
  `CREATE VIEW hosts AS
SELECT
  h.name,
  ${timestampOf("h.first")} AS first_point,
  ${timestampOf("h.last")} AS last_point,
  coalesce(s.series, 0) AS series,
  strftime('%Y-%m-%dT%H:%M:%SZ', h.contact, 'unixepoch') AS last_contact
FROM host_times h
LEFT JOIN (SELECT relay_client, count(*) AS series FROM series GROUP BY relay_client) s ON s.relay_client = h.name`,
  `CREATE VIEW series_list AS
SELECT
  s.id AS series_id,
  m.name AS metric,
  m.type,
  m.unit,
  m.description,
  s.resource_kind,
  s.resource_id,
  s.consumer_kind,
  s.consumer_id,
  s.relay_client,
  s.attributes,
  date(s.seen * ${DAY}, 'unixepoch') AS last_day
FROM series s
JOIN metrics m ON m.id = s.metric`,
  `CREATE VIEW series_attributes AS
SELECT s.id AS series_id, j.key AS name, j.value
FROM series s, json_each(s.attributes) j`,
  `CREATE VIEW totals AS
${totalsOf(TOTALS)}`,
  `CREATE VIEW daily_totals AS
${dailyTotalsOf(DAILY_TOTALS)}`,
];

/** What a view was before, so that it is replaced, and one that somebody else has put in its place is not. */
const formerView = (view: string) => view.replace(SUM, "total(sum) AS sum");

/** Whether it is a database of this program that may have compacted points. */
export function hasBlocks(db: DatabaseSync): boolean {
  const { application_id: id } = db.prepare("PRAGMA main.application_id").get() as { application_id: number };
  const table = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = 'blocks'";
  return id === APPLICATION_ID && db.prepare(table).get() !== undefined;
}

/** Whether the tables are there; `false` for a new file. @throws {StoreError} if it is another program's, or newer. */
export function checkSchema(db: DatabaseSync): boolean {
  const value = (sql: string) => numberOf(db.prepare(sql));
  // The first to read the file, and so to find out whether it is a database at all.
  const tables = value("SELECT count(*) FROM sqlite_schema");
  if (tables === 0) return false;
  if (value("PRAGMA application_id") !== APPLICATION_ID) {
    throw new StoreError("fatal", "it is the database of another program; name another file");
  }
  const version = value("PRAGMA user_version");
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      "fatal",
      `a newer version of this program wrote it (schema ${version}; this one knows ${SCHEMA_VERSION}); ` +
        "update this one, or name another file",
    );
  }
  return true;
}

/** Creates what is missing, in a transaction of the caller's: in a new file, in an old one, or where it was dropped. */
export function ensureSchema(db: DatabaseSync, rollups: readonly RollupOptions[]): void {
  const run = (sql: string) => db.prepare(sql).run();
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  // Whoever has read the view before gets the same columns in the same places, and new ones at the end.
  if (version < COMPACTED_VERSION) run("DROP VIEW IF EXISTS measurements");
  const views = [...VIEWS, ...rollupViews(rollups)];
  const former = new Set([
    ...VIEWS.map(formerView).filter((sql) => !VIEWS.includes(sql)),
    ...formerRollupViews(rollups),
  ]);
  const rows = db.prepare("SELECT name, sql FROM sqlite_schema").all() as { name: string; sql: string }[];
  const outdated = rows.filter(({ sql }) => former.has(sql));
  for (const { name } of outdated) run(`DROP VIEW "${name}"`);
  const present = new Set(rows.filter((row) => !outdated.includes(row)).map(({ name }) => name));
  const create = (statements: readonly string[]) => {
    const missing = statements.filter((sql) => !present.has(/^CREATE \w+ (\w+)/.exec(sql)![1]));
    for (const sql of missing) run(sql);
  };
  if (present.has("parts")) {
    for (const [column, value] of Object.entries(NEW_COLUMNS)) {
      if (!hasColumn(db, "parts", column)) {
        run(`ALTER TABLE parts ADD COLUMN ${column} INTEGER NOT NULL DEFAULT ${value}`);
      }
    }
  }
  create([...TABLES, ...rollupTables(rollups)]);
  if (!present.has("points")) run("DELETE FROM parts WHERE NOT compacted");
  if (!present.has("blocks")) run("DELETE FROM parts WHERE compacted");
  // Of parts that somebody else has deleted.
  run(
    "DELETE FROM packs WHERE id IN (SELECT id FROM packs WHERE part NOT IN (SELECT id FROM parts WHERE NOT compacted))",
  );
  if (!present.has("host_times")) fillHosts(db);
  create(views);
  if (!present.has("sqlite_stat1")) {
    // Makes the table of statistics; what is in it comes from writeStatistics.
    run("ANALYZE sqlite_schema");
    writeStatistics(db);
  }
  if (version === SCHEMA_VERSION) return;
  run(`PRAGMA application_id = ${APPLICATION_ID}`);
  run(`PRAGMA user_version = ${SCHEMA_VERSION}`);
}

/** Columns of parts that older files do not have, with the value that their parts get. */
const NEW_COLUMNS = { rolled: 1, stored: 0, compacted: 0 };

function hasColumn(db: DatabaseSync, table: string, column: string): boolean {
  const columns = db.prepare("SELECT name FROM pragma_table_info(?)").all(table) as { name: string }[];
  return columns.some(({ name }) => name === column);
}

/**
 * Tells SQLite's planner what the tables are like: without that, it would scan all points for one series. ANALYZE would
 * read everything to find out.
 */
export function writeStatistics(db: DatabaseSync): void {
  const count = (sql: string) => numberOf(db.prepare(sql));
  const parts = Math.max(100, count("SELECT count(*) FROM parts"));
  const points = Math.max(10_000_000, count("SELECT sum(points) FROM parts WHERE NOT compacted"));
  const series = Math.max(10_000, count("SELECT max(id) FROM series"));
  const metrics = Math.max(50, count("SELECT count(*) FROM metrics"));
  const days = Math.max(10, count("SELECT count(DISTINCT day) FROM parts"));
  const perMetric = Math.ceil(series / metrics);
  const perPart = Math.ceil(points / parts);
  const rows: [table: string, index: string | null, stat: string][] = [
    ["points", "points", `${points} ${perPart} ${Math.max(1, Math.ceil(perPart / series))} 1`],
    ["parts", "parts_by_day", `${parts} ${Math.ceil(parts / days)}`],
    ["parts", "parts_to_roll", "100 1"],
    ["parts", "parts_to_compact", "1000 100 1"],
    ["blocks", "blocks_by_part", `${10 * parts} 10 1 1`],
    ["series", "series_by_metric", `${series} ${perMetric} 5 1`],
    ["metrics", "sqlite_autoindex_metrics_1", `${metrics} 1 1 1 1`],
    ["rollup_parts", "rollup_parts_by_day", `10000 5000 ${Math.ceil(10_000 / days)}`],
  ];
  for (const name of tablesOfRollups(db)) rows.push([name, name, `${10_000 * series} ${series} 10 1`]);
  db.prepare("DELETE FROM sqlite_stat1").run();
  const insert = db.prepare("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)");
  for (const row of rows) insert.run(...row);
}

/** The tables of sums, also of intervals that the configuration does not name any more. */
export function tablesOfRollups(db: DatabaseSync): string[] {
  const rows = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB 'rollup_[0-9]*'")
    .all();
  return (rows as { name: string }[]).map(({ name }) => name);
}
