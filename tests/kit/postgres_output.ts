/** The `postgresql` output within the test's process, towards a server of the test's own. */
import assert from "node:assert/strict";
import { DeadLetterBox, deadLetterDirectory } from "../../lib/dead_letters.ts";
import { decodeLetter } from "../../lib/dead_letters/codec.ts";
import { DeadLetterFiles, lettersIn } from "../../lib/dead_letters/files.ts";
import { MemoryJournal } from "../../lib/journal.ts";
import { createLogger } from "../../lib/base/log.ts";
import type { Batch, Series } from "../../lib/points/measurement.ts";
import { postgresql } from "../../lib/outputs/postgresql.ts";
import type { PostgresConfig } from "../../lib/outputs/postgresql/config.ts";
import { PostgresOutput } from "../../lib/outputs/postgresql/output.ts";
import { SUMMING_SETTINGS, sumUp } from "../../lib/outputs/postgresql/rollups/summing.ts";
import { Session } from "../../lib/outputs/postgresql/session.ts";
import { resolveSettings } from "../../lib/outputs/postgresql/settings.ts";
import type { PluginContext } from "../../lib/plugin.ts";
import { contextWith } from "./context.ts";
import { needs } from "./needs.ts";
import { batchOf, NUMBERS } from "./points.ts";
import { type Database, freshDatabase, Postgres } from "./postgres.ts";
import { postgres } from "./postgres_programs.ts";
import { TempDir } from "./temp_dir.ts";
import { atMost, PATIENCE_MS, until } from "./waiting.ts";

/** An environment that says nothing of a database. */
const NOTHING_AROUND = {
  env: () => undefined,
  readFile: (path: string) => Deno.readTextFileSync(path),
  mode: () => null,
  userName: () => "somebody",
};

/** The keys of an output towards that server. */
export function configOf(server: Database, config: Partial<PostgresConfig> = {}): PostgresConfig {
  return {
    ...postgresql.config.defaultValue(),
    host: "127.0.0.1",
    port: server.port,
    database: server.database,
    user: "alumet",
    ...config,
  };
}

/** How that server is reached. */
export function settingsOf(server: Database, config: Partial<PostgresConfig> = {}) {
  return resolveSettings(configOf(server, config), NOTHING_AROUND);
}

/** A test with a database of its own, on a server that it shares. */
export function onPostgres(name: string, test: (server: Database) => Promise<void>): void {
  Deno.test({
    name,
    ...needs(postgres),
    async fn() {
      await using database = await freshDatabase();
      await test(database);
    },
  });
}

/** A test with a server of its own, which it may kill, or whose roles and settings it changes. */
export function onOwnPostgres(
  name: string,
  test: (server: Postgres) => Promise<void>,
  settings: Record<string, string> = {},
): void {
  Deno.test({
    name,
    ...needs(postgres),
    async fn() {
      await using server = await Postgres.create(settings);
      await test(server);
    },
  });
}

/** An output that runs, with a journal in memory. */
export class Writing implements AsyncDisposable {
  readonly journal = new MemoryJournal({ limitBytes: 1e9 });
  readonly lines: string[] = [];
  readonly output: PostgresOutput;
  readonly context: PluginContext;
  readonly directory = new TempDir();
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    server: Database,
    config: Partial<PostgresConfig> = {},
    context: Partial<PluginContext> = {},
  ) {
    const log = createLogger("postgresql", {
      level: "trace",
      write: (line) => this.lines.push(line.slice(25)),
    });
    this.context = contextWith({
      log,
      clients: this.journal.clients,
      deadLetters: new DeadLetterBox({
        directory: deadLetterDirectory(this.directory.path, "postgresql"),
        maxBytes: 1e6,
        log,
      }),
      ...context,
    });
    const all = configOf(server, { flush_interval: 10, ...config });
    this.output = new PostgresOutput(all, resolveSettings(all, NOTHING_AROUND), this.context);
    this.#running = this.output.run(this.journal.reader(), this.#abort.signal);
  }

  get stats() {
    return this.output.stats;
  }

  async write(...batches: Batch[]): Promise<void> {
    for (const batch of batches) await this.journal.append(batch);
    await this.until(() => this.journal.pendingPoints === 0, "all is stored");
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    await until(condition, PATIENCE_MS, what).catch((error) => {
      throw new Error(`${error.message}\n${this.lines.join("")}`);
    });
  }

  async line(pattern: RegExp): Promise<string> {
    await this.until(() => this.lines.some((line) => pattern.test(line)), `a line ${pattern}`);
    return this.lines.find((line) => pattern.test(line))!;
  }

  /** The journal ends, and all of it is written. */
  async finish(): Promise<void> {
    this.journal.end();
    await atMost(PATIENCE_MS, this.#running, () => `the end\n${this.lines.join("")}`);
  }

  async letters() {
    const path = deadLetterDirectory(this.directory.path, "postgresql");
    const letters = [];
    for (const file of await new DeadLetterFiles(path).all()) {
      for (const line of await lettersIn(file.path)) {
        const letter = decodeLetter(line);
        assert.ok(typeof letter !== "string", line);
        letters.push(letter);
      }
    }
    return letters;
  }

  #disposed = false;

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#abort.abort();
    await this.#running.catch(() => {});
    await this.output[Symbol.asyncDispose]();
    await this.directory[Symbol.asyncDispose]();
  }
}

/** Quoted. */
export const SCHEMA = '"alumet"';
/** Whose turn it is to make and delete sums, as a lock. */
export const UPKEEP = `(hashtext('alumet-relay upkeep'), hashtext('${SCHEMA}'))`;

/** A session as the upkeep has it, whose turn it is until its end: no output makes or deletes sums meanwhile. */
export async function openSumming(server: Database): Promise<Session> {
  const session = await Session.open(settingsOf(server), 60_000);
  await session.query(`${SUMMING_SETTINGS}; SELECT pg_advisory_lock${UPKEEP}`);
  return session;
}

/** Makes all sums that there are marks for: after each pass, those of longer intervals are due. */
export async function sumAll(session: Session): Promise<void> {
  while (await sumUp(session, SCHEMA, `now() + interval '10000 years'`) > 0);
}

/** Points that the database has. */
export async function count(server: Database): Promise<number> {
  return Number(await server.value("SELECT count(*) FROM alumet.points"));
}

/** Seconds since the epoch. */
export const now = () => Math.floor(Date.now() / 1000);

/** A point at each of these times, in seconds since the epoch. */
export function pointsAt(times: number[], series: Series = NUMBERS): Batch {
  return batchOf(times.map((seconds, i) => [series, i, seconds]));
}
