/**
 * Who sends to this process, and what has become of it. The table belongs to the journal: inputs find a client's
 * record in it, batches say whose points they carry ({@linkcode Origin}), and the journal keeps the accounts and the
 * sequence numbers, over restarts where it is on disk.
 *
 * A client of ours numbers its batches, and presents an instance id with which the numbers go; real agents do neither.
 */
import { withTimeLimit } from "../base/waiting.ts";
import { RecentChecks } from "./batch_check.ts";
import { Upstream } from "./upstream.ts";

/** How long outputs may take to say what they have of a client. */
const SOURCE_MS = 5000;

/** Clients without contact for so long are forgotten. */
export const FORGET_MS = 30 * 24 * 3_600_000;
const MAX_CLIENTS = 20_000;
/** Instances of one name that are remembered: a client that gets new ids all the time takes nobody's place. */
const MAX_INSTANCES = 1000;
/** Forgetting looks at all of them: there may be so many times more before it is done. */
const EXCESS = 1.25;

/** What one output has done with the points of one client since the start. */
export interface Account {
  /** Points that were in the journal at the start, for this output to take. */
  keptAtStart: number;
  /** Points that the output has committed. */
  stored: number;
  /** Points that a policy dropped, or that were lost by damage, before the output had committed them. */
  dropped: number;
  /** Number of the client's last batch that the output has committed. */
  sequence: number;
}

/** What must be known of a client for its data to be taken once. */
export interface ClientIdentity {
  /** The name that it greets with; `""` for the inputs of this process. */
  readonly name: string;
  /** 32 hexadecimal digits, or `""` where the client has no instance id. */
  readonly instance: string;
}

/**
 * The numbers of one instance's batches. They belong to the instance alone: a client that has another name after a
 * restart continues with its numbers. Numbers begin at 1; 0 is none.
 */
class Numbering {
  /** The last batch that has been taken into the pipe: a batch with a number up to this one is a duplicate. */
  accepted = 0;
  /** The last batch that a crash of this process cannot take away. */
  durable = 0;
  /** What the last batches were. */
  readonly checks = new RecentChecks();
  /** The records of the names that the instance has used. */
  readonly records = new Set<ClientRecord>();

  /** The last batch that an output has committed. */
  storedBy(output: string): number {
    let stored = 0;
    for (const { accounts } of this.records) stored = Math.max(stored, accounts.get(output)?.sequence ?? 0);
    return stored;
  }

  /** Everything up to this number was durable when the journal was opened. */
  restore(sequence: number): void {
    this.accepted = Math.max(this.accepted, sequence);
    this.durable = Math.max(this.durable, sequence);
  }
}

/** What names of this program's own begin with; no client has such a name. */
const OWN = "\0";

/** The name of the inputs of this process where their points are in one batch with those of clients. */
export const LOCAL_ORIGIN: string = `${OWN}local`;

/** Whether it is no client: a mark, or the inputs of this process. */
export function isOwn({ name }: Pick<ClientIdentity, "name">): boolean {
  return name.startsWith(OWN);
}

/**
 * A mark stands in the table of clients, and has no points: its number says how far something has come. So a number
 * that belongs to a batch is durable together with it, and not before.
 */
export function markName(what: string): string {
  return OWN + what;
}

export function isMark(client: Pick<ClientIdentity, "name">): boolean {
  return isOwn(client) && client.name !== LOCAL_ORIGIN;
}

/** One client, under one name. */
export class ClientRecord implements ClientIdentity {
  /** Points that arrived since the start, those that were refused included. */
  receivedPoints = 0;
  rejectedPoints = 0;
  duplicatePoints = 0;
  /** Points that transforms have added, less those that they have taken out. */
  transformedPoints = 0;
  /** In ms since the epoch. */
  lastContactMs = 0;
  /** By the name of the output. */
  readonly accounts: Map<string, Account> = new Map();
  /** Its table has it. */
  isRemembered = false;
  /** The account that was asked for last: mostly there is only one output. */
  #lastOutput: string | undefined;
  #lastAccount: Account | undefined;

  constructor(readonly name: string, readonly instance: string, readonly numbers = new Numbering()) {
    numbers.records.add(this);
  }

