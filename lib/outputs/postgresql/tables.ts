/**
 * The tables, and how they are created: all with IF NOT EXISTS under one lock, so several servers may start at once, and a
 * dropped table is created again.
 */
import type { Logger } from "../../base/log.ts";
import { changesTable, changeTriggers, lockOf, protectIds } from "./changes.ts";
import { quoteIdentifier, quoteLiteral } from "./names.ts";
import type { Session } from "./session.ts";
import { OUTDATED_SUM, VIEWS, viewsOf } from "./views.ts";
import { describe, INSUFFICIENT_PRIVILEGE, sqlstateOf } from "./sqlstate.ts";

/** Version of the tables. Raise it with a step in {@linkcode MIGRATIONS} that leads to it. */
export const SCHEMA_VERSION = 2;

/**
 * From each version to the next one, beginning with that after version 1. New tables need no step: all that are missing
 * are created.
 */
const MIGRATIONS: readonly ((schema: string) => string)[] = [() => ""];

/** The tables are of a version that this program does not know. */
class SchemaVersionError extends Error {
  override readonly name = "SchemaVersionError";
}

/** The tables of the database. */
export interface Tables {
  /** Quoted, for statements. */
  readonly schema: string;
  /** points is a hypertable of TimescaleDB; otherwise it is partitioned by days. */
  readonly hypertable: boolean;
}

const tablesOf = (schema: string) => `
CREATE TABLE IF NOT EXISTS ${schema}.schema_version (
  version integer NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS ${schema}.metrics (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key uuid NOT NULL UNIQUE,
  name text NOT NULL,
  type text NOT NULL,
  unit text NOT NULL,
  unit_name text NOT NULL,
  description text NOT NULL
);
CREATE INDEX IF NOT EXISTS metrics_name ON ${schema}.metrics USING hash (name);
CREATE TABLE IF NOT EXISTS ${schema}.series (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key uuid NOT NULL UNIQUE,
  metric_id integer NOT NULL REFERENCES ${schema}.metrics,
  resource_kind text NOT NULL,
  resource_id text NOT NULL,
  consumer_kind text NOT NULL,
  consumer_id text NOT NULL,
  relay_client text NOT NULL,
  attributes jsonb NOT NULL,
  used_on date NOT NULL
);
CREATE INDEX IF NOT EXISTS series_metric ON ${schema}.series (metric_id);
CREATE INDEX IF NOT EXISTS series_client ON ${schema}.series USING hash (relay_client);
CREATE TABLE IF NOT EXISTS ${schema}.journals (
  id uuid PRIMARY KEY,
  position bigint NOT NULL,
  transaction uuid NOT NULL,
  host text NOT NULL,
  in_memory boolean NOT NULL,
  changed_at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS ${schema}.clients (
  key uuid PRIMARY KEY,
  instance text NOT NULL,
  name text NOT NULL,
  sequence bigint NOT NULL,
  changed_at timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS ${schema}.host_times (
  name text NOT NULL,
  journal uuid NOT NULL,
  first timestamptz NOT NULL,
  last timestamptz NOT NULL,
  contact timestamptz NOT NULL,
  PRIMARY KEY (name, journal)
) WITH (fillfactor = 50);
`;

/** How long after its end a day of a hypertable is compressed: most of what comes late has come by then. */
const COMPRESS_AFTER_DAYS = 2;

/** Eight-byte columns first: a row of points takes 48 bytes. */
const POINTS = `(
  time timestamptz NOT NULL,
  value double precision NOT NULL,
  series_id integer NOT NULL,
  nanos smallint NOT NULL,
  exact numeric(20, 0)
)`;

const partitionedPoints = (schema: string) => `
CREATE TABLE IF NOT EXISTS ${schema}.points ${POINTS} PARTITION BY RANGE (time);
CREATE TABLE IF NOT EXISTS ${schema}.points_default PARTITION OF ${schema}.points DEFAULT;
CREATE INDEX IF NOT EXISTS points_series_time ON ${schema}.points (series_id, time);
`;

const hypertablePoints = (schema: string) => `
CREATE TABLE IF NOT EXISTS ${schema}.points ${POINTS};
CREATE INDEX IF NOT EXISTS points_series_time ON ${schema}.points (series_id, time);
`;

const NAMES = [
  ...["schema_version", "changes", "metrics", "series", "journals", "clients", "host_times"],
  ...["points", "points_default"],
  ...VIEWS,
];

interface Found {
  version: number | null;
  missing: string[];
  hypertable: boolean;
  extension: string | null;
}

async function look(session: Session, name: string): Promise<Found> {
  const { rows } = await session.query<{ name: string; kind: string }>(
    `SELECT c.relname AS name, c.relkind AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = ANY($2)
       AND NOT (c.relkind = 'v' AND strpos(pg_get_viewdef(c.oid), $3) > 0
         AND pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'))`,
    [name, NAMES, OUTDATED_SUM],
  );
  const kinds = new Map(rows.map(({ name, kind }) => [name, kind]));
  let version: number | null = null;
  if (kinds.has("schema_version")) {
    const found = await session.query<{ version: number | null }>(
      `SELECT max(version) AS version FROM ${quoteIdentifier(name)}.schema_version`,
    );
    version = found.rows[0].version;
  }
  const extension = await session.query<{ schema: string }>(
    `SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'timescaledb'`,
  );
  const isPartitioned = kinds.get("points") === "p";
  const missing = NAMES.filter((name) => !kinds.has(name) && (name !== "points_default" || isPartitioned));
  if (kinds.has("changes")) {
    const { rows } = await session.query(`SELECT FROM ${quoteIdentifier(name)}.changes`);
    if (rows.length !== 1) missing.push("changes");
  }
  return {
    version,
    missing,
    // A plain table: otherwise ours are partitioned.
    hypertable: kinds.get("points") === "r",
    extension: extension.rows[0]?.schema ?? null,
  };
}

