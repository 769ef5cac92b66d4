/**
 * Many sockets, looked at together (man 7 epoll). Deno's own wake the process for each message, which costs it more than to take
 * the message: at 600 messages a second 40 to 50 µs of CPU each. These are left alone for a while after each look, and
 * what has arrived on all of them meanwhile is read at one time.
 */
import { Wakeup } from "../base/waiting.ts";
import type { SocketCalls } from "./socket_calls.ts";

export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
const EPOLLET = 0x80000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CLOEXEC = 0x80000;
const EFD_NONBLOCK_CLOEXEC = 0x80800;
/** `struct epoll_event`, which has no gap on x86-64. */
const EVENT_BYTES = Deno.build.arch === "x86_64" ? 12 : 16;
const DATA_AT = EVENT_BYTES - 8;
/** Events that one call returns. */
const MOST_EVENTS = 1024;
/** Turns of those who wait for data until they have taken it. */
const TURNS = 3;
/** For how long after data of a stream there is no pause, in ms. */
const STREAM_MS = 5;

/** Whose sockets they are. */
export interface PollOwner {
  /** How long the sockets are left alone after a look; 0: not at all. */
  pauseMs(): number;
  /** What has arrived is about to be read. */
  begin(): void;
  /**
   * All of it has been given to those who read.
   *
   * @param isPausing Whether nothing more comes for a while.
   */
  end(isPausing: boolean): void;
}

/** What is told of events. */
export interface Watched {
  /**
   * Something has happened, or it has asked for it with {@linkcode SocketPoll.again}.
   *
   * @param events Bits of epoll.
   * @returns whether there is more to read at once.
   */
  look(events: number): boolean;
  /** Closes its descriptor with {@linkcode SocketPoll.close}. */
  close(): void;
}

export class SocketPoll implements AsyncDisposable {
  readonly calls: SocketCalls;
  readonly #epoll: number;
  /** Ends the wait in the other thread. */
  readonly #bell: number;
  readonly #owner: PollOwner;
  readonly #watched = new Map<number, Watched>();
  readonly #events = new Uint8Array(EVENT_BYTES * MOST_EVENTS);
  readonly #view = new DataView(this.#events.buffer);
  /** They are looked at next time whether something has happened or not. */
  #again = new Set<Watched>();
  readonly #pause = new Wakeup();
  /** Something is expected to come within a pause. Otherwise there is none: its end would wake the process for nothing. */
  #paysOff = true;
  /** The last look was followed by a pause. */
  #hasPaused = false;
  /** Until then a pause would have lasted that there was none of, in `performance.now()` ms. */
  #skippedUntilMs = -Infinity;
  /** The other thread waits for the next event. */
  #isWaiting = false;
  /** Until then a stream is expected to go on, in `performance.now()` ms. */
  #streamUntilMs = -Infinity;
  #isClosed = false;
  readonly #finished: Promise<void>;

  private constructor(calls: SocketCalls, epoll: number, bell: number, owner: PollOwner) {
    this.calls = calls;
    this.#epoll = epoll;
    this.#bell = bell;
    this.#owner = owner;
    this.#finished = this.#run();
  }

  /** `null` where there is no descriptor for it. Otherwise `calls` are closed with it. */
  static open(calls: SocketCalls, owner: PollOwner): SocketPoll | null {
    const { symbols } = calls;
    const epoll = symbols.epoll_create1(EPOLL_CLOEXEC);
    const bell = symbols.eventfd(0, EFD_NONBLOCK_CLOEXEC);
    if (addTo(calls, epoll, bell, EPOLLIN)) return new SocketPoll(calls, epoll, bell, owner);
    for (const fd of [epoll, bell]) if (fd >= 0) symbols.close(fd);
    return null;
  }

