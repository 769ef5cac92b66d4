/**
 * The series of one process. A series is a number; what is known of it is in columns, and its bytes are in one arena,
 * so that a million of them cost about 100 MB and the garbage collector nothing. Numbers are given back one by one when
 * nothing has been heard of a series for a while: see {@linkcode SeriesStore.tick} and {@linkcode SeriesStore.hold}.
 */
import { Arena, pieceBytes } from "./arena.ts";
import { grown, nextLength } from "../base/growing.ts";
import { ClientNames, NO_CLIENT } from "./client_names.ts";
import { hashTail, sameBytes } from "./hash.ts";
import { Holds } from "./holds.ts";
import { PostcardReader, PostcardWriter } from "../postcard.ts";
import {
  type Attribute,
  CLIENT_ATTRIBUTE,
  type Metric,
  type Series,
  type SeriesDefinition,
} from "./series.ts";
import type { SeriesColumn } from "./series_column.ts";
import { SeriesIndex } from "./series_index.ts";
import { readTail, writeTail } from "./tail.ts";

/** No series has this number, nor any below {@linkcode FIRST_SERIES}: those are marks for whoever needs some. */
const NO_SERIES = 0;
export const FIRST_SERIES = 8;

/** Bits of {@linkcode SeriesStore.flags}. */
export const SERIES_FLAGS = {
  /** The metric takes u64; without it, f64. */
  u64: 1,
  /** An attribute of the tail has the name of a client's. */
  namesClient: 2,
} as const;

/** {@linkcode SeriesStore.metrics} of a number that is not in use. */
const FREE = 0xffffffff;

/** What a series takes beside its tail, with some columns of users: an estimate. */
const SERIES_BYTES = 80;
/** The same with a tail of usual length. */
const USUAL_BYTES = 140;
/** The least number of series that a stream may have, however small the limit is. */
const MIN_SERIES = 1024;
/** Parts of the limit: for a client that sends its own points, and for a stream, which may be that of a hop. */
const CLIENT_SHARE = 1 / 16;
const STREAM_SHARE = 1 / 2;
const DICTIONARY_SHARE = 1 / 16;
const MIN_DICTIONARY_BYTES = 1024 * 1024;
const MAX_DICTIONARY_BYTES = 64 * 1024 * 1024;
/** Above this multiple of the limit, giving back does not keep pace. */
const CROWDED = 1.1;
const INITIAL_CAPACITY = 1024;

/** How often {@linkcode SeriesStore.tick} is to be called, in ms. */
export const TICK_MS = 1000;
/** A series that was not seen in this many ticks is given back. */
const IDLE_TICKS = 300;
/** A sweep over all numbers takes this many ticks. */
const SWEEP_TICKS = 60;
const MIN_SWEEP = 1024;
/** The epoch also advances with each of this many new series: see {@linkcode SeriesStore.hold}. */
const EPOCH_SERIES = 4096;
/** A buffer for tails is used again unless one was longer. */
const MAX_SPARE_BYTES = 16 * 1024;
/** Numbers that are looked at for each new series while there are too many. */
const RELIEF_STEPS = 64;

export interface SeriesLimits {
  /** What all series may take in memory, in bytes. @default {256 MiB} */
  limitBytes?: number | undefined;
  /** What the series of one client may take, in bytes. @default a sixteenth of the limit */
  shareBytes?: number | undefined;
}

const DEFAULT_LIMIT_BYTES = 256 * 1024 * 1024;

/** A series in bytes, as it comes from a stream or from disk. */
export interface RawSeries {
  readonly metric: Metric;
  /** The tail: the first `length` bytes; some behind it may be looked at. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly length: number;
  /** The client that its last attribute names, which is not in the tail; `null` where that names none. */
  readonly client: string | null;
  /** Whether another attribute has the name of a client's. */
  readonly namesClient: boolean;
  /** Bytes of the longest kind or key of an attribute. */
  readonly longestName: number;
}