export interface TableOptions {
  /** The schema's name. */
  readonly name: string;
  /** Use the extension where it is in the database. */
  readonly timescaledb: boolean;
  readonly log: Logger;
}

/**
 * Creates what is missing.
 *
 * @throws what the database says, such as that we may not create anything; {@linkcode SchemaVersionError}.
 */
export async function prepareTables(session: Session, options: TableOptions): Promise<Tables> {
  const { name, log } = options;
  const schema = quoteIdentifier(name);
  let found = await look(session, name);
  if (found.missing.length > 0 || found.version !== SCHEMA_VERSION) {
    // Until the end of the transaction nobody else creates or changes anything here.
    await session.query(
      `BEGIN; SELECT pg_advisory_xact_lock(hashtext('alumet-relay'), hashtext(${quoteLiteral(name)}))`,
    );
    try {
      found = await look(session, name);
      // Another server may have created them meanwhile.
      if (found.missing.length > 0 || found.version !== SCHEMA_VERSION) await create(session, found, options);
      await session.query("COMMIT");
    } catch (error) {
      if (!session.lost) await session.query("ROLLBACK");
      if (sqlstateOf(error) === INSUFFICIENT_PRIVILEGE) {
        throw new Error(
          `the schema ${name} is not complete (${found.missing.join(", ")}), and ${describe(error)}; ` +
            `grant CREATE, or let its owner run alumet-relay once`,
          { cause: error },
        );
      }
      throw error;
    }
    if (found.version !== SCHEMA_VERSION || found.missing.length > 0) {
      log.info("Tables created", { schema: name, version: SCHEMA_VERSION, tables: found.missing.join(",") });
    }
    found = await look(session, name);
  } else await protectIds(session, schema);
  return { schema, hypertable: found.hypertable };
}

/**
 * Lets TimescaleDB compress the days of points that are over: values of one series together, by time. Points that come
 * later are taken as well.
 *
 * @returns whether it can: its edition under the Apache licence has no compression.
 */
async function compressPoints(session: Session, schema: string, extension: string): Promise<boolean> {
  const { rows: [{ edition }] } = await session.query<{ edition: string | null }>(
    "SELECT current_setting('timescaledb.license', true) AS edition",
  );
  if (edition !== "timescale") return false;
  await session.query(
    `ALTER TABLE ${schema}.points SET (timescaledb.compress, timescaledb.compress_segmentby = 'series_id',
       timescaledb.compress_orderby = 'time, nanos');
     SELECT ${quoteIdentifier(extension)}.add_compression_policy(${
      quoteLiteral(`${schema}.points`)
    }::regclass,
       compress_after => interval '${COMPRESS_AFTER_DAYS} days')`,
  );
  return true;
}

async function create(session: Session, found: Found, options: TableOptions): Promise<void> {
  const { name, timescaledb, log } = options;
  const schema = quoteIdentifier(name);
  const { version, missing, extension } = found;
  if (version !== null && version > SCHEMA_VERSION) {
    throw new SchemaVersionError(
      `the tables in the schema ${name} are of version ${version}, this program knows only version ${SCHEMA_VERSION}; ` +
        `update alumet-relay`,
    );
  }
  const { rows: [{ exists }] } = await session.query<{ exists: boolean }>(
    "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)",
    [name],
  );
  // CREATE SCHEMA IF NOT EXISTS wants the right to create one, whether or not there is one.
  if (!exists) await session.query(`CREATE SCHEMA ${schema}`);
  for (let from = Math.max(1, version ?? SCHEMA_VERSION); from < SCHEMA_VERSION; from++) {
    await session.query(MIGRATIONS[from - 1](schema));
  }
  // Transactions that store points under ids that they know come to an end first.
  await session.query(`SELECT ${lockOf(schema, "exclusive")}`);
  await session.query(tablesOf(schema));
  await session.query(changesTable(schema));
  if (missing.includes("points")) {
    if (timescaledb && extension !== null) {
      await session.query(hypertablePoints(schema));
      await session.query(
        `SELECT ${quoteIdentifier(extension)}.create_hypertable(${quoteLiteral(`${schema}.points`)}::regclass,
           'time'::name, chunk_time_interval => interval '1 day', create_default_indexes => false)`,
      );
      const isCompressed = await compressPoints(session, schema, extension);
      log.info("The table points is a hypertable of TimescaleDB", { schema: name, compressed: isCompressed });
    } else await session.query(partitionedPoints(schema));
  } else if (missing.includes("points_default")) await session.query(partitionedPoints(schema));
  await session.query(changeTriggers(schema));
  await protectIds(session, schema);
  await session.query(viewsOf(schema));
  if (version !== SCHEMA_VERSION) {
    await session.query(`INSERT INTO ${schema}.schema_version (version) VALUES (${SCHEMA_VERSION})`);
  }
}
