/**
 * The accounts of a journal on disk: how many points of each client were written to it since the client is known. So a
 * loss between two places is known exactly, and for each client.
 */
import { RetentionClock } from "../../base/retention_clock.ts";
import { type ClientRecord, ClientTable, FORGET_MS } from "../../points/origins.ts";
import type { Batch } from "../../points/measurement.ts";
import { Census, keyOf, LOCAL_KEY } from "./format/census.ts";
import type { ClientState } from "./format/snapshot.ts";
import type { Times } from "./options.ts";

interface Line {
  /** Points of the client that were written to the journal, since it is known. */
  written: number;
  /** The same when the journal was opened. */
  readonly atOpen: number;
  /** Points since then that were never written: they were dropped, or all outputs took them from memory. */
  unwritten: number;
}

/** The fate of a batch: it is on disk, or will never be. */
export type Fate = "written" | "unwritten";

export class Ledger {
  readonly clients: ClientTable;
  /** Points of all clients that were written to the journal since its creation. */
  writtenPoints: number;
  /** Points since the journal was opened that were never written. */
  unwrittenPoints = 0;
  /** Where the journal ended when it was opened. */
  readonly #atOpen: Census;
  readonly #lines = new Map<ClientRecord, Line>();
  readonly #nowMs: () => number;

  /**
   * @param atOpen The end of the journal: its clients are those of the table.
   */
  constructor(atOpen: Census, { wallMs, monotonicMs }: Times, maxClients?: number) {
    this.#atOpen = atOpen;
    this.#nowMs = wallMs;
    const now = wallMs();
    const contacts = [...atOpen.clients.values()].map(({ contactMs }) => contactMs);
    // A client that is forgotten because the clock is ahead would send again what is stored.
    const retention = new RetentionClock(now, monotonicMs(), Math.max(0, ...contacts) || now);
    this.clients = new ClientTable(maxClients, () => retention.now(wallMs(), monotonicMs(), FORGET_MS));
    this.writtenPoints = atOpen.points;
    for (const [key, state] of atOpen.clients) {
      const client = key === LOCAL_KEY ? this.clients.local : this.clients.get(state.name, state.instance);
      client.numbers.restore(state.sequence);
      // A contact in the future comes from a wrong clock.
      client.lastContactMs = Math.min(state.contactMs, now);
      this.#lines.set(client, { written: state.points, atOpen: state.points, unwritten: 0 });
    }
  }

  /** Opens the accounts of an output that continues where `start` was taken. */
  openAccounts(output: string, start: Census): void {
    this.clients.addOutput(output);
    for (const [client, { atOpen, unwritten }] of this.#lines) {
      const state = start.clients.get(client === this.clients.local ? LOCAL_KEY : keyOf(client));
      const account = client.account(output);
      // Points that are received and no longer on disk are not for a later output.
      account.keptAtStart = atOpen - (state?.points ?? 0) - unwritten;
      account.sequence = state?.sequence ?? 0;
    }
  }

  /** The sum of the points that {@linkcode Ledger.openAccounts} finds in the journal. */
  keptAtStart(start: Census): number {
    return this.#atOpen.points - start.points - this.unwrittenPoints;
  }

  /** A batch is on disk or will never be, so it will never be more durable. */
  enter(batch: Batch, fate: Fate): void {
    const now = this.#nowMs();
    eachOwner(batch, this.clients.local, (client, points) => {
      const line = this.#line(client);
      line[fate] += points;
      if (client !== this.clients.local) {
        client.lastContactMs = now;
        this.clients.remember(client);
      }
    });
    this[`${fate}Points`] += batch.length;
    this.clients.makeDurable(batch);
  }

  /** Every client at the place of the next record, for a snapshot. Forgets those that may be forgotten first. */
  snapshot(): ClientState[] {
    const { clients } = this;
    clients.forgetOld();
    for (const client of this.#lines.keys()) {
      if (client !== clients.local && !client.isRemembered) this.#lines.delete(client);
    }
    return this.#states();
  }

  #states(): ClientState[] {
    const { local } = this.clients;
    return [local, ...this.clients].map((client) => ({
      name: client.name,
      instance: client.instance,
      sequence: client.durable,
      points: this.#lines.get(client)?.written ?? 0,
      contactMs: client.lastContactMs,
    }));
  }

  /** The end of what is written. */
  census(): Census {
    return Census.ofStates(this.#states(), this.writtenPoints);
  }

  /**
   * An output has reached a place on disk: points before it that the output neither had nor holds are lost to it.
   *
   * @param held Batches that the output has read and not committed.
   * @returns The number of lost points.
   */
  reconcile(output: string, place: Census, held: Iterable<Batch>, as: "stored" | "dropped"): number {
    const inHand = new Map<ClientRecord, number>();
    for (const batch of held) {
      eachOwner(batch, this.clients.local, (client, points) => {
        inHand.set(client, (inHand.get(client) ?? 0) + points);
      });
    }
    let lost = 0;
    for (const [key, state] of place.clients) {
      const client = key === LOCAL_KEY ? this.clients.local : this.clients.get(state.name, state.instance);
      const { atOpen, unwritten } = this.#line(client);
      const account = client.account(output);
      const had = atOpen - account.keptAtStart + account.stored + account.dropped - unwritten;
      const missing = state.points - had - (inHand.get(client) ?? 0);
      if (missing <= 0) continue;
      account[as] += missing;
      if (state.sequence > account.sequence) account.sequence = state.sequence;
      lost += missing;
    }
    return lost;
  }

  #line(client: ClientRecord): Line {
    let line = this.#lines.get(client);
    if (!line) this.#lines.set(client, line = { written: 0, atOpen: 0, unwritten: 0 });
    return line;
  }
}

/** Calls back for each part of a batch that belongs to one client. */
function eachOwner(
  batch: Batch,
  local: ClientRecord,
  visit: (client: ClientRecord, points: number) => void,
): void {
  const { origins } = batch;
  if (origins.length === 0) return visit(local, batch.length);
  for (const { client, start, end } of origins) visit(client, end - start);
}
