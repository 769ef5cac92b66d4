import assert from "node:assert/strict";
import { PolledListener, type PolledSocket } from "../../lib/net/polled_socket.ts";
import { retried, SocketCalls } from "../../lib/net/socket_calls.ts";
import { within } from "../../lib/base/waiting.ts";

const LONG_MS = 600_000;
const LIMIT_MS = 60_000;
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A listener whose pauses end when the test says so; it has none unless the test wants them. */
class Polled implements AsyncDisposable {
  readonly listener: Deno.TcpListener;
  readonly polled: PolledListener;
  readonly clients: Deno.TcpConn[] = [];
  pauses = 0;
  hasPauses = false;

  constructor(hostname = "127.0.0.1") {
    this.listener = Deno.listen({ hostname, port: 0 });
    const polled = PolledListener.open(this.listener, {
      pauseMs: () => this.hasPauses ? LONG_MS : 0,
      begin: () => {},
      end: (isPausing) => {
        if (isPausing) this.pauses++;
      },
    });
    assert.ok(polled);
    this.polled = polled;
  }

  get address(): Deno.NetAddr {
    return this.listener.addr as Deno.NetAddr;
  }

  /** Both ends of a connection. */
  async connect(hostname = this.address.hostname): Promise<{ client: Deno.TcpConn; socket: PolledSocket }> {
    const client = await Deno.connect({ hostname, port: this.address.port });
    this.clients.push(client);
    return { client, socket: await this.polled.accept() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.polled.close();
    this.listener.close();
    await this.polled[Symbol.asyncDispose]();
    for (const client of this.clients) client.close();
  }
}

/** Reads until so many bytes have come, or the end. */
async function readBytes(
  socket: { read(space: Uint8Array): Promise<number | null> },
  most: number,
): Promise<number> {
  const space = new Uint8Array(65_536);
  let bytes = 0;
  for (let count; bytes < most && (count = await socket.read(space)) !== null;) bytes += count;
  return bytes;
}

Deno.test("what a client sends is read, and its end is null", async () => {
  await using polled = new Polled();
  const { client, socket } = await polled.connect();
  const { hostname, port } = client.localAddr as Deno.NetAddr;
  assert.deepEqual(socket.remoteAddr, { transport: "tcp", hostname, port });
  const space = new Uint8Array(100);
  await client.write(bytesOf("hello"));
  assert.equal(await socket.read(space), 5);
  assert.equal(new TextDecoder().decode(space.subarray(0, 5)), "hello");
  await client.write(bytesOf("end"));
  await client.closeWrite();
  assert.equal(await socket.read(space), 3);
  assert.equal(await socket.read(space), null);
  await socket.write(bytesOf("answer"));
  await socket.closeWrite();
  assert.equal(await readBytes(client, 100), 6);
});

Deno.test("the address of an IPv4 client of a listener for both families is written as Deno writes it", async () => {
  await using polled = new Polled("::");
  const { socket } = await polled.connect("127.0.0.1");
  assert.equal(socket.remoteAddr.hostname, "::ffff:127.0.0.1");
});

Deno.test("nothing is read in a pause, and what came in it is read together afterwards", async () => {
  await using polled = new Polled();
  const pairs = [await polled.connect(), await polled.connect(), await polled.connect()];
  let read = 0;
  const reads = pairs.map(async ({ socket }) => {
    await socket.read(new Uint8Array(10));
    read++;
    // What has been read is followed by a pause.
    if (read === 1) polled.hasPauses = true;
  });
  await pairs[0].client.write(bytesOf("is read"));
  await reads[0];
  for (const { client } of pairs.slice(1)) await client.write(bytesOf("waits"));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(read, 1);
  polled.hasPauses = false;
  polled.polled.hurry();
  await Promise.all(reads);
});

Deno.test("where a pause has brought nothing, there is none until something comes within the time of one", async () => {
  await using polled = new Polled();
  const { client, socket } = await polled.connect();
  const space = new Uint8Array(10);
  const next = async () => {
    const read = socket.read(space);
    await client.write(bytesOf("x"));
    return read;
  };
  /** What has been read is followed by a pause when all that is due has run. */
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
  // What the kernel says of a new connection comes before its first bytes, and would be followed by a pause.
  await next();
  await turn();
  polled.hasPauses = true;
  await next();
  await turn();
  polled.polled.hurry();
  await turn();
  // It has brought nothing: what comes then is read at once, and so is what comes after it.
  for (let n = 0; n < 2; n++) {
    assert.ok(await within(next(), LIMIT_MS));
    await turn();
  }
  // That was within the time of a pause.
  const waiting = next();
  assert.equal(await within(waiting, 5), false);
  polled.polled.hurry();
  assert.equal(await waiting, 1);
});

Deno.test("what is left behind a full buffer is read without a pause", async () => {
  await using polled = new Polled();
  const { client, socket } = await polled.connect();
  await client.write(new Uint8Array(50_000));
  const space = new Uint8Array(500);
  const before = polled.pauses;
  for (let bytes = 0; bytes < 50_000;) bytes += (await socket.read(space))!;
  assert.ok(polled.pauses - before < 50, `${polled.pauses - before} pauses in 100 reads`);
});

Deno.test("a write that the kernel has no room for goes on when the client reads", async () => {
  await using polled = new Polled();
  const { client, socket } = await polled.connect();
  const bytes = 8 * 1024 * 1024;
  const written = (async () => {
    for (let done = 0; done < bytes;) done += await socket.write(new Uint8Array(bytes - done));
  })();
  assert.equal(await readBytes(client, bytes), bytes);
  await written;
});

Deno.test("a write fails when the client has gone, and everything fails when its own end is closed", async () => {
  await using polled = new Polled();
  const { client, socket } = await polled.connect();
  client.close();
  polled.clients.pop();
  const error = await (async () => {
    while (true) await socket.write(bytesOf("for nobody"));
  })().catch((error) => error);
  assert.ok(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset, error);

  const { socket: other } = await polled.connect();
  const reading = other.read(new Uint8Array(10));
  other.close();
  other.close();
  await assert.rejects(reading, Deno.errors.BadResource);
  await assert.rejects(other.read(new Uint8Array(10)), Deno.errors.BadResource);
  await assert.rejects(other.write(new Uint8Array(10)), Deno.errors.BadResource);
});

Deno.test("disposing of the listener closes its connections, and whoever accepts gets an error", async () => {
  const polled = new Polled();
  const { client } = await polled.connect();
  const accepting = polled.polled.accept();
  polled.polled.close();
  await assert.rejects(accepting, Deno.errors.BadResource);
  await assert.rejects(polled.polled.accept(), Deno.errors.BadResource);
  const ended = readBytes(client, Infinity);
  polled.listener.close();
  await polled.polled[Symbol.asyncDispose]();
  assert.equal(await ended, 0);
  assert.ok(await within(polled.polled[Symbol.asyncDispose](), LONG_MS));
  client.close();
});

Deno.test("an error of the system has its text and number", () => {
  using calls = SocketCalls.open();
  assert.throws(() => calls!.receive(-1, new Uint8Array(1)), { message: "Bad file descriptor (os error 9)" });
  assert.equal(calls!.listenerOf({ transport: "tcp", hostname: "192.0.2.1", port: 1 }), -1);
});

Deno.test("an error that a call on a socket cannot have is believed when it comes twice, one of a connection at once", () => {
  const [EINTR, EBADF, EAGAIN, ENOMEM, EINVAL, ECONNRESET] = [4, 9, 11, 12, 22, 104];
  /** What each further call returns, or the number of its error below 0. */
  const outcome = (first: number, ...later: number[]) => {
    let errno = first;
    const call = () => {
      const next = later.shift()!;
      if (next < 0) errno = -next;
      return Math.max(-1, next);
    };
    const { value, errno: error } = retried(first, call, () => errno);
    assert.deepEqual(later, [], "it made all these calls");
    return error === 0 ? value : `error ${error}`;
  };
  assert.equal(outcome(ECONNRESET), "error 104");
  assert.equal(outcome(ENOMEM, 7), 7, "the error was that of something else");
  assert.equal(outcome(ENOMEM, -EAGAIN), null);
  assert.equal(outcome(ENOMEM, -ECONNRESET), "error 104");
  assert.equal(outcome(EBADF, -EBADF), "error 9");
  assert.equal(outcome(EINVAL, -ENOMEM, -ENOMEM), "error 12");
  assert.equal(outcome(EINTR, -EINTR, 0), 0);
  const alternating = Array.from({ length: 99 }, (_, n) => n % 2 === 0 ? -ENOMEM : -EINVAL);
  assert.equal(outcome(EINVAL, ...alternating), "error 12", "it is not made for ever");
});
