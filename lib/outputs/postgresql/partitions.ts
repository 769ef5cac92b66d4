/**
 * The partitions of the table points, one for each day (UTC) that has points. So old days can be dropped at once, and
 * a query for the last hour reads no other day. Days far from now have none of their own: a client with wrong times
 * could make thousands. Their points are in points_default.
 */
import type { Logger } from "../../base/log.ts";
import type { Session } from "./session.ts";
import { describe, INSUFFICIENT_PRIVILEGE, sqlstateOf } from "./sqlstate.ts";
import { quoteLiteral } from "./names.ts";
import type { Tables } from "./tables.ts";

/** Days before today, and after, that get partitions. */
const DAYS_BEFORE = 366;
const DAYS_AFTER = 1;
const DAY_MS = 86_400_000;
/** Points of that day are in points_default already. */
const CHECK_VIOLATION = "23514";
const OUR_NAME = /^points_(\d{4})(\d\d)(\d\d)$/;

/** `points_20261123` */
export function partitionName(day: number): string {
  return `points_${isoDay(day).replaceAll("-", "")}`;
}

/** Days since the epoch, or `undefined` if it is not the name of one of our partitions. */
export function dayOf(name: string): number | undefined {
  const match = OUR_NAME.exec(name);
  if (!match) return undefined;
  const day = Date.parse(`${match[1]}-${match[2]}-${match[3]}T00:00:00Z`) / DAY_MS;
  return Number.isNaN(day) ? undefined : day;
}

function isoDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** The partitions that there are, oldest first. */
export async function partitionsOf(session: Session, { schema }: Tables): Promise<number[]> {
  const { rows } = await session.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = ${quoteLiteral(`${schema}.points`)}::regclass`,
  );
  const days = rows.map(({ name }) => dayOf(name)).filter((day) => day !== undefined);
  return days.sort((a, b) => a - b);
}

export class Partitions {
  readonly #tables: Tables;
  readonly #log: Logger;
  /** Days that have a partition, or will have none. */
  readonly #settled = new Set<number>();
  #mayCreate = true;

  constructor(tables: Tables, log: Logger) {
    this.#tables = tables;
    this.#log = log;
  }

  async load(session: Session): Promise<void> {
    if (this.#tables.hypertable) return;
    for (const day of await partitionsOf(session, this.#tables)) this.#settled.add(day);
  }

  /** Makes the partitions of these days that are missing. */
  async ensure(session: Session, days: Iterable<number>): Promise<void> {
    if (this.#tables.hypertable) return;
    const today = Math.floor(Date.now() / DAY_MS);
    for (const day of days) {
      if (this.#settled.has(day) || !this.#mayCreate) continue;
      if (day < today - DAYS_BEFORE || day > today + DAYS_AFTER) continue;
      await this.#create(session, day);
      this.#settled.add(day);
    }
  }

  async #create(session: Session, day: number): Promise<void> {
    const { schema } = this.#tables;
    const name = `${schema}.${partitionName(day)}`;
    try {
      // Attaching a table that exists, unlike creating it as a partition, does not wait for readers and writers of points.
      await session.query(
        `BEGIN; SET LOCAL lock_timeout = '5s';
         SELECT pg_advisory_xact_lock(hashtext('alumet-relay partitions'), hashtext(${
          quoteLiteral(schema)
        }))`,
      );
      const { rows: [{ exists }] } = await session.query<{ exists: boolean }>(
        `SELECT to_regclass(${quoteLiteral(name)}) IS NOT NULL AS exists`,
      );
      if (!exists) {
        await session.query(
          `CREATE TABLE ${name} (LIKE ${schema}.points INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
           ALTER TABLE ${schema}.points ATTACH PARTITION ${name}
             FOR VALUES FROM ('${isoDay(day)} 00:00:00+00') TO ('${isoDay(day + 1)} 00:00:00+00')`,
        );
      }
      await session.query("COMMIT");
    } catch (error) {
      if (session.lost) throw error;
      await session.query("ROLLBACK");
      const code = sqlstateOf(error);
      if (code === CHECK_VIOLATION) {
        this.#log.info("Points of a day stay in points_default, because some were there before", {
          day: isoDay(day),
        });
      } else if (code === INSUFFICIENT_PRIVILEGE) {
        this.#mayCreate = false;
        this.#log.warn("Cannot create partitions, points go to points_default", { reason: describe(error) });
      } else throw error;
    }
  }
}
