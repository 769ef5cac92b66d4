/** The output: takes batches from the journal, writes them in transactions, and finds its way back when one fails. */
import { randomUUID } from "node:crypto";
import type { BatchReader } from "../../journal.ts";
import type { Output, PluginContext } from "../../plugin.ts";
import { Complaint } from "../../base/complaint.ts";
import { onAbort } from "../../base/waiting.ts";
import { backoffMs, DEFAULT_BACKOFF } from "../../base/backoff.ts";
import { Changes } from "./changes.ts";
import { rollupsOf } from "../rollups/config.ts";
import type { PostgresConfig } from "./config.ts";
import { HostTimes } from "./hosts.ts";
import { Lookups } from "./lookups.ts";
import { quoteIdentifier } from "./names.ts";
import { Partitions } from "./partitions.ts";
import { Pending } from "./pending.ts";
import { type JournalRow, Positions, Sequences } from "./positions.ts";
import { prepareRollups } from "./rollups/tables.ts";
import { SeriesIds } from "./series_ids.ts";
import { Session } from "./session.ts";
import { resolveSettings, type Settings } from "./settings.ts";
import { describe, judge, QUERY_CANCELED, sqlstateOf } from "./sqlstate.ts";
import { prepareTables, type Tables } from "./tables.ts";
import { keepUp } from "./upkeep.ts";
import { Writer } from "./writer.ts";

const DAY_MS = 86_400_000;

export interface PostgresStats extends Record<string, number> {
  points: number;
  /** Points that came by another server before, and were left out. */
  duplicatePoints: number;
  /** Points that the database permanently refuses. */
  refusedPoints: number;
  transactions: number;
  /** Transactions and connections that failed, and were tried again. */
  failures: number;
}

/** The reason is not the database: trying again does not help. */
class JournalFailure extends Error {
  override readonly name = "JournalFailure";
}

/** What a connection has found in the database. */
interface Connected {
  readonly session: Session;
  readonly writer: Writer;
}

export class PostgresOutput implements Output {
  readonly stats: PostgresStats = {
    points: 0,
    duplicatePoints: 0,
    refusedPoints: 0,
    transactions: 0,
    failures: 0,
  };
  #config: PostgresConfig;
  #settings: Settings;
  readonly #context: PluginContext;
  readonly #schema: string;
  readonly #ids: SeriesIds;
  readonly #positions: Positions;
  readonly #sequences: Sequences | null;
  readonly #clients: Sequences;
  readonly #hosts: HostTimes;
  readonly #lookups: Lookups | null = null;
  readonly #ending = new AbortController();
  /** Ends the wait for batches. */
  #kick: AbortController | null = null;
  #pending!: Pending;
  /** What the database has of the journal, as far as we know; `null` before the first connection. */
  #stored: JournalRow | null = null;
  /** Transactions that may have been committed without our knowing, and how many batches each of them has. */
  readonly #uncertain = new Map<string, { row: JournalRow; batches: number }>();
  /** The process of the database that served us last, if it may still be at work. */
  #abandoned: { pid: number; started: string } | null = null;
  /** Most points of a transaction: fewer after one that took too long. */
  #groupPoints: number;
  #failures = 0;
  /** It waits before it tries again. */
  isTargetAway = false;
  readonly #complaint: Complaint;
  #troubleSinceMs = 0;
  #upkeep: Promise<void> | null = null;
  /** The database has tables of sums that we may write. */
  #hasRollups = false;

