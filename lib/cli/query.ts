/** `alumet-relay query`: reads the database of the sqlite output, or any other SQLite database. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { printable } from "../base/log.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { formatSize } from "../base/size.ts";
import { BlockReader } from "../outputs/sqlite/blocks/reader.ts";
import { PROGRAM } from "./declarations.ts";
import type { CommandLine } from "./parse.ts";
import { arrayRows, findDatabase, openDatabase, rowsOf } from "./query_database.ts";
import { selectionOf } from "./query_selection.ts";
import { type Cell, type Format, FORMATS, render, type Row } from "./rows.ts";
import type { Surroundings } from "./world.ts";

/** Characters to write at once. */
const PIECE = 32_768;
/** Most metrics and hosts in a summary. */
const MAX_NAMED = 20;

/**
 * @throws {ExitError} 64 when the statement is wrong, 69 when there is no database to read.
 */
export async function query(line: CommandLine, world: Surroundings): Promise<number> {
  const selection = selectionOf(line);
  const text = selection
    ? undefined
    : (line.argument === "-" ? statementOf(await world.stdin()) : line.argument);
  const format = line.value("format") as Format | undefined;
  if (format !== undefined && !(FORMATS as readonly string[]).includes(format)) {
    throw new ExitError(EXIT.usage, `Cannot use --format ${format} with query: use ${FORMATS.join(", ")}`);
  }
  const path = await findDatabase(line, world);
  const db = await openDatabase(path);
  const blocks = BlockReader.extend(db);
  try {
    const sql = selection?.sql(blocks !== null) ?? text;
    if (sql === undefined) {
      world.stdout(summary(db, path, hintOf(line, path)));
      return EXIT.ok;
    }
    const statement = prepare(db, sql);
    const terminal = world.terminal();
    const layout = { format: format ?? (terminal ? "table" : "csv"), terminal };
    try {
      const columns = statement.columns().map(({ name }) => name);
      if (columns.length === 0) statement.run();
      else print(render(columns, rowsOf<Row>(db, statement, ...selection?.values ?? []), layout), world);
    } catch (error) {
      if (blocks?.problem) {
        throw new ExitError(EXIT.unavailable, `Cannot read the database ${path}: ${blocks.problem}`, {
          cause: error,
        });
      }
      throw sqlError(error);
    }
    return EXIT.ok;
  } finally {
    db.close();
  }
}

function statementOf(bytes: Uint8Array): string {
  try {
    return decodeUtf8(bytes).replace(/^\ufeff/, "");
  } catch (error) {
    throw new ExitError(EXIT.usage, `Cannot read the statement: ${messageOf(error)}`, { cause: error });
  }
}

function print(pieces: Iterable<string>, world: Surroundings): void {
  let waiting = "";
  for (const piece of pieces) {
    waiting += piece;
    if (waiting.length < PIECE) continue;
    if (world.stdout(waiting) === false) return;
    waiting = "";
  }
  world.stdout(waiting);
}

/** Whether a text has more than comments and semicolons. */
function saysSomething(sql: string): boolean {
  return /[^\s;]/.test(sql.replace(/--.*$|\/\*[^]*?(\*\/|$(?![^]))/gm, ""));
}

function prepare(db: DatabaseSync, sql: string): StatementSync {
  // SQLite cannot prepare an empty statement, and stops at a NUL.
  if (sql.includes("\0") || !saysSomething(sql)) {
    throw new ExitError(EXIT.usage, "Cannot run the statement: it is empty");
  }
  let statement: StatementSync;
  try {
    statement = db.prepare(sql);
  } catch (error) {
    throw sqlError(error);
  }
  const rest = sql.slice(statement.sourceSQL.length);
  if (saysSomething(rest)) {
    throw new ExitError(EXIT.usage, `Cannot run more than one statement: ${printable(rest.trim())}`);
  }
  return exactRows(statement);
}

function sqlError(error: unknown): unknown {
  if ((error as { code?: string }).code !== "ERR_SQLITE_ERROR") return error;
  const readOnly = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
  const message = readOnly === 8 ? "this command only reads the database" : messageOf(error);
  return new ExitError(EXIT.usage, `Cannot run the statement: ${printable(message)}`, { cause: error });
}

