/**
 * Listening sockets that systemd has opened for this process (sd_listen_fds(3)), so that connections wait while it
 * restarts. Deno has no function that takes a file descriptor; node:net has one, which works with some versions of
 * Deno and not with others, so it is tried.
 */
import type { Server, Socket } from "node:net";

/** The first descriptor that is passed: SD_LISTEN_FDS_START. */
const FIRST_FD = 3;

type Environment = (name: string) => string | undefined;

/** The descriptors that systemd passed to this process. */
export function passedDescriptors(env: Environment, pid: number = Deno.pid): number[] {
  const count = Number(env("LISTEN_FDS") || NaN);
  if (Number(env("LISTEN_PID") || NaN) !== pid || !Number.isInteger(count) || count < 1) return [];
  return Array.from({ length: count }, (_, i) => FIRST_FD + i);
}

/** Accepts connections on a socket that listens already. @throws {Error} if this version of Deno cannot. */
export async function adoptListener(fd: number): Promise<Deno.TcpListener> {
  const { createServer } = await import("node:net");
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return new AdoptedListener(server) as unknown as Deno.TcpListener;
}

/** Whether a listener is one of {@linkcode adoptListener}. */
export function isAdopted(listener: Deno.TcpListener): boolean {
  return (listener as unknown) instanceof AdoptedListener;
}

/** Whether this version of Deno can take a socket: tries it with a duplicate of its own socket. */
export async function canAdopt(): Promise<boolean> {
  const sockets = () =>
    [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith("socket:") ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
  const before = new Set(sockets());
  using _ = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const own = sockets().find((fd) => !before.has(fd));
  if (own === undefined) return false;
  let libc: Deno.DynamicLibrary<{ dup: { parameters: ["i32"]; result: "i32" } }> | undefined;
  try {
    libc = Deno.dlopen("libc.so.6", { dup: { parameters: ["i32"], result: "i32" } });
    (await adoptListener(libc.symbols.dup(own))).close();
    return true;
  } catch {
    return false;
  } finally {
    libc?.close();
  }
}

/** The used part of a `Deno.TcpListener`, on a server of node:net. */
class AdoptedListener {
  readonly addr: Deno.NetAddr;
  readonly #server: Server;
  readonly #arrived: Socket[] = [];
  readonly #waiting: { resolve: (conn: Deno.TcpConn) => void; reject: (error: Error) => void }[] = [];
  #closed = false;

  constructor(server: Server) {
    this.#server = server;
    const { address, port } = server.address() as { address: string; port: number };
    this.addr = { transport: "tcp", hostname: address, port };
    server.on("connection", (socket: Socket) => {
      // Until someone accepts it, an error must not end the process.
      socket.on("error", () => {});
      this.#arrived.push(socket);
      this.#serve();
    });
    server.on("error", (error: Error) => this.#waiting.shift()?.reject(error));
  }

  accept(): Promise<Deno.TcpConn> {
    if (this.#closed) return Promise.reject(new Deno.errors.BadResource("The listener is closed"));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#serve();
    });
  }

  #serve(): void {
    while (this.#arrived.length > 0 && this.#waiting.length > 0) {
      const socket = this.#arrived.shift()!;
      this.#waiting.shift()!.resolve(new AdoptedConn(socket) as unknown as Deno.TcpConn);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#arrived.splice(0)) socket.destroy();
    for (const { reject } of this.#waiting.splice(0)) {
      reject(new Deno.errors.BadResource("The listener is closed"));
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The used part of a `Deno.TcpConn`, on a socket of node:net. */
class AdoptedConn {
  readonly remoteAddr: Deno.NetAddr;
  readonly localAddr: Deno.NetAddr;
  readonly #socket: Socket;
  #chunk: Uint8Array | null = null;
  #ended = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    const { remoteAddress, remotePort, localAddress, localPort } = socket;
    this.remoteAddr = { transport: "tcp", hostname: remoteAddress ?? "", port: remotePort ?? 0 };
    this.localAddr = { transport: "tcp", hostname: localAddress ?? "", port: localPort ?? 0 };
    const wake = () => this.#wake?.();
    socket.on("data", (chunk: Uint8Array) => {
      // One chunk at a time: TCP makes the peer wait.
      socket.pause();
      this.#chunk = chunk;
      wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      wake();
    });
    socket.on("error", (error: Error) => {
      this.#error ??= errorOf(error);
      wake();
    });
    socket.on("close", () => {
      this.#error ??= new Deno.errors.BadResource("The connection is closed");
      wake();
    });
    socket.pause();
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (!this.#chunk) {
      if (this.#ended) return null;
      if (this.#error) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#socket.resume();
      });
      this.#wake = null;
    }
    const chunk = this.#chunk;
    const count = Math.min(chunk.length, buffer.length);
    buffer.set(count < chunk.length ? chunk.subarray(0, count) : chunk);
    this.#chunk = count < chunk.length ? chunk.subarray(count) : null;
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#error) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(errorOf(error)) : resolve(bytes.length));
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  setNoDelay(on = true): void {
    this.#socket.setNoDelay(on);
  }

  setKeepAlive(on = true): void {
    this.#socket.setKeepAlive(on);
  }

  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The error that Deno's own sockets throw. */
function errorOf(error: Error): Error {
  const { code } = error as { code?: string };
  if (code === "ECONNRESET") return new Deno.errors.ConnectionReset(error.message, { cause: error });
  if (code === "EPIPE") return new Deno.errors.BrokenPipe(error.message, { cause: error });
  return error;
}