  constructor(config: PostgresConfig, settings: Settings, context: PluginContext) {
    this.#config = config;
    this.#settings = settings;
    this.#context = context;
    this.#complaint = new Complaint(context.clock);
    this.#schema = quoteIdentifier(config.schema);
    this.#ids = new SeriesIds(this.#schema);
    this.#positions = new Positions(this.#schema);
    this.#groupPoints = config.batch_size;
    const stored = context.acknowledges === "stored";
    this.#clients = new Sequences(this.#schema);
    this.#hosts = new HostTimes(this.#schema);
    this.#sequences = stored ? new Sequences(this.#schema) : null;
    if (stored) {
      this.#lookups = new Lookups(() => this.#kick?.abort());
      context.clients.sources.push(this.#lookups.ask);
    }
  }

  get onlyDurable(): boolean {
    // With numbers of clients the database knows what comes again, whatever the journal has lost.
    return this.#sequences === null;
  }

  reconfigure(config: PostgresConfig): void {
    this.#config = config;
    this.#groupPoints = Math.min(this.#groupPoints, config.batch_size);
    try {
      this.#settings = resolveSettings(config);
    } catch (error) {
      this.#context.log.error("Cannot change the settings of the connection, the old ones stay", {
        reason: describe(error),
      });
    }
  }

  async run(reader: BatchReader, signal: AbortSignal): Promise<void> {
    this.#pending = new Pending(reader);
    using _ending = onAbort(signal, () => {
      this.#ending.abort();
      this.#kick?.abort();
    });
    while (!this.#ending.signal.aborted) {
      try {
        await using connected = await this.#connect(reader);
        if (await this.#serve(reader, connected)) return;
      } catch (error) {
        if (error instanceof JournalFailure) throw error.cause;
        if (this.#ending.signal.aborted) return;
        await this.#failed(error);
      }
    }
  }

  /** Connects, creates what is missing, and finds out whether the last transaction was committed. */
  async #connect(reader: BatchReader): Promise<Connected & AsyncDisposable> {
    const { log, deadLetters } = this.#context;
    const { schema: name, timescaledb, timeout: timeoutMs } = this.#config;
    const { signal } = this.#ending;
    await using stack = new AsyncDisposableStack();
    const session = stack.use(await Session.open(this.#settings, timeoutMs, signal));
    stack.use(onAbort(signal, () => session.destroy("aborted")));
    signal.throwIfAborted();
    const { pid, started } = session.backend;
    await session.query(
      `SET statement_timeout = ${Math.ceil(timeoutMs)}; SET lock_timeout = ${Math.ceil(timeoutMs / 2)}; ` +
        `SET idle_in_transaction_session_timeout = ${
          Math.ceil(timeoutMs)
        }; SET client_min_messages = warning`,
    );
    if (this.#abandoned) await this.#endAbandoned(session);
    this.#abandoned = { pid, started };
    const tables = await prepareTables(session, { name, timescaledb, log });
    // The database may have been restored, or another one may have taken its place.
    const rollups = rollupsOf(this.#config.rollups);
    this.#hasRollups = await prepareRollups(session, name, rollups, log);
    const changes = new Changes(this.#schema, this.#hasRollups);
    await changes.note(session);
    this.#ids.forget();
    this.#sequences?.forget();
    this.#clients.forget();
    const partitions = new Partitions(tables, log);
    await partitions.load(session);
    await this.#resume(reader, session);
    const { host: { host, port }, encrypted } = session;
    const fields = { host, port, database: this.#settings.database, schema: name, encrypted };
    log[this.#failures === 0 && this.stats.transactions === 0 ? "info" : "debug"](
      "Connected to the database",
      fields,
    );
    if (!this.#upkeep) this.#keepUp(tables, await this.#hosts.latestMs(session));
    const writer = new Writer({
      schema: this.#schema,
      ids: this.#ids,
      changes,
      partitions,
      positions: this.#positions,
      clients: this.#clients,
      sequences: this.#sequences,
      hosts: this.#hosts,
      deadLetters,
      timeoutMs,
    });
    const resources = stack.move();
    return { session, writer, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  }

  /** A process of the database that waits for what we shall never send must not hold what the next one needs. */
  async #endAbandoned(session: Session): Promise<void> {
    const { pid, started } = this.#abandoned!;
    await session.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE pid = $1 AND backend_start = $2::timestamptz AND pid <> pg_backend_pid()`,
      [pid, started],
    ).catch((error) => {
      if (session.lost) throw error;
      this.#context.log.debug("Cannot end the previous connection", { pid, reason: describe(error) });
    });
  }

  #journalId(reader: BatchReader): string {
    return reader.journalId ?? this.#context.identity.id;
  }

  async #resume(reader: BatchReader, session: Session): Promise<void> {
    const { log } = this.#context;
    const inMemory = reader.journalId === null;
    const known = this.#stored;
    const row = await this.#positions.read(session, this.#journalId(reader), inMemory, known?.id);
    this.#stored = row;
    if (known === null) {
      if (!inMemory && row.position >= 0) reader.resumeAfter(row.position);
      return;
    }
    const committed = this.#uncertain.get(row.transaction);
    this.#uncertain.clear();
    if (committed) {
      log.debug("The last transaction was committed", { position: row.position });
      this.#commit(committed.batches);
    } else if (row.transaction !== known.transaction) {
      log.warn("The database has another position than this process wrote, it may have been restored", {
        position: row.position,
        expected: known.position,
      });
    }
  }

  #commit(batches: number): void {
    try {
      this.#pending.commit(batches);
    } catch (error) {
      throw new JournalFailure("The journal fails", { cause: error });
    }
  }

  /** Writes what comes. @returns `true` when the journal has ended and all is written. */
  async #serve(reader: BatchReader, connected: Connected): Promise<boolean> {
    const { session, writer } = connected;
    const { clock } = this.#context;
    const { flush_interval } = this.#config;
    const pending = this.#pending;
    let day = Math.floor(Date.now() / DAY_MS);
    let ended = false;
    if (pending.list.length === 0) this.#recovered();
    while (true) {
      if (this.#ending.signal.aborted) return true;
      if (session.lost) throw new Error("the connection is lost");
      if (this.#lookups?.waiting) {
        await this.#lookups.serve((clients) => this.#sequences!.read(session, clients));
      }
      const today = Math.floor(Date.now() / DAY_MS);
      if (today !== day) {
        day = today;
        this.#ids.forget();
      }
      const nowMs = clock.monotonicMs();
      pending.read(2 * this.#groupPoints, nowMs);
      const group = pending.group(this.#groupPoints);
      const dueMs = (pending.list[0]?.readMs ?? Infinity) + flush_interval;
      // A group that does not take all is full.
      const full = group.length < pending.list.length;
      if (group.length > 0 && (full || ended || nowMs >= dueMs)) {
        await this.#write(reader, connected, group.map(({ batch }) => batch), group.at(-1)!.number);
        writer.settled(group.map(({ batch }) => batch));
        continue;
      }
      if (ended && pending.list.length === 0) {
        await this.#leave(reader, session);
        return true;
      }
      const hasRoom: boolean = !ended && pending.points < 2 * this.#groupPoints;
      ended = await this.#wait(reader, group.length > 0 ? dueMs - nowMs : Infinity, hasRoom) || ended;
    }
  }

  /** Waits for batches, or for what else there may be to do. @returns whether the journal has ended. */
  async #wait(reader: BatchReader, ms: number, reads: boolean): Promise<boolean> {
    this.#kick = new AbortController();
    const { signal } = this.#kick;
    if (this.#ending.signal.aborted || this.#lookups?.waiting) return false;
    try {
      if (reads) return await reader.wait(ms, signal) === "ended";
      await this.#context.clock.sleep(ms, signal);
      return false;
    } finally {
      this.#kick = null;
    }
  }

  async #write(
    reader: BatchReader,
    { session, writer }: Connected,
    batches: Parameters<Writer["write"]>[1],
    position: number,
  ): Promise<void> {
    const from = this.#stored!;
    const to = { id: this.#journalId(reader), position, transaction: randomUUID() };
    this.#uncertain.set(to.transaction, { row: to, batches: batches.length });
    const beganMs = this.#context.clock.monotonicMs();
    const written = await writer.write(session, batches, from, to);
    const tookMs = this.#context.clock.monotonicMs() - beganMs;
    this.#uncertain.clear();
    this.#stored = to;
    this.stats.transactions++;
    this.stats.points += written.points;
    this.stats.duplicatePoints += written.duplicates;
    this.stats.refusedPoints += written.refused;
    // One that is twice as large must not take too long again.
    if (tookMs < this.#config.timeout / 4) {
      this.#groupPoints = Math.min(this.#config.batch_size, this.#groupPoints * 2);
    }
    this.#commit(batches.length);
    this.#recovered();
  }

  /** The process ends in good order. */
  async #leave(reader: BatchReader, session: Session): Promise<void> {
    if (reader.journalId !== null || this.#stored === null) return;
    await this.#positions.forget(session, this.#stored).catch(() => {/* it is deleted some day */});
  }

  #keepUp(tables: Tables, storedMs: number | undefined): void {
    const { keep: keepMs, schema: name } = this.#config;
    const rollups = rollupsOf(this.#config.rollups);
    if (keepMs === undefined && rollups.length === 0) return;
    const { log, clock } = this.#context;
    const hasRollups = () => this.#hasRollups;
    const repair = (session: Session) => prepareRollups(session, name, rollups, log);
    const options = { settings: this.#settings, keepMs, rollups, hasRollups, storedMs, repair, log, clock };
    this.#upkeep = keepUp(tables, options, this.#ending.signal);
  }

  /** Says what is wrong, once and then once a minute, and waits. */
  async #failed(error: unknown): Promise<void> {
    const { log, clock } = this.#context;
    const nowMs = clock.monotonicMs();
    this.stats.failures++;
    if (this.#failures++ === 0) this.#troubleSinceMs = nowMs;
    if (sqlstateOf(error) === QUERY_CANCELED) {
      this.#groupPoints = Math.max(1, Math.floor(this.#groupPoints / 4));
    }
    let isSaid = false;
    this.#complaint.add(() => {
      isSaid = true;
      const { hosts, database, user } = this.#settings;
      log[judge(error) === "later" && this.#failures === 1 ? "warn" : "error"](
        "Cannot write to the database, keeping the points and trying again",
        {
          host: hosts.map(({ host, port }) => `${host}:${port}`).join(","),
          database,
          user,
          reason: describe(error),
        },
      );
    });
    if (!isSaid) log.debug("Cannot write to the database", { reason: describe(error) });
    this.isTargetAway = true;
    await clock.sleep(backoffMs(DEFAULT_BACKOFF, this.#failures), this.#ending.signal);
    this.isTargetAway = false;
  }

  #recovered(): void {
    if (this.#failures === 0) return;
    const { log, clock } = this.#context;
    this.#failures = 0;
    this.#complaint.end(() => {
      log.info("The database takes points again", {
        after_s: Math.round((clock.monotonicMs() - this.#troubleSinceMs) / 1000),
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#kick?.abort();
    if (this.#lookups) {
      const { sources } = this.#context.clients;
      const at = sources.indexOf(this.#lookups.ask);
      if (at >= 0) sources.splice(at, 1);
      this.#lookups[Symbol.dispose]();
    }
    await this.#upkeep;
  }
}