  /** See {@linkcode Numbering.accepted}. */
  get accepted(): number {
    return this.numbers.accepted;
  }

  /** See {@linkcode Numbering.durable}. */
  get durable(): number {
    return this.numbers.durable;
  }

  account(output: string): Account {
    if (output === this.#lastOutput) return this.#lastAccount!;
    let account = this.accounts.get(output);
    if (!account) {
      this.accounts.set(output, account = { keptAtStart: 0, stored: 0, dropped: 0, sequence: 0 });
    }
    this.#lastOutput = output;
    return this.#lastAccount = account;
  }

  /** The last batch that every output has committed. */
  get stored(): number {
    let stored = Infinity;
    for (const [output, { sequence }] of this.accounts) {
      stored = Math.min(stored, Math.max(sequence, this.numbers.storedBy(output)));
    }
    return stored === Infinity ? 0 : stored;
  }

  /** Whether points wait in the journal for some output. */
  get isKept(): boolean {
    for (const output of this.accounts.keys()) if (this.kept(output) > 0) return true;
    return false;
  }

  /** Points that wait in the journal for an output. */
  kept(output: string): number {
    const { keptAtStart, stored, dropped } = this.account(output);
    const taken = this.receivedPoints - this.rejectedPoints - this.duplicatePoints + this.transformedPoints;
    return keptAtStart + taken - stored - dropped;
  }
}

/** Rows `start … end-1` of a batch came from that client. */
export interface Origin {
  readonly client: ClientRecord;
  readonly start: number;
  end: number;
  /** The number of the client's batch that ends here, or 0 where it does not number them. */
  readonly sequence: number;
}

/** What carries the points of clients: rows, and whose they are. */
export interface Credited {
  readonly length: number;
  readonly origins: readonly Origin[];
}

/** Asks an output that keeps sequence numbers with its rows for the last one of a client; 0 where it knows none. */
export type SequenceSource = (client: ClientIdentity) => Promise<number>;

/** Every client that has been here, and the inputs of this process. */
export class ClientTable {
  /** The inputs of this process. */
  readonly local = new ClientRecord("", "");
  /** The hops among the clients, and those before them. The journals of one process share it. */
  upstream: Upstream = new Upstream();
  /** Outputs that say what they have of a client. */
  readonly sources: SequenceSource[] = [];
  readonly #records = new Map<string, ClientRecord>();
  /** By the instance id. */
  readonly #numberings = new Map<string, Numbering>();
  /** How many records a name has. */
  readonly #instances = new Map<string, number>();
  readonly #outputs: string[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #maxClients: number;
  readonly #nowMs: () => number;

  /**
   * @param maxClients No more are remembered for long, whoever makes up names.
   * @param nowMs The time by which clients are forgotten, in ms since the Unix epoch.
   */
  constructor(maxClients = MAX_CLIENTS, nowMs: () => number = () => Date.now()) {
    this.#maxClients = maxClients;
    this.#nowMs = nowMs;
  }

