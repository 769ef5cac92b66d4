/** Listening and accepted sockets of a {@linkcode SocketPoll}, with the part of Deno's interfaces that servers use. */
import { SocketCalls } from "./socket_calls.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  type PollOwner,
  SocketPoll,
  type Watched,
} from "./socket_poll.ts";
import type { AcceptedTransport } from "./transport.ts";

/** What comes in pieces of this many bytes, and no more than this many ms apart, is a stream. */
const STREAM_BYTES = 16 * 1024;
const STREAM_GAP_MS = 75;
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const SHUT_WR = 1;

/** Accepts the connections of a listener of Deno in its place. */
export class PolledListener implements Watched, AsyncDisposable {
  readonly #poll: SocketPoll;
  readonly #fd: number;
  #waiting: PromiseWithResolvers<PolledSocket> | null = null;
  #isClosed = false;

  private constructor(poll: SocketPoll, fd: number) {
    this.#poll = poll;
    this.#fd = fd;
  }

  /**
   * `null` where the C library may not be called, or the socket is not found. Otherwise nobody else must accept from it.
   */
  static open(listener: Deno.TcpListener, owner: PollOwner): PolledListener | null {
    const calls = SocketCalls.open();
    if (!calls) return null;
    const fd = calls.listenerOf(listener.addr as Deno.NetAddr);
    const poll = fd < 0 ? null : SocketPoll.open(calls, owner);
    if (poll) {
      const polled = new PolledListener(poll, fd);
      poll.watch(fd, polled);
      return polled;
    }
    if (fd >= 0) calls.symbols.close(fd);
    calls[Symbol.dispose]();
    return null;
  }

  /** Ends the pause. */
  hurry(): void {
    this.#poll.hurry();
  }

  /** One caller at a time. @throws what the system says: most likely there are no free descriptors. */
  async accept(): Promise<PolledSocket> {
    if (this.#isClosed) throw closedError();
    return this.#accept() ?? await (this.#waiting = Promise.withResolvers<PolledSocket>()).promise;
  }

  #accept(): PolledSocket | null {
    const accepted = this.#poll.calls.accept(this.#fd);
    return accepted && new PolledSocket(this.#poll, accepted.fd, accepted.remoteAddr);
  }

  look(): boolean {
    const waiting = this.#waiting;
    if (!waiting) return false;
    try {
      const socket = this.#accept();
      if (!socket) return false;
      waiting.resolve(socket);
    } catch (error) {
      waiting.reject(error);
    }
    this.#waiting = null;
    return false;
  }

  /** Accepts nothing more. May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poll.close(this.#fd);
    this.#waiting?.reject(closedError());
  }

  /** Closes the connections as well. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#poll[Symbol.asyncDispose]();
  }
}

const NOWHERE = new Uint8Array();

/** A connection. */
export class PolledSocket implements AcceptedTransport, Watched {
  readonly remoteAddr: Deno.NetAddr;
  readonly #poll: SocketPoll;
  readonly #fd: number;
  #reader: PromiseWithResolvers<number | null> | null = null;
  /** Where it reads to. */
  #space: Uint8Array<ArrayBuffer> = NOWHERE;
  #writer: PromiseWithResolvers<void> | null = null;
  /** There may be something to read. */
  #isReadable = false;
  /** The other end will send nothing more. */
  #hasEnded = false;
  #streamMs = -Infinity;
  #isClosed = false;

  constructor(poll: SocketPoll, fd: number, remoteAddr: Deno.NetAddr) {
    this.#poll = poll;
    this.#fd = fd;
    this.remoteAddr = remoteAddr;
    if (poll.watch(fd, this)) return;
    poll.calls.symbols.close(fd);
    this.#isClosed = true;
  }

  /** One caller at a time. @throws what the system says. */
  read(space: Uint8Array<ArrayBuffer>): Promise<number | null> {
    if (this.#isClosed) return Promise.reject(closedError());
    const reader = this.#reader = Promise.withResolvers<number | null>();
    this.#space = space;
    if (this.#isReadable) this.#poll.again(this);
    return reader.promise;
  }

  /** One caller at a time. @throws what the system says. */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
    while (!this.#isClosed) {
      const count = this.#poll.calls.send(this.#fd, bytes);
      if (count !== null) return count;
      await (this.#writer = Promise.withResolvers<void>()).promise;
    }
    throw closedError();
  }

  look(events: number): boolean {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) this.#isReadable = true;
    if (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP)) this.#hasEnded = true;
    if (this.#writer && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
      this.#writer.resolve();
      this.#writer = null;
    }
    return this.#reader !== null && this.#isReadable && this.#receive();
  }

  /** @returns whether there is more. */
  #receive(): boolean {
    const { resolve, reject } = this.#reader!;
    const space = this.#space;
    try {
      const count = this.#poll.calls.receive(this.#fd, space);
      // Less than there was room for: the next event tells of more, but an end has no event of its own.
      this.#isReadable = count !== null && (count === space.length || this.#hasEnded);
      if (count === null) return false;
      if (count >= STREAM_BYTES) this.#noticeStream();
      this.#reader = null;
      resolve(count === 0 ? null : count);
    } catch (error) {
      this.#reader = null;
      reject(error);
    }
    return this.#isReadable;
  }

  #noticeStream(): void {
    const now = performance.now();
    if (now - this.#streamMs < STREAM_GAP_MS) this.#poll.expectMore();
    this.#streamMs = now;
  }

  // deno-lint-ignore require-await
  async closeWrite(): Promise<void> {
    if (this.#isClosed) throw closedError();
    this.#poll.calls.symbols.shutdown(this.#fd, SHUT_WR);
  }

  setNoDelay(on = true): void {
    if (!this.#isClosed) this.#poll.calls.turnOn(this.#fd, IPPROTO_TCP, TCP_NODELAY, on);
  }

  setKeepAlive(on = true): void {
    if (!this.#isClosed) this.#poll.calls.turnOn(this.#fd, SOL_SOCKET, SO_KEEPALIVE, on);
  }

  /** May be called twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poll.close(this.#fd);
    this.#reader?.reject(closedError());
    this.#writer?.reject(closedError());
    this.#reader = this.#writer = null;
  }
}

function closedError(): Error {
  return new Deno.errors.BadResource("The socket is closed");
}