export class SeriesStore {
  /** By number: the metric, see {@linkcode metricOf}. */
  metrics = new Uint32Array(INITIAL_CAPACITY).fill(FREE);
  /** The client that the points are from, 0 for this process; its attribute is not in the tail. */
  clients = new Uint32Array(INITIAL_CAPACITY);
  /** Where the tail is in the arena, and its length: see ./tail.ts. */
  tailStart = new Uint32Array(INITIAL_CAPACITY);
  tailLength = new Uint32Array(INITIAL_CAPACITY);
  /** The number that came after this one last time: a client polls in the same order every time. It may be any. */
  following = new Uint32Array(INITIAL_CAPACITY);
  /** What {@linkcode following} was before: sources of a client that have different paces take turns. */
  alternative = new Uint32Array(INITIAL_CAPACITY);
  /** The epoch in which it was put into a batch last. Whoever does that without `Batch.push` has to set it. */
  seen = new Uint32Array(INITIAL_CAPACITY);
  /** How often the number was given back. */
  generations = new Uint32Array(INITIAL_CAPACITY);
  flags = new Uint8Array(INITIAL_CAPACITY);
  /** How many dictionaries refer to it. */
  #pins = new Uint32Array(INITIAL_CAPACITY);
  #hashes = new Uint32Array(INITIAL_CAPACITY);
  /** The client that its memory is counted for. */
  #owners = new Uint32Array(INITIAL_CAPACITY);
  #spareWriter: PostcardWriter | null = null;
  /** What {@linkcode internRaw} returned last. */
  #lastRaw = NO_SERIES;

  /** Grows with every tick, and with many new series. */
  epoch = 1;
  /** Names of clients, by {@linkcode clients}. */
  readonly names: ClientNames = new ClientNames();
  /** The bytes of the tails. */
  readonly arena: Arena = new Arena();
  /** Series that are in use, and what they take, in bytes. */
  size = 0;
  bytes = 0;
  /** Since the start: what new series took, in bytes, and how many came although there was no room for them. */
  newBytes = 0;
  excess = 0;
  /** Series that were given back since the start. */
  forgotten = 0;
  /**
   * For tests: numbers are never used again, and what was in them is overwritten, so that whoever reads one after it
   * was given back is found out by {@linkcode assertLive}.
   */
  debug = false;
  #idleTicks = IDLE_TICKS;

  /** What all series may take, in bytes. */
  limitBytes = DEFAULT_LIMIT_BYTES;
  /** What those of one client may take, in bytes. */
  shareBytes = DEFAULT_LIMIT_BYTES * CLIENT_SHARE;
  readonly #index = new SeriesIndex();
  readonly #metricList: Metric[] = [];
  readonly #metricNumbers = new Map<Metric, number>();
  /** By the number of a client: what its series take, in bytes. */
  readonly #ownedBytes: number[] = [];
  readonly #columns = new Set<WeakRef<SeriesColumn>>();
  /** The first free number below {@linkcode #end}, linked by {@linkcode tailStart}; 0 for none. */
  #free = 0;
  #end = FIRST_SERIES;
  /** Epochs since which batches may have points. */
  readonly #holds = new Holds();
  /** Epochs of the last ticks, oldest first. */
  readonly #ticks: number[] = [];
  #newSeries = 0;
  /** Where the next sweep goes on. */
  #hand = FIRST_SERIES;
  /** While there are too many, series that were last seen before this epoch are given back. */
  #pressure = 0;
  #fruitless = 0;

  constructor(limits: SeriesLimits = {}) {
    this.limit(limits);
  }

  /** Sets the limits that are given. Where there are too many series already, they go as others come. */
  limit({ limitBytes, shareBytes }: SeriesLimits): void {
    if (limitBytes !== undefined) {
      this.limitBytes = limitBytes;
      this.shareBytes = limitBytes * CLIENT_SHARE;
    }
    if (shareBytes !== undefined) this.shareBytes = shareBytes;
  }

  /** How many series the dictionary of one stream may have, which are pinned. */
  get maxSeriesOfStream(): number {
    return Math.max(MIN_SERIES, Math.floor(this.limitBytes * STREAM_SHARE / USUAL_BYTES));
  }

  /** What the definitions in the dictionary of a stream of this process may take, in bytes. */
  get maxDictionaryBytes(): number {
    return Math.max(MIN_DICTIONARY_BYTES, Math.min(MAX_DICTIONARY_BYTES, this.limitBytes * DICTIONARY_SHARE));
  }

  /** There are clearly too many, because batches hold them: whoever has batches that need not be in memory lets them go. */
  get isCrowded(): boolean {
    return this.bytes > this.limitBytes * CROWDED;
  }

  /** Numbers are below this. */
  get capacity(): number {
    return this.metrics.length;
  }

  // Numbers.

  /** The number of a metric in {@linkcode metrics}. */
  metricNumber(metric: Metric): number {
    let number = this.#metricNumbers.get(metric);
    if (number === undefined) {
      number = this.#metricList.length;
      this.#metricList.push(metric);
      this.#metricNumbers.set(metric, number);
    }
    return number;
  }