  /**
   * The record of a client, which is made if need be. Records with the same instance id share their numbers, whatever
   * their names are.
   */
  get(name: string, instance = ""): ClientRecord {
    const key = `${instance}/${name}`;
    let record = this.#records.get(key);
    if (!record) {
      if (this.size >= this.#maxClients * EXCESS) this.forgetOld();
      this.#countInstance(name);
      record = new ClientRecord(name, instance, this.#numberings.get(instance));
      this.#keep(key, record);
      for (const output of this.#outputs) record.account(output);
    }
    return record;
  }

  /** A name has one more instance. The oldest give way where there are too many. */
  #countInstance(name: string): void {
    const count = (this.#instances.get(name) ?? 0) + 1;
    this.#instances.set(name, count);
    if (count <= 2 * MAX_INSTANCES) return;
    const same = [...this.#records.values()].filter((client) => client.name === name);
    same.sort((a, b) => Number(a.isKept) - Number(b.isKept) || a.lastContactMs - b.lastContactMs);
    for (const client of same.slice(0, -MAX_INSTANCES)) this.forget(client);
  }

  [Symbol.iterator](): Iterator<ClientRecord> {
    return this.#records.values();
  }

  get size(): number {
    return this.#records.size;
  }

  /** Forgets a record that is remembered. */
  forget(client: ClientRecord): void {
    client.isRemembered = false;
    this.#records.delete(`${client.instance}/${client.name}`);
    const { numbers, instance } = client;
    numbers.records.delete(client);
    if (numbers.records.size === 0) this.#numberings.delete(instance);
    const count = this.#instances.get(client.name)! - 1;
    if (count > 0) this.#instances.set(client.name, count);
    else this.#instances.delete(client.name);
  }

  /**
   * Forgets clients that have had no contact for 30 days, unless points of theirs are kept. If there are too many all
   * the same, those longest without contact go; who is only a name goes before those whose points are still here.
   */
  forgetOld(): void {
    const oldest = this.#nowMs() - FORGET_MS;
    const order: { client: ClientRecord; kept: boolean }[] = [];
    for (const client of this.#records.values()) {
      if (isOwn(client)) continue;
      const kept = client.isKept;
      if (client.lastContactMs < oldest && !kept) this.forget(client);
      else order.push({ client, kept });
    }
    if (order.length <= this.#maxClients) return;
    order.sort((a, b) => Number(a.kept) - Number(b.kept) || a.client.lastContactMs - b.client.lastContactMs);
    for (const { client } of order.slice(0, order.length - this.#maxClients)) this.forget(client);
  }

  /** Puts a record back that was forgotten, and is still in use. */
  remember(client: ClientRecord): void {
    // Nearly each one is, and each message asks.
    if (client.isRemembered) return;
    const key = `${client.instance}/${client.name}`;
    if (this.#records.has(key)) return;
    this.#countInstance(client.name);
    this.#keep(key, client);
  }

  #keep(key: string, record: ClientRecord): void {
    this.#records.set(key, record);
    record.isRemembered = true;
    record.numbers.records.add(record);
    // Real agents have no instance id, and no numbers.
    if (record.instance !== "") this.#numberings.set(record.instance, record.numbers);
  }

  /** From now on nothing counts as stored that this output has not committed. */
  addOutput(name: string): void {
    if (this.#outputs.includes(name)) return;
    this.#outputs.push(name);
    this.local.account(name);
    for (const record of this.#records.values()) record.account(name);
  }

  /** Rows enter the transforms (-1), or have come out of them (1). */
  transform(batch: Credited, sign: 1 | -1): void {
    if (batch.origins.length === 0) this.local.transformedPoints += sign * batch.length;
    for (const { client, start, end } of batch.origins) client.transformedPoints += sign * (end - start);
  }

  /** An output has committed a batch, or will never get it. */
  settle(batch: Credited, output: string, how: "stored" | "dropped"): void {
    const { origins } = batch;
    if (origins.length === 0) {
      this.local.account(output)[how] += batch.length;
      return;
    }
    for (const { client, start, end, sequence } of origins) {
      const account = client.account(output);
      account[how] += end - start;
      if (sequence > account.sequence) account.sequence = sequence;
    }
  }

  /** A crash cannot take this batch away any more. */
  makeDurable(batch: Pick<Credited, "origins">): void {
    for (const { client, sequence } of batch.origins) {
      if (sequence > client.durable) client.numbers.durable = sequence;
    }
  }

  /** The last batch of a client that is safe in that sense; what outputs know counts, if they answer in time. */
  async sequenceOf(client: ClientRecord, safety: "durable" | "stored"): Promise<number> {
    if (safety === "stored" && this.sources.length > 0) {
      const answers = Promise.allSettled(this.sources.map((source) => source(client)));
      const known = await withTimeLimit(answers, SOURCE_MS).catch(() => []);
      for (const result of known) {
        if (result.status === "fulfilled") {
          client.numbers.accepted = Math.max(client.accepted, result.value);
        }
      }
      const stored = known.map((result) => result.status === "fulfilled" ? result.value : 0);
      return Math.max(client.stored, ...stored);
    }
    return client[safety];
  }

  /** Told after {@linkcode ClientRecord.durable} of some clients has moved. */
  onProgress(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  progress(): void {
    for (const listener of this.#listeners) listener();
  }
}