/** Integers are bigints, rows are arrays of {@linkcode Cell}. */
function exactRows(statement: StatementSync): StatementSync {
  statement.setReadBigInts(true);
  return arrayRows(statement);
}

/** The command that queries the same database, so that users can copy it. */
function hintOf(line: CommandLine, path: string): string {
  const program = Deno.build.standalone ? PROGRAM : `./denow run -A main.ts`;
  const isDefault = ["database", "config", "state-dir", "config-override"].every((flag) =>
    line.value(flag) === undefined
  );
  const plain = /^[\w./@%+,:-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
  return `${program} query${isDefault ? "" : ` --database ${plain}`}`;
}

/** What is in the database, and examples of queries. */
function summary(db: DatabaseSync, path: string, hint: string): string {
  const rows = (sql: string) => exactRows(db.prepare(sql)).all() as unknown as Row[];
  let totals: Row;
  try {
    [totals] = rows(
      "SELECT coalesce(sum(points), 0), strftime('%Y-%m-%dT%H:%M:%SZ', min(first), 'unixepoch'), " +
        "strftime('%Y-%m-%dT%H:%M:%SZ', max(last), 'unixepoch'), (SELECT count(*) FROM series), " +
        "(SELECT count(*) FROM metrics), (SELECT count(DISTINCT relay_client) FROM series) FROM parts",
    );
  } catch {
    throw new ExitError(
      EXIT.unavailable,
      `${path} is not a database of ${PROGRAM}; query it with ${hint} "SQL"`,
    );
  }
  const [points, first, last, series, metrics, hosts] = totals;
  const [[size]] = rows("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
  const lines = [
    `${path} (${formatSize(Number(size))})`,
    `${grouped(points)} points of ${grouped(series)} series, from ${first ?? "-"} to ${last ?? "-"}`,
  ];
  const list = (title: string, count: Cell, names: Row[]) => {
    const more = Number(count) - names.length;
    lines.push("", `${grouped(count)} ${title}${count === 1n ? "" : "s"}:`);
    for (const [name, detail] of names) {
      lines.push(`  ${printable(String(name))}${detail ? `  (${printable(String(detail))})` : ""}`);
    }
    if (more > 0) lines.push(`  and ${more} more`);
  };
  list(
    "metric",
    metrics,
    rows(
      "SELECT m.name, ltrim(m.unit || ', ', ', ') || count(s.id) || ' series' FROM metrics m LEFT JOIN series s " +
        `ON s.metric = m.id GROUP BY m.id ORDER BY m.name LIMIT ${MAX_NAMED}`,
    ),
  );
  list(
    "host",
    hosts,
    rows(
      "SELECT CASE relay_client WHEN '' THEN 'this one' ELSE relay_client END, count(*) || ' series' FROM series " +
        `GROUP BY relay_client ORDER BY relay_client LIMIT ${MAX_NAMED}`,
    ),
  );
  lines.push("", "Examples:", ...exampleQueries(rows).map((sql) => `  ${hint} "${sql}"`), "");
  return lines.join("\n");
}

const grouped = (value: Cell) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");

function exampleQueries(rows: (sql: string) => Row[]): string[] {
  const [[metric, host] = ["cpu_time", ""]] = rows(
    "SELECT m.name, s.relay_client FROM series s JOIN metrics m ON m.id = s.metric " +
      "WHERE s.relay_client || m.name NOT GLOB '*[^a-zA-Z0-9_.-]*' LIMIT 1",
  );
  const [[day] = ["2026-01-01"]] = rows("SELECT max(day) FROM parts");
  const where = `metric = '${metric}' AND relay_client = '${host}'`;
  return [
    `SELECT timestamp, value FROM measurements WHERE ${where} ORDER BY time DESC LIMIT 10`,
    `SELECT relay_client, avg(value), max(value) FROM measurements WHERE metric = '${metric}' AND day = '${day}' GROUP BY 1`,
    `SELECT * FROM measurements WHERE ${where} AND day >= date('now', '-1 hour') AND time >= (unixepoch() - 3600) * 1000000000`,
  ];
}