  /** The number of a series that is measured here. */
  numberOf(series: Series): number {
    const { number } = series;
    if (series.store === this && this.generations[number] === series.generation) return number;
    series.store = this;
    series.number = this.internDefinition(series);
    series.generation = this.generations[series.number];
    return series.number;
  }

  /**
   * The number of a series, new or known.
   *
   * @param owner The client whose share of memory it takes: its number in {@linkcode names}, which is held. This process
   *   has no share.
   */
  internDefinition(series: SeriesDefinition, owner: number = NO_CLIENT): number {
    const { attributes } = series;
    let client = NO_CLIENT;
    let count = attributes.length;
    const [name, value] = attributes.at(-1) ?? ["", ""];
    if (name === CLIENT_ATTRIBUTE && typeof value === "string") {
      client = this.names.hold(value);
      count--;
    }
    // Whoever forgets a series for this one may intern others.
    const writer = this.#spareWriter ?? new PostcardWriter(128);
    this.#spareWriter = null;
    writeTail(writer, series, count);
    const { length } = writer;
    // Words behind the end may be looked at.
    const tail = writer.u64(0).u64(0).u64(0).u64(0).written;
    const view = new DataView(tail.buffer, tail.byteOffset);
    const isNamed = attributes.slice(0, count).some(([name]) => name === CLIENT_ATTRIBUTE);
    const number = this.intern(
      this.metricNumber(series.metric),
      client,
      owner,
      tail,
      view,
      0,
      length,
      isNamed,
    );
    if (length <= MAX_SPARE_BYTES) {
      writer.clear();
      this.#spareWriter = writer;
    }
    this.names.release(client);
    return number;
  }

