/**
 * Whether somebody has deleted metrics or series, or the tables, while this process remembers their ids. Points must not
 * be stored under an id that is gone, or that another series has by now.
 *
 * Triggers of the tables count deletions, under a lock that each transaction with points holds shared: so a deletion is
 * either seen by the transaction, or comes after it. The triggers also keep ids from being given again.
 */
import { IDS_LOCK_CLASS, quoteLiteral } from "./names.ts";
import type { Session } from "./session.ts";

/** Ids that this process remembers may be gone. */
export class IdsChanged extends Error {
  override readonly name = "IdsChanged";
}

/** What the database says of its sums. */
export interface RollupState {
  /** The intervals in seconds, the shortest first. */
  readonly every: readonly number[];
  /** Points before are added at once, in seconds since the Unix epoch. */
  readonly settledS: number;
}

export class Changes {
  readonly #schema: string;
  readonly #hasRollups: boolean;
  #state = "";
  #rollups: RollupState | null = null;

  /** @param schema Quoted. @param hasRollups Whether there are tables of sums that this role may write. */
  constructor(schema: string, hasRollups = false) {
    this.#schema = schema;
    this.#hasRollups = hasRollups;
  }

  /** What the sums are, as noted; `null` where there are none. */
  get rollups(): RollupState | null {
    return this.#rollups;
  }

  /**
   * Notes what there is now: what is learnt of ids from now on is valid until something changes.
   *
   * @throws when rows are missing without which nothing would be noticed; the next connection makes them again.
   */
  async note(session: Session): Promise<void> {
    const { rows: [row] } = await session.query<{ state: string | null; levels?: string | null }>(
      this.#select,
    );
    if (!row) throw new Error("the table changes is empty");
    if (this.#hasRollups && row.levels === null) {
      throw new Error("rows of the table rollup_levels are missing");
    }
    this.#state = row.state ?? "";
    const [settledS, ...every] = (row.levels ?? "").split(",").map(Number);
    this.#rollups = this.#hasRollups ? { every, settledS } : null;
  }

  /** What a transaction with points begins with, as statements: the last one shows the state. */
  get statements(): string[] {
    return [`SELECT ${lockOf(this.#schema, "shared")}`, this.#select];
  }

  /** @param rows What the last of these statements returned. @throws {IdsChanged} */
  check(rows: readonly unknown[]): void {
    const [row] = rows as { state: string | null }[];
    if ((row?.state ?? "") !== this.#state) {
      throw new IdsChanged("metrics or series were deleted meanwhile, or sums are other ones");
    }
  }

  get #select(): string {
    const oid = (table: string) =>
      `coalesce(to_regclass(${quoteLiteral(`${this.#schema}.${table}`)})::oid::text, '')`;
    // NULL without the row of the points themselves.
    const levels =
      `(SELECT CASE WHEN min(every) = 0 THEN string_agg(CASE every WHEN 0 THEN extract(epoch FROM complete_from) ` +
      `ELSE every END::text, ',' ORDER BY every) END FROM ${this.#schema}.rollup_levels)`;
    const parts = ["number", oid("metrics"), oid("series"), ...(this.#hasRollups ? [levels] : [])];
    return `SELECT concat_ws(',', ${parts.join(", ")}) AS state${
      this.#hasRollups ? `, ${levels} AS levels` : ""
    } ` +
      `FROM ${this.#schema}.changes`;
  }
}

/** A call that takes the lock which protects ids until the end of the transaction. */
export function lockOf(schema: string, how: "shared" | "exclusive"): string {
  const suffix = how === "shared" ? "_shared" : "";
  return `pg_advisory_xact_lock${suffix}(hashtext('${IDS_LOCK_CLASS}'), hashtext(${quoteLiteral(schema)}))`;
}

/**
 * Raises the next id of a table above those that another one refers to, as an expression of SQL.
 *
 * @param referring With its schema.
 */
function raiseIds(schema: string, table: string, referring: string, column: string): string {
  const sequence = `pg_get_serial_sequence(${quoteLiteral(`${schema}.${table}`)}, 'id')::regclass`;
  return `setval(${sequence}, highest) FROM (SELECT max(${column}) AS highest FROM ${referring}) r ` +
    `WHERE highest > coalesce(pg_sequence_last_value(${sequence}), 0)`;
}

/**
 * Keeps ids that points and series refer to from being given to others, though the rows that had them are gone.
 *
 * @param schema Quoted.
 */
export async function protectIds(session: Session, schema: string): Promise<void> {
  await session.query(`SELECT ${schema}.protect_ids()`);
}

/** The table that counts deletions. */
export const changesTable = (schema: string): string => `
CREATE TABLE IF NOT EXISTS ${schema}.changes (
  number bigint NOT NULL
);
INSERT INTO ${schema}.changes (number)
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint WHERE NOT EXISTS (SELECT FROM ${schema}.changes);
`;

/** The names of all tables of sums, also of intervals that nobody sums up any more, as SQL. */
export const selectSumTables = (schema: string): string =>
  `SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relnamespace = ${
    quoteLiteral(schema)
  }::regnamespace AND c.relkind = 'r' AND c.relname ~ '^rollup_[0-9]+[dhms]$'`;

/** What protects ids, also those that sums refer to. */
export const protectingFunction = (schema: string): string => `
CREATE OR REPLACE FUNCTION ${schema}.protect_ids() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
DECLARE rollup text;
BEGIN
  PERFORM ${raiseIds(schema, "series", `${schema}.points`, "series_id")};
  PERFORM ${raiseIds(schema, "metrics", `${schema}.series`, "metric_id")};
  FOR rollup IN ${selectSumTables(schema)} LOOP
    EXECUTE replace(${
  quoteLiteral(`SELECT ${raiseIds(schema, "series", "{table}", "series_id")}`)
}, '{table}', rollup);
  END LOOP;
END
$body$;
`;

/** The triggers that count them; all tables must be there. A role without rights to sequences may call the functions. */
export const changeTriggers = (schema: string): string => `
${protectingFunction(schema)}
CREATE OR REPLACE FUNCTION ${schema}.note_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $body$
BEGIN
  PERFORM ${lockOf(schema, "exclusive")};
  UPDATE ${schema}.changes SET number = number + 1;
  IF TG_OP = 'TRUNCATE' THEN PERFORM ${schema}.protect_ids(); END IF;
  RETURN NULL;
END
$body$;
DO $body$
BEGIN${
  ["metrics", "series"].map((table) => `
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'note_change'
      AND tgrelid = ${quoteLiteral(`${schema}.${table}`)}::regclass) THEN
    CREATE TRIGGER note_change AFTER DELETE OR TRUNCATE OR UPDATE OF id, key ON ${schema}.${table}
      FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.note_change();
  END IF;`).join("")
}
END
$body$;
`;
