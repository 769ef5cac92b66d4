/**
 * Sockets by calling the C library (man 7 socket, man 7 epoll): what Deno's own do not offer is to leave those alone on which
 * something has arrived, and to read from many of them at one time.
 */
import { ERRNO, openLibc } from "../base/libc.ts";

const SYMBOLS = {
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  /** The same in a thread of its own, so that nothing else waits. */
  epollWaitAside: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  eventfd_write: { parameters: ["i32", "u64"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  inet_ntop: { parameters: ["i32", "buffer", "buffer", "u32"], result: "pointer" },
  memcpy: { parameters: ["buffer", "pointer", "usize"], result: "pointer" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  ...ERRNO,
  __xpg_strerror_r: { parameters: ["i32", "buffer", "usize"], result: "i32" },
} as const;

export type SocketLibrary = Deno.DynamicLibrary<typeof SYMBOLS>;

const AF_INET = 2;
const AF_INET6 = 10;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const SOCK_NONBLOCK_CLOEXEC = 0x80800;
const F_DUPFD_CLOEXEC = 1030;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;
/** A signal came, or the client that was to be accepted has gone: the call can be made again at once. */
const PASSING_ERRORS: ReadonlySet<number> = new Set([4, 103]);
const ECONNRESET = 104;
const EPIPE = 32;
const ETIMEDOUT = 110;
/** What the network says of a connection, once; nothing else sets these numbers. ENETDOWN to ETIMEDOUT, and EHOSTUNREACH. */
const isOfConnection = (errno: number) =>
  errno === EPIPE || errno >= 100 && errno <= ETIMEDOUT || errno === 113;
/** Of a call whose error is another one each time. */
const MOST_TRIES = 100;
/** No process has more descriptors by default. */
const MOST_DESCRIPTORS = 65_536;

export class SocketCalls implements Disposable {
  readonly symbols: SocketLibrary["symbols"];
  readonly #library: SocketLibrary;
  /** Where the C library puts the number of an error of this thread. */
  readonly #errnoAt: Deno.PointerValue;
  readonly #errno = new Int32Array(1);
  readonly #address = new Uint8Array(128);
  readonly #length = new Uint32Array(1);

  private constructor(library: SocketLibrary) {
    this.#library = library;
    this.symbols = library.symbols;
    this.#errnoAt = this.symbols.__errno_location();
  }

  /** `null` where there is no C library, or no permission to call it. */
  static open(): SocketCalls | null {
    const library = openLibc(SYMBOLS);
    return library && new SocketCalls(library);
  }

  /**
   * A descriptor of its own for the socket that listens on an address.
   *
   * @returns -1 where there is none, or more than one.
   */
  listenerOf(address: Deno.NetAddr): number {
    const found: number[] = [];
    for (let fd = 3; fd < MOST_DESCRIPTORS && found.length < 2; fd++) {
      this.#length[0] = this.#address.length;
      if (this.symbols.getsockname(fd, this.#address, this.#length) !== 0) continue;
      const { hostname, port } = this.#addressText() ?? {};
      if (port !== address.port || hostname !== address.hostname) continue;
      const isListening = new Int32Array(1);
      this.#length[0] = isListening.byteLength;
      const { getsockopt } = this.symbols;
      if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, isListening, this.#length) !== 0) continue;
      if (isListening[0] === 1) found.push(fd);
    }
    return found.length === 1 ? this.symbols.fcntl(found[0], F_DUPFD_CLOEXEC, 3) : -1;
  }

  /** Accepts a connection. @returns `null` while there is none. @throws what the system says. */
  accept(listener: number): { fd: number; remoteAddr: Deno.NetAddr } | null {
    const fd = this.#result(() => {
      this.#length[0] = this.#address.length;
      return this.symbols.accept4(listener, this.#address, this.#length, SOCK_NONBLOCK_CLOEXEC);
    });
    return fd === null
      ? null
      : { fd, remoteAddr: this.#addressText() ?? { transport: "tcp", hostname: "", port: 0 } };
  }

  /** @returns how many bytes it has read, 0 at the end; `null` while there are none. @throws what the system says. */
  receive(fd: number, space: Uint8Array<ArrayBuffer>): number | null {
    return this.#result(() => Number(this.symbols.recv(fd, space, BigInt(space.length), MSG_DONTWAIT)));
  }

  /** @returns how many bytes it has taken; `null` while there is no room. @throws what the system says. */
  send(fd: number, bytes: Uint8Array<ArrayBuffer>): number | null {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    return this.#result(() => Number(this.symbols.send(fd, bytes, BigInt(bytes.length), flags)));
  }

  /** Sets an option that is on or off. */
  turnOn(fd: number, level: number, option: number, on: boolean): void {
    this.symbols.setsockopt(fd, level, option, new Int32Array([on ? 1 : 0]), 4);
  }

  /** `null` where the call would have to wait. @throws its error */
  #result(call: () => number): number | null {
    const result = call();
    // What happens most costs least.
    if (result >= 0) return result;
    const first = this.#readErrno();
    if (first === EAGAIN) return null;
    const { value, errno } = retried(first, call, this.#readErrno);
    if (errno !== 0) throw this.#error(errno);
    return value;
  }

  readonly #readErrno = (): number => {
    this.symbols.memcpy(this.#errno, this.#errnoAt, 4n);
    return this.#errno[0];
  };

  #error(errno: number): Error {
    const text = new Uint8Array(128);
    this.symbols.__xpg_strerror_r(errno, text, 128n);
    const message = `${textOf(text)} (os error ${errno})`;
    if (errno === ECONNRESET) return new Deno.errors.ConnectionReset(message);
    if (errno === EPIPE) return new Deno.errors.BrokenPipe(message);
    if (errno === ETIMEDOUT) return new Deno.errors.TimedOut(message);
    return new Error(message);
  }

  /** The address that the last call has given; `null` if it is not one of IPv4 or IPv6. */
  #addressText(): Deno.NetAddr | null {
    const view = new DataView(this.#address.buffer);
    const family = view.getUint16(0, true);
    if (family !== AF_INET && family !== AF_INET6) return null;
    const text = new Uint8Array(64);
    this.symbols.inet_ntop(family, this.#address.subarray(family === AF_INET ? 4 : 8), text, text.length);
    return { transport: "tcp", hostname: textOf(text), port: view.getUint16(2) };
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}

/**
 * What comes of a call on a socket that has failed. The number of its error may have been overwritten before it was read (see
 * {@linkcode ../base/libc.ts}): taken for the call's own, it would end a connection that is in order. So a call is made again
 * if its error is none of connections, and the error is believed when it comes twice. A call that failed has taken nothing.
 *
 * @param errno Of the first call.
 * @param readErrno That of the last call.
 * @returns the call's value, `null` where it would have to wait, or the number of its error, which is 0 otherwise.
 */
export function retried(
  errno: number,
  call: () => number,
  readErrno: () => number,
): { value: number | null; errno: number } {
  for (let before = 0, tries = 1;; tries++) {
    if (errno === EAGAIN) return { value: null, errno: 0 };
    if (!PASSING_ERRORS.has(errno)) {
      if (isOfConnection(errno) || errno === before || tries >= MOST_TRIES) return { value: null, errno };
      before = errno;
    }
    const value = call();
    if (value >= 0) return { value, errno: 0 };
    errno = readErrno();
  }
}

/** A text of C. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}