  /** The same of a series in bytes, under the name of a client, if it has one. */
  internRaw(raw: RawSeries, clientName = raw.client, owner: number = NO_CLIENT): number {
    const { bytes, view, length, namesClient } = raw;
    const client = clientName === null ? NO_CLIENT : this.names.hold(clientName);
    const metric = this.metricNumber(raw.metric);
    // They come in the order in which they came from their client.
    let number = this.following[this.#lastRaw];
    if (!this.matches(number, metric, client, view, 0, length)) {
      number = this.intern(metric, client, owner, bytes, view, 0, length, namesClient);
      if (this.following[this.#lastRaw] === NO_SERIES) this.following[this.#lastRaw] = number;
    }
    this.#lastRaw = number;
    this.names.release(client);
    return number;
  }

  /**
   * The series that differs from a known one in its metric alone, new or known itself; it takes memory of the same
   * client's share.
   */
  withMetric(number: number, metric: Metric): number {
    const length = this.tailLength[number];
    // A copy, because a new tail may move the arena. Words behind the end may be looked at.
    const tail = new Uint8Array(length + 32);
    tail.set(this.arena.bytes.subarray(this.tailStart[number], this.tailStart[number] + length));
    return this.intern(
      this.metricNumber(metric),
      this.clients[number],
      this.#owners[number],
      tail,
      new DataView(tail.buffer),
      0,
      length,
      (this.flags[number] & SERIES_FLAGS.namesClient) !== 0,
    );
  }

  /**
   * The number of a series, new or known, by the bytes of its tail, which must be valid (`skipTail`).
   *
   * @param metric Its {@linkcode metricNumber}.
   * @param client The client that its points are from: a number of {@linkcode names}, which is held.
   * @param owner The client whose share of memory it takes.
   * @param namesClient Whether the tail has an attribute with the name of a client's.
   * @param hash What {@linkcode hashTail} makes of it.
   */
  intern(
    metric: number,
    client: number,
    owner: number,
    bytes: Uint8Array,
    view: DataView,
    start: number,
    length: number,
    namesClient: boolean,
    hash: number = hashTail(view, start, length, metric, client),
  ): number {
    const known = this.find(metric, client, view, start, length, hash);
    if (known !== NO_SERIES) return known;
    return this.#add(hash, metric, client, owner, bytes, start, length, namesClient);
  }

  /**
   * The number of a series that is known, by the bytes of its tail, which may be any; 0 if it is not known.
   *
   * @param hash What {@linkcode hashTail} makes of it.
   */
  find(
    metric: number,
    client: number,
    view: DataView,
    start: number,
    length: number,
    hash: number = hashTail(view, start, length, metric, client),
  ): number {
    const slots = this.#index.slotsOf(hash);
    const mask = slots.length - 1;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const number = slots[slot];
      if (number === 0) return NO_SERIES;
      if (this.#hashes[number] === hash && this.matches(number, metric, client, view, start, length)) {
        return number;
      }
    }
  }

  /** Whether a number, which may be any, is that of the series with this tail. */
  matches(
    number: number,
    metric: number,
    client: number,
    view: DataView,
    start: number,
    length: number,
  ): boolean {
    return this.metrics[number] === metric && this.clients[number] === client &&
      this.tailLength[number] === length &&
      sameBytes(this.arena.view, this.tailStart[number], view, start, length);
  }

  #add(
    hash: number,
    metric: number,
    client: number,
    owner: number,
    bytes: Uint8Array,
    from: number,
    length: number,
    namesClient: boolean,
  ): number {
    const cost = SERIES_BYTES + pieceBytes(length);
    if (++this.#newSeries % EPOCH_SERIES === 0) this.epoch++;
    const owned = this.#ownedBytes[owner] ?? 0;
    this.newBytes += cost;
    if (owner !== NO_CLIENT && owned + cost > this.shareBytes) this.#relieve(owner);
    if (this.bytes + cost > this.limitBytes) this.#relieve(null);
    const start = this.arena.take(length);
    const tails = this.arena.bytes;
    for (let i = 0; i < length; i++) tails[start + i] = bytes[from + i];
    let number = this.#free;
    if (number !== 0) this.#free = this.tailStart[number];
    else {
      number = this.#end++;
      if (number === this.capacity) this.#grow();
    }
    this.metrics[number] = metric;
    this.clients[number] = client;
    this.names.holdAgain(client);
    this.#owners[number] = owner;
    this.names.holdAgain(owner);
    this.#ownedBytes[owner] = (this.#ownedBytes[owner] ?? 0) + cost;
    this.tailStart[number] = start;
    this.tailLength[number] = length;
    this.following[number] = this.alternative[number] = NO_SERIES;
    this.seen[number] = this.epoch;
    this.#pins[number] = 0;
    this.flags[number] = (this.#metricList[metric].type === "u64" ? SERIES_FLAGS.u64 : 0) |
      (namesClient ? SERIES_FLAGS.namesClient : 0);
    this.#hashes[number] = hash;
    this.#index.add(number, this.#hashes);
    this.bytes += cost;
    this.size++;
    return number;
  }

  #grow(): void {
    const from = this.capacity;
    const capacity = nextLength(from);
    this.metrics = grown(this.metrics, capacity).fill(FREE, from);
    this.clients = grown(this.clients, capacity);
    this.tailStart = grown(this.tailStart, capacity);
    this.tailLength = grown(this.tailLength, capacity);
    this.following = grown(this.following, capacity);
    this.alternative = grown(this.alternative, capacity);
    this.seen = grown(this.seen, capacity);
    this.generations = grown(this.generations, capacity);
    this.flags = grown(this.flags, capacity);
    this.#pins = grown(this.#pins, capacity);
    this.#hashes = grown(this.#hashes, capacity);
    this.#owners = grown(this.#owners, capacity);
    for (const column of this.#eachColumn()) column.resize(capacity);
  }

  // What is known of a number.

  isLive(number: number): boolean {
    return number >= FIRST_SERIES && number < this.#end && this.metrics[number] !== FREE;
  }

  /** @throws {Error} if one of the first `length` numbers is not in use. To be called in tests. */
  assertLive(numbers: Uint32Array, length: number): void {
    for (let i = 0; i < length; i++) {
      if (!this.isLive(numbers[i])) throw new Error(`Series ${numbers[i]} is read after it was given back`);
    }
  }

  metricOf(number: number): Metric {
    return this.#metricList[this.metrics[number]];
  }

  /** The client whose share of memory a series takes. */
  ownerOf(number: number): number {
    return this.#owners[number];
  }

  /** What a series takes, in bytes. */
  bytesOf(number: number): number {
    return SERIES_BYTES + pieceBytes(this.tailLength[number]);
  }

  /** All of a series, decoded. */
  definitionOf(number: number): SeriesDefinition {
    const start = this.tailStart[number];
    const reader = new PostcardReader(this.arena.bytes, start, start + this.tailLength[number]);
    const { attributes, ...rest } = readTail(reader);
    const client = this.clients[number];
    if (client !== NO_CLIENT) attributes.push([CLIENT_ATTRIBUTE, this.names.nameOf(client)]);
    return { metric: this.metricOf(number), ...rest, attributes };
  }

  /** The last attribute that names a client; `undefined` if no attribute does. */
  clientAttributeOf(number: number): Attribute | undefined {
    const client = this.clients[number];
    if (client !== NO_CLIENT) return [CLIENT_ATTRIBUTE, this.names.nameOf(client)];
    if ((this.flags[number] & SERIES_FLAGS.namesClient) === 0) return undefined;
    return this.definitionOf(number).attributes.findLast(([name]) => name === CLIENT_ATTRIBUTE);
  }

  // Giving back.

  /**
   * From now on, series that are put into a batch are not given back.
   *
   * @returns the epoch to {@linkcode release}.
   */
  hold(): number {
    this.#holds.add(this.epoch);
    return this.epoch;
  }

  release(epoch: number): void {
    this.#holds.release(epoch);
  }

  /** A dictionary refers to the series: it stays until {@linkcode unpin} was called as often. */
  pin(number: number): void {
    this.#pins[number]++;
  }

  unpin(number: number): void {
    this.#pins[number]--;
    // What was in a dictionary until now has just been of use.
    this.seen[number] = this.epoch;
  }

  /** To be called every {@linkcode TICK_MS}: gives some of what has not been seen for long back. */
  tick(): void {
    this.#ticks.push(this.epoch++);
    if (this.#ticks.length > this.#idleTicks) {
      const idle = this.#ticks.shift()!;
      this.#sweep(Math.max(MIN_SWEEP, Math.ceil(this.#end / SWEEP_TICKS)), idle, null);
    }
    if (this.bytes <= this.limitBytes * 0.9) this.#pressure = 0;
  }

  /** There are too many series of a client, or of all. Those of a client go in the order in which they came. */
  #relieve(owner: number | null): void {
    if (owner === null && this.#pressure === 0) this.#pressure = this.#ticks[0] ?? 1;
    const count = this.#sweep(RELIEF_STEPS, owner === null ? this.#pressure : Infinity, owner);
    // Each that was given back makes room for one.
    this.excess += Math.max(1, count);
    if (owner !== null) return;
    if (count > 0) this.#fruitless = 0;
    else if ((this.#fruitless += RELIEF_STEPS) > this.#end) {
      this.#fruitless = 0;
      this.#pressure = Math.ceil((this.#pressure + this.epoch) / 2);
    }
  }

  /**
   * Looks at `steps` numbers, and gives those back that were last seen before an epoch.
   *
   * @returns how many that were.
   */
  #sweep(steps: number, before: number, owner: number | null): number {
    // What is in a batch was seen when the batch was begun, or later.
    const limit = Math.min(before, this.#holds.oldest, this.epoch);
    let count = 0;
    for (let n = Math.min(steps, this.#end - FIRST_SERIES); n > 0; n--) {
      if (++this.#hand >= this.#end) this.#hand = FIRST_SERIES;
      const number = this.#hand;
      if (this.metrics[number] === FREE || this.seen[number] >= limit || this.#pins[number] > 0) continue;
      if (owner !== null && this.#owners[number] !== owner) continue;
      this.#forget(number);
      count++;
    }
    return count;
  }

  #forget(number: number): void {
    for (const column of this.#eachColumn()) column.forget(number);
    this.#index.remove(number, this.#hashes);
    const start = this.tailStart[number];
    const length = this.tailLength[number];
    if (this.debug) this.arena.bytes.fill(0xdd, start, start + length);
    this.arena.give(start, length);
    const owner = this.#owners[number];
    const cost = SERIES_BYTES + pieceBytes(length);
    this.#ownedBytes[owner] -= cost;
    this.bytes -= cost;
    this.names.release(owner);
    this.names.release(this.clients[number]);
    this.metrics[number] = FREE;
    this.tailLength[number] = 0;
    this.generations[number]++;
    this.size--;
    this.forgotten++;
    if (this.debug) return;
    this.tailStart[number] = this.#free;
    this.#free = number;
  }

  /** Turns {@linkcode debug} on, and gives series back after two ticks. */
  poison(): void {
    this.debug = true;
    this.#idleTicks = 2;
  }

  // Columns of users.

  /** For {@linkcode SeriesColumn}. */
  follow(column: SeriesColumn): void {
    this.#columns.add(new WeakRef(column));
  }

  *#eachColumn(): Generator<SeriesColumn> {
    for (const reference of this.#columns) {
      const column = reference.deref();
      if (column) yield column;
      else this.#columns.delete(reference);
    }
  }
}

/** The series of this process. */
export const seriesStore: SeriesStore = new SeriesStore();