  /** Tells of what happens to a descriptor, once for each time. @returns whether that is possible. */
  watch(fd: number, watched: Watched): boolean {
    if (this.#isClosed || !addTo(this.calls, this.#epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP)) return false;
    this.#watched.set(fd, watched);
    return true;
  }

  /** Closes a descriptor that is watched. */
  close(fd: number): void {
    const watched = this.#watched.get(fd);
    if (!watched) return;
    this.#watched.delete(fd);
    this.#again.delete(watched);
    this.calls.symbols.close(fd);
  }

  /** Looks at it soon, whether something happens or not. */
  again(watched: Watched): void {
    this.#again.add(watched);
    this.hurry();
  }

  /** More of a stream is on its way: for a moment there is no pause. */
  expectMore(): void {
    this.#streamUntilMs = performance.now() + STREAM_MS;
  }

  /** Ends the pause. */
  hurry(): void {
    this.#pause.wake();
    if (this.#isWaiting) this.calls.symbols.eventfd_write(this.#bell, 1n);
  }

  async #run(): Promise<void> {
    const { symbols } = this.calls;
    let count = 0;
    while (!this.#isClosed) {
      const hasMore = await this.#look(count);
      if (this.#isClosed) break;
      // Where there is more, others in this process have a turn.
      count = hasMore ? 0 : symbols.epoll_wait(this.#epoll, this.#events, MOST_EVENTS, 0);
      if (this.#hasPaused) this.#paysOff = count > 0;
      if (count <= 0 && (hasMore || this.#again.size === 0)) count = await this.#wait(hasMore ? 0 : -1);
      if (count > 0 && performance.now() < this.#skippedUntilMs) this.#paysOff = true;
    }
    symbols.close(this.#epoll);
    symbols.close(this.#bell);
    this.calls[Symbol.dispose]();
  }

  /** @param ms -1: as long as it takes. @returns the number of events */
  async #wait(ms: number): Promise<number> {
    this.#isWaiting = ms < 0;
    const count = await this.calls.symbols.epollWaitAside(this.#epoll, this.#events, MOST_EVENTS, ms);
    this.#isWaiting = false;
    return count;
  }

  /** @returns whether there is more to read at once; otherwise a pause has passed, where it pays off. */
  async #look(count: number): Promise<boolean> {
    const owner = this.#owner;
    owner.begin();
    const hasMore = this.#read(count);
    const isPausing = !hasMore && performance.now() >= this.#streamUntilMs;
    // Whoever waits for data has it now, and takes it at once.
    for (let turn = 0; turn < TURNS; turn++) await null;
    owner.end(isPausing);
    const pauseMs = isPausing && this.#again.size === 0 && !this.#isClosed ? owner.pauseMs() : 0;
    this.#hasPaused = pauseMs > 0 && this.#paysOff;
    this.#skippedUntilMs = this.#hasPaused ? -Infinity : performance.now() + pauseMs;
    if (this.#hasPaused) await this.#pause.wait(pauseMs);
    return hasMore;
  }

  /** @returns whether there is more to read at once. */
  #read(count: number): boolean {
    let hasMore = false;
    const again = this.#again;
    this.#again = new Set();
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_BYTES;
      const watched = this.#watched.get(this.#view.getUint32(at + DATA_AT, true));
      if (!watched) continue;
      if (again.size > 0) again.delete(watched);
      if (watched.look(this.#view.getUint32(at, true))) hasMore = true;
    }
    for (const watched of again) if (watched.look(0)) hasMore = true;
    return hasMore;
  }

  /** Closes what is still watched. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isClosed) {
      for (const watched of [...this.#watched.values()]) watched.close();
      this.#isClosed = true;
      this.hurry();
    }
    await this.#finished;
  }
}

function addTo({ symbols }: SocketCalls, epoll: number, fd: number, events: number): boolean {
  const event = new DataView(new ArrayBuffer(EVENT_BYTES));
  event.setUint32(0, events | EPOLLET, true);
  event.setUint32(DATA_AT, fd, true);
  return symbols.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, event) === 0;
}
