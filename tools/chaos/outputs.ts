/** The outputs whose promises are checked: how a server is told to use one, and what is in it afterwards. */
import { DatabaseSync } from "node:sqlite";
import { BlockReader } from "../../lib/outputs/sqlite/blocks/reader.ts";
import { Postgres } from "../../tests/kit/postgres.ts";

/** What a point says of itself. */
export interface NumberedPoint {
  readonly life: number;
  readonly number: number;
  /** Nanoseconds of its time within the second. */
  readonly nanos: number;
}

/** A point as it stands in an output. */
export interface StoredPoint extends NumberedPoint {
  /** Whole seconds of its time since 1970. */
  readonly seconds: number;
  readonly metric: string;
  /** Its attribute. */
  readonly letter: string;
}

export interface ChaosOutput {
  readonly name: string;
  /** Starts what it needs, until the stack is disposed of. */
  prepare?(stack: AsyncDisposableStack): Promise<void>;
  /** Flags of the server. @param transforms Names of those that it has. */
  args(directory: string, transforms: readonly string[]): string[];
  /** Another one when something has been stored. */
  mark(directory: string): string;
  /** Everything that is stored. */
  read(directory: string): Iterable<StoredPoint>;
}

/** Sizes and times of files. */
function marks(directory: string, pattern: RegExp): string {
  let marks = "";
  for (const { name } of Deno.readDirSync(directory)) {
    if (!pattern.test(name)) continue;
    try {
      const { size, mtime } = Deno.statSync(`${directory}/${name}`);
      marks += `${name} ${size} ${mtime?.getTime()} `;
    } catch { /* a file that is gone by now */ }
  }
  return marks;
}

const secondsOfText = (timestamp: string) => Date.parse(timestamp.replace(/(\.\d+)?Z?$/, "Z")) / 1000;
const nanosOfText = (timestamp: string) => Number((/\.(\d+)/.exec(timestamp)?.[1] ?? "").padEnd(9, "0"));

const CSV_FILE = /^measures(-\d+)?\.csv$/;

const csv: ChaosOutput = {
  name: "csv",
  args: (directory, transforms) => [
    ...["--plugins", ["relay-server", ...transforms, "csv"].join()],
    ...["--output-file", `${directory}/measures.csv`],
  ],
  mark: (directory) => marks(directory, CSV_FILE),
  *read(directory) {
    const files = [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) =>
      CSV_FILE.test(name)
    );
    for (const file of files) {
      const text = Deno.readTextFileSync(`${directory}/${file}`);
      if (text === "") continue;
      if (!text.endsWith("\n")) throw new Error(`${file} ends in half a row: ${text.slice(-200)}`);
      const columns = text.slice(0, text.indexOf("\n")).split(";");
      const [life, value, time, metric, letter, late] = [
        ...["resource_id", "value", "timestamp", "metric", "letter", "__late_attributes"],
      ].map((name) => columns.indexOf(name));
      for (let start = text.indexOf("\n") + 1; start < text.length;) {
        const end = text.indexOf("\n", start);
        const row = text.slice(start, end).split(";");
        if (row.length !== columns.length) throw new Error(`${file}: not a row: ${text.slice(start, end)}`);
        yield {
          life: Number(row[life]),
          number: Number(row[value]),
          nanos: nanosOfText(row[time]),
          seconds: secondsOfText(row[time]),
          // Without its unit.
          metric: row[metric],
          letter: letter < 0 ? /letter=(\w)/.exec(row[late])?.[1] ?? "" : row[letter],
        };
        start = end + 1;
      }
    }
  },
};

const sqlite: ChaosOutput = {
  name: "sqlite",
  args: (directory, transforms) => [
    ...["--plugins", ["relay-server", ...transforms, "sqlite"].join()],
    `--config-override=plugins.sqlite.path=${directory}/measures.db`,
  ],
  mark: (directory) => marks(directory, /^measures\.db/),
  *read(directory) {
    using db = new DatabaseSync(`${directory}/measures.db`, { readOnly: true });
    BlockReader.extend(db);
    const rows = db.prepare(
      "SELECT resource_id, value, timestamp, metric, attributes ->> 'letter' AS letter FROM measurements",
    ).iterate();
    for (const { resource_id, value, timestamp, metric, letter } of rows) {
      yield {
        life: Number(resource_id),
        number: Number(value),
        nanos: nanosOfText(String(timestamp)),
        seconds: secondsOfText(String(timestamp)),
        metric: String(metric),
        letter: String(letter),
      };
    }
  },
};

/** The URL of a database for `--output postgresql`: each episode has a schema of its own there. */
let database = Deno.env.get("CHAOS_POSTGRESQL") ?? "";

const schemaOf = (directory: string) => `chaos_${directory.replace(/\W/g, "_").slice(-50)}`;

function psql(sql: string): string {
  const args = [database, "-X", "-q", "-A", "-t", "-c", sql];
  const { stdout } = new Deno.Command("psql", { args, stdout: "piped", stderr: "null" }).outputSync();
  return new TextDecoder().decode(stdout);
}

const postgresql: ChaosOutput = {
  name: "postgresql",
  async prepare(stack) {
    if (database !== "") return;
    const { port } = stack.use(await Postgres.create());
    database = `postgresql://alumet@127.0.0.1:${port}/alumet?sslmode=disable`;
  },
  args: (directory, transforms) => [
    ...["--plugins", ["relay-server", ...transforms, "postgresql"].join()],
    `--config-override=plugins.postgresql.url=${database}`,
    `--config-override=plugins.postgresql.schema=${schemaOf(directory)}`,
  ],
  mark: (directory) => psql(`SELECT transaction FROM ${schemaOf(directory)}.journals`),
  *read(directory) {
    const schema = schemaOf(directory);
    const columns =
      "resource_id, value, time_ns % 1000000000, div(time_ns, 1000000000), metric, attributes ->> 'letter'";
    const text = psql(`COPY (SELECT ${columns} FROM ${schema}.measurements) TO STDOUT`);
    psql(`SET client_min_messages = error; DROP SCHEMA ${schema} CASCADE`);
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const [life, number, nanos, seconds, metric, letter] = line.split("\t");
      yield {
        life: Number(life),
        number: Number(number),
        nanos: Number(nanos),
        seconds: Number(seconds),
        metric,
        letter,
      };
    }
  },
};

export const OUTPUTS: readonly ChaosOutput[] = [csv, sqlite, postgresql];
