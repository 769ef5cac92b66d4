/** Finds and opens the database that `alumet-relay query` reads. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { Plugin } from "../plugin.ts";
import { load } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import { Search } from "./state.ts";
import type { Surroundings } from "./world.ts";

/** How long to wait while another process creates or repairs the file, in ms. */
const BUSY_MS = 5000;
/** Result codes of SQLite: SQLITE_READONLY and SQLITE_CANTOPEN. */
const READ_ONLY = 8;
const CANNOT_OPEN = 14;

/** The database of `--database`, else of the configuration, else in a state directory, else in this directory. */
export async function findDatabase(line: CommandLine, world: Surroundings): Promise<string> {
  const named = line.value("database");
  if (named !== undefined) return named;
  const { config } = await load(line, world, { requirePipeline: false });
  for (const { plugin, config: keys } of config.plugins) {
    const database = plugin.kind === "output" ? plugin.database?.(keys) : undefined;
    if (database && "path" in database) return database.path;
  }
  const search = new Search(line, world);
  const names = defaultDatabases(await world.plugins());
  const found = (await Promise.all(names.map((name) => search.find(name)))).flat();
  const paths = found.map(({ path }) => path);
  // A process without a state directory writes to its working directory.
  if (search.isNowhere) paths.push(...await existing(names));
  if (paths.length === 1) return paths[0];
  const flag = "--database PATH";
  if (paths.length === 0) throw search.missing(`database ${names.join(" or ")}`, flag);
  throw new ExitError(
    EXIT.unavailable,
    `There are ${paths.length} databases: ${paths.join(", ")}; name one with ${flag}`,
  );
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(paths.map((path) => Deno.stat(path).then(() => true, () => false)));
  return paths.filter((_, i) => there[i]);
}

/** The names that databases have in state directories. */
function defaultDatabases(plugins: readonly Plugin[]): string[] {
  return plugins.flatMap((plugin) => {
    const database = plugin.kind === "output" && plugin.database?.(plugin.config.defaultValue());
    return database && "name" in database ? [database.name] : [];
  });
}

/** @throws {ExitError} 69 if it cannot be read. */
export async function openDatabase(path: string): Promise<DatabaseSync> {
  try {
    const { isFile } = await Deno.stat(path);
    if (!isFile) throw unreadable(path, null, "it is not a file");
  } catch (error) {
    if (error instanceof ExitError) throw error;
    const missing = error instanceof Deno.errors.NotFound;
    throw unreadable(path, error, missing ? "there is no such file" : messageOf(error));
  }
  // Only this command needs it.
  const { DatabaseSync } = await import("node:sqlite");
  const open = (target: string | URL) => {
    const db = new DatabaseSync(target, { readOnly: true, enableForeignKeyConstraints: false });
    try {
      db.prepare(`PRAGMA busy_timeout = ${BUSY_MS}`).get();
      db.prepare("SELECT count(*) FROM sqlite_schema").get();
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  };
  try {
    return open(path);
  } catch (error) {
    const { errcode = 0 } = error as { errcode?: number };
    if (![READ_ONLY, CANNOT_OPEN].includes(errcode & 0xff)) throw unreadable(path, error, messageOf(error));
    // SQLite reads a database that is in use through files beside it, and creates them if they are missing. If it may not
    // create them, nobody uses the database.
    if (!await isUnused(path)) {
      const advice = "run this as the user that writes it, or with a copy (sqlite3's .backup)";
      throw unreadable(path, error, `${messageOf(error)}; ${advice}`);
    }
    try {
      const url = pathToFileURL(resolve(path));
      url.searchParams.set("immutable", "1");
      return open(url);
    } catch (again) {
      throw unreadable(path, again, `${messageOf(again)}; may you read it?`);
    }
  }
}

function unreadable(path: string, error: unknown, reason: string): ExitError {
  return new ExitError(EXIT.unavailable, `Cannot read the database ${path}: ${reason}`, { cause: error });
}

/** Whether there is no write-ahead log, or an empty one, beside a database. */
async function isUnused(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(`${path}-wal`)).size === 0;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** Rows are arrays. */
export function arrayRows(statement: StatementSync): StatementSync {
  // Deno has this function, its types do not.
  (statement as StatementSync & { setReturnArrays(on: boolean): void }).setReturnArrays(true);
  return statement;
}

/** The rows of a statement, one at a time. @throws what ends them early. */
export function* rowsOf<Row>(
  db: DatabaseSync,
  statement: StatementSync,
  ...values: readonly SQLInputValue[]
): Generator<Row> {
  // An error ends Deno's iterator as if there were no more rows. Running an empty statement always fails, with the last
  // message of the connection: "not an error" if all rows were read.
  const probe = db.prepare("");
  yield* statement.iterate(...values) as unknown as Iterable<Row>;
  try {
    probe.run();
  } catch (error) {
    if (messageOf(error) !== "not an error") throw error;
  }
}
