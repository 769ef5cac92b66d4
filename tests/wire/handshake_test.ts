/** Both sides of the handshake, message by message, without sockets. */
import assert from "node:assert/strict";
import { Declined, greet, type Introduction, readMessage, Refused } from "../../lib/client/handshake.ts";
import type { Dialled } from "../../lib/client/dial.ts";
import { Admission, OPEN } from "../../lib/intake/admission/admission.ts";
import { Gatherer } from "../../lib/intake/gatherer.ts";
import { TLS_HANDSHAKE } from "../../lib/intake/tls.ts";
import type { Transport } from "../../lib/net/transport.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { ClientMetrics } from "../../lib/server/client_metrics.ts";
import { ServerHandshake } from "../../lib/server/handshake.ts";
import { DEFAULT_LIMITS, type ServerShared } from "../../lib/server/shared.ts";
import { FrameReader } from "../../lib/wire/frames.ts";
import {
  ALUMET_VERSION,
  type ControlMessage,
  encodeFrame,
  OUR_RELAY_VERSION,
  PROTOCOL_VERSION,
  ProtocolViolation,
} from "../../lib/wire/protocol.ts";
import { LogLines } from "../kit/log_lines.ts";
import { instanceOf } from "../kit/points.ts";

/** A connection whose peer says these frames one after the other; it keeps what is written. */
class Wire implements Dialled {
  readonly remoteAddr: Deno.Addr = { transport: "tcp", hostname: "192.0.2.1", port: 1 };
  readonly written: number[] = [];
  isClosed = false;
  /** What reading does once all has been said. */
  atEnd: () => Promise<number | null> = () => Promise.resolve(null);
  readonly #said: Uint8Array[];

  constructor(...said: (ControlMessage | Uint8Array)[]) {
    this.#said = said.map((one) => one instanceof Uint8Array ? one : encodeFrame("", one).slice());
  }

  read(buffer: Uint8Array): Promise<number | null> {
    const next = this.#said[0];
    if (next === undefined) return this.atEnd();
    const count = Math.min(next.length, buffer.length);
    buffer.set(next.subarray(0, count));
    if (count < next.length) this.#said[0] = next.subarray(count);
    else this.#said.shift();
    return Promise.resolve(count);
  }

  // A few bytes at a time.
  write(bytes: Uint8Array): Promise<number> {
    const piece = bytes.subarray(0, 7);
    this.written.push(...piece);
    return Promise.resolve(piece.length);
  }

  close(): void {
    this.isClosed = true;
  }

  closeWrite = () => Promise.resolve();
}

/** The frames in some bytes, by the messages that they may have. */
function messagesIn(bytes: readonly number[], ...types: ControlMessage["type"][]): ControlMessage[] {
  const frames = new FrameReader();
  const messages: ControlMessage[] = [];
  let rest = Uint8Array.from(bytes);
  while (rest.length > 0) {
    const space = frames.space();
    const count = Math.min(space.length, rest.length);
    space.set(rest.subarray(0, count));
    rest = rest.slice(count);
    frames.received(count);
    while (frames.next()) messages.push(readMessage(frames, ...types));
  }
  return messages;
}

const GREETING: ControlMessage = {
  type: "greet",
  alumetVersion: ALUMET_VERSION,
  relayVersion: OUR_RELAY_VERSION,
  protocolVersion: PROTOCOL_VERSION,
};
const OURS = {
  type: "greetResponse",
  accept: true,
  alumetVersion: ALUMET_VERSION,
  relayVersion: OUR_RELAY_VERSION,
  protocolVersion: PROTOCOL_VERSION,
} as const;
const REAL = { ...OURS, relayVersion: "0.6.0" };
const WELCOME = { type: "welcome", sequence: 7, maxSeries: 300, last: { sequence: 7, check: 9 } } as const;
const HELLO = {
  type: "hello",
  instance: instanceOf("one"),
  token: "secret",
  previous: undefined,
  upstream: undefined,
} as const;

function introduction(change: Partial<Introduction> = {}): Introduction {
  return {
    clientName: "one",
    instance: instanceOf("one"),
    previous: undefined,
    upstream: undefined,
    token: () => "secret",
    server: "server:1",
    tlsKeys: { ca: "tls.ca", serverName: "tls.server_name", cert: "tls.cert" },
    timeoutMs: 60_000,
    ...change,
  };
}

Deno.test("a client greets a real server, introduces itself to one of ours, and goes on with what comes next", async () => {
  const real = new Wire(REAL);
  const greeted = await greet(real, introduction());
  assert.deepEqual([greeted.answer, greeted.welcome], [REAL, null]);
  assert.deepEqual(messagesIn(real.written, "greet"), [GREETING]);
  for (const [mark, reuses] of [["ack.1", false], ["ack.1.reuse.1", true]] as const) {
    const ours = new Wire({ ...OURS, relayVersion: `0.6.0+${mark}` }, WELCOME);
    const { welcome } = await greet(ours, introduction());
    assert.deepEqual(welcome, { ...WELCOME, reusesPlaces: reuses });
    assert.deepEqual(messagesIn(ours.written, "greet", "hello"), [GREETING, HELLO]);
    assert.equal(ours.isClosed, false);
  }
});

Deno.test("a server that refuses a client says why, and whether it may come back", async () => {
  await assert.rejects(
    greet(new Wire(OURS, { type: "refuse", reason: "a loop" }), introduction()),
    (error) => {
      assert.ok(error instanceof Declined);
      return error.message === "the server refuses this client: a loop";
    },
  );
  for (const relayVersion of [REAL.relayVersion, OUR_RELAY_VERSION]) {
    const answer = { ...OURS, relayVersion, accept: false, protocolVersion: 3 };
    await assert.rejects(greet(new Wire(answer), introduction()), (error) => {
      assert.ok(error instanceof Refused);
      return /server:1 refuses this client: it speaks version 3 .* this client version 2;/.test(
        error.message,
      );
    });
  }
});

Deno.test("a server that says another thing, or nothing, is named with it", async () => {
  await assert.rejects(
    greet(new Wire(WELCOME), introduction()),
    /sent message number \d+, not greetResponse$/,
  );
  await assert.rejects(greet(new Wire(OURS, OURS), introduction()), /sent message number \d+, not welcome$/);
  await assert.rejects(
    greet(new Wire(), introduction()),
    /closed the connection instead of answering \(greetResponse\)/,
  );
  await assert.rejects(
    greet(new Wire(OURS), introduction()),
    /closed the connection instead of answering \(welcome\)/,
  );
});

Deno.test("an answer to the greeting has 64 KiB at most", async () => {
  const rest = encodeFrame("", { ...REAL, alumetVersion: "" }).length - 4;
  // The length of a text above 16 KiB takes two bytes more than that of none.
  const answer = (bytes: number) => new Wire({ ...REAL, alumetVersion: "x".repeat(bytes - rest - 2) });
  assert.ok((await greet(answer(65_536), introduction())).answer.accept);
  await assert.rejects(greet(answer(65_537), introduction()), /65537/);
});

Deno.test("a server that does not answer in time is left, and a fatal alert of TLS is explained", async () => {
  const { setTimeout } = globalThis;
  const silent = new Wire();
  const limits: number[] = [];
  silent.atEnd = () => Promise.reject(new Error("it was closed"));
  globalThis.setTimeout = ((action: () => void, ms: number) => {
    limits.push(ms);
    action();
    return 0;
  }) as unknown as typeof setTimeout;
  try {
    await assert.rejects(
      greet(silent, introduction({ timeoutMs: 1500 })),
      new Error("the server accepted the connection and did not answer within 1s 500ms"),
    );
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assert.deepEqual([limits, silent.isClosed], [[1500], true]);
  const refusing = new Wire(OURS);
  const cause = new Error("received fatal alert: CertificateRequired");
  refusing.atEnd = () => Promise.reject(cause);
  await assert.rejects(greet(refusing, introduction()), (error) => {
    assert.ok(error instanceof Error && error.cause === cause);
    return /wants a certificate of this client \(tls\.cert\)/.test(error.message);
  });
  refusing.atEnd = () => Promise.reject(new Error("reset"));
  await assert.rejects(greet(refusing, introduction()), new Error("reset"));
});

/** A server with these rules, the handshake of one connection of it, and what it says in the log. */
function serving(change: Partial<ServerShared> = {}, unwanted?: string) {
  const logs = new LogLines();
  const stats = {
    clients: 0,
    connections: 0,
    points: 0,
    bytes: 0,
    rejectedPoints: 0,
    duplicatePoints: 0,
    refusedClients: 0,
  };
  const shared = {
    log: logs.log,
    metrics: new ClientMetrics(new MetricRegistry(), { maxMetrics: 10, maxNameBytes: 255 }),
    clients: new ClientTable(),
    identity: { id: instanceOf("server") },
    safety: "durable",
    limits: { ...DEFAULT_LIMITS, maxSeries: 5000 },
    stats,
    gatherer: new Gatherer(),
    admission: new Admission(OPEN, logs.log),
    tls: undefined,
    unacknowledged: new Set(),
    ...change,
  } as unknown as ServerShared;
  const peer = { hostname: "192.0.2.1" };
  return { handshake: new ServerHandshake(shared, peer, "192.0.2.1:7", unwanted), shared, lines: logs.lines };
}

/** A reader that has found this message of a client. */
function framesOf(message: ControlMessage, name = "one"): FrameReader {
  const frames = new FrameReader();
  const bytes = encodeFrame(name, message);
  frames.space().set(bytes);
  frames.received(bytes.length);
  assert.ok(frames.next());
  return frames;
}

Deno.test("a connection without TLS begins with what was read; one with TLS needs a certificate of the server", async () => {
  const first = (...bytes: number[]) => new Wire(Uint8Array.from(bytes));
  const plain = serving();
  const frames = new FrameReader();
  const wire = first(0, 0, 0, 9);
  assert.equal(await plain.handshake.begin(wire, frames), wire);
  assert.deepEqual([plain.shared.stats.bytes, frames.next(), frames.partialBytes], [4, false, 4]);
  const gone = new Wire();
  const used = new FrameReader();
  used.space()[0] = TLS_HANDSHAKE;
  assert.equal(await plain.handshake.begin(gone, used), gone, "what the buffer had before does not count");
  await assert.rejects(
    plain.handshake.begin(first(TLS_HANDSHAKE, 3), new FrameReader()),
    (error) => error instanceof ProtocolViolation && /this server has no certificate/.test(error.message),
  );
  const secured = new Wire();
  let known: Uint8Array | undefined;
  const secure = (_: Transport, bytes: Uint8Array) => (known = bytes, Promise.resolve(secured));
  const terminator = { secure } as unknown as NonNullable<ServerShared["tls"]>["terminator"];
  const tls = { terminator, mode: "required" } as const;
  const reader = new FrameReader();
  const secureServer = serving({ tls });
  assert.equal(await secureServer.handshake.begin(first(TLS_HANDSHAKE, 3, 1), reader), secured);
  assert.deepEqual([known, reader.next(), reader.partialBytes], [
    Uint8Array.of(TLS_HANDSHAKE, 3, 1),
    false,
    0,
  ]);
  assert.ok(await secureServer.handshake.greet(new Wire(), framesOf({ ...GREETING, relayVersion: "0.6.0" })));
  terminator.secure = () => Promise.reject(new Error("no shared cipher"));
  await assert.rejects(
    serving({ tls }).handshake.begin(first(TLS_HANDSHAKE), new FrameReader()),
    (error) => error instanceof ProtocolViolation && error.message === "no TLS connection: no shared cipher",
  );
});

Deno.test("a real client is accepted or refused after its greeting, one of ours after its introduction", async () => {
  const answerTo = async (
    relayVersion: string,
    server: ReturnType<typeof serving>,
    protocolVersion = PROTOCOL_VERSION,
  ) => {
    const conn = new Wire();
    const greeted = await server.handshake.greet(
      conn,
      framesOf({ ...GREETING, relayVersion, protocolVersion } as ControlMessage),
    );
    const [answer] = messagesIn(conn.written, "greetResponse");
    assert.deepEqual(answer, { ...OURS, accept: (answer as typeof OURS).accept });
    return { greeted, accept: (answer as typeof OURS).accept, lines: server.lines.join("") };
  };
  const versions = { alumet: ALUMET_VERSION, relay: "0.6.0" };
  assert.deepEqual(await answerTo("0.6.0", serving()), {
    greeted: { name: "one", grant: { name: "one", forward: true }, versions },
    accept: true,
    lines: "",
  });
  const refusing = () => serving({}, "its address is denied");
  assert.deepEqual(await answerTo("0.6.0", refusing()), {
    greeted: null,
    accept: false,
    lines: 'WARN  test: Refusing a client client=one address=192.0.2.1:7 reason="its address is denied"\n',
  });
  assert.deepEqual(await answerTo(OUR_RELAY_VERSION, refusing()), {
    greeted: { name: "one", grant: null, versions: { ...versions, relay: OUR_RELAY_VERSION } },
    accept: true,
    lines: "",
  });
  for (const version of ["0.6.0", OUR_RELAY_VERSION]) {
    const { greeted, accept, lines } = await answerTo(version, serving(), 3);
    assert.deepEqual([greeted, accept], [null, false]);
    assert.match(
      lines,
      /^WARN .*it speaks another version of the protocol client=one .* its_version=3 our_version=2\n$/,
    );
  }
  await assert.rejects(
    serving().handshake.greet(new Wire(), framesOf(OURS)),
    (error) =>
      error instanceof ProtocolViolation &&
      /the first message is number \d+, not a greeting/.test(error.message),
  );
});

Deno.test("without TLS a client is refused where TLS is required, and one with TLS is not", async () => {
  const terminator = { secure: () => Promise.resolve(new Wire()) } as unknown as NonNullable<
    ServerShared["tls"]
  >["terminator"];
  for (
    const [mode, secure, accept] of [["required", false, false], ["required", true, true], [
      "optional",
      false,
      true,
    ]] as const
  ) {
    const { handshake, lines } = serving({ tls: { terminator, mode } });
    if (secure) await handshake.begin(new Wire(Uint8Array.of(TLS_HANDSHAKE)), new FrameReader());
    const greeted = await handshake.greet(new Wire(), framesOf({ ...GREETING, relayVersion: "0.6.0" }));
    assert.equal(greeted !== null, accept, `${mode} ${secure}`);
    assert.equal(/this server only accepts TLS connections/.test(lines.join("")), !accept);
  }
});

/** What a server says to an introduction, and in its log. */
async function introduced(
  message: ControlMessage,
  server = serving(),
  name = "one",
) {
  const conn = new Wire();
  const receiver = await server.handshake.welcome(conn, framesOf(message, name), name, () => {});
  const [answer] = messagesIn(conn.written, "welcome", "refuse");
  return { receiver, answer, lines: server.lines.splice(0).join("") };
}

Deno.test("a client of ours is told what the server has of it, and how many series it may have", async () => {
  const server = serving();
  const { clients } = server.shared;
  const first = await introduced(HELLO, server);
  assert.ok(first.receiver);
  assert.deepEqual(first.answer, { type: "welcome", sequence: 0, maxSeries: 5000, last: undefined });
  assert.equal(first.lines, "");
  const client = clients.get("one", HELLO.instance);
  assert.ok(Math.abs(Date.now() - client.lastContactMs) < 60_000);
  client.numbers.accepted = 9;
  client.numbers.restore(7);
  client.numbers.checks.add(6, 66);
  client.numbers.checks.add(8, 88);
  const again = await introduced(
    { ...HELLO, previous: instanceOf("before"), upstream: [instanceOf("hop")] },
    server,
  );
  assert.deepEqual(again.answer, {
    type: "welcome",
    sequence: 7,
    maxSeries: 5000,
    last: { sequence: 6, check: 66 },
  });
  assert.match(again.lines, /^WARN .*A client changed its instance id.* client=one .* previous=\w+\n$/);
  // The same numbers under a new name.
  const renamed = await introduced(HELLO, server, "new");
  assert.match(
    renamed.lines,
    /^INFO .*The client has a new name client=new address=192\.0\.2\.1:7 before=one\n$/,
  );
  assert.equal((await introduced(HELLO, server, "new")).lines, "");
  for (const { receiver } of [first, again, renamed]) receiver?.[Symbol.dispose]();
});

Deno.test("the name before is that with the latest contact, and the first of several", async () => {
  const server = serving();
  const { clients } = server.shared;
  for (const [name, contact] of [["a", 5], ["b", 9], ["c", 9]] as const) {
    clients.get(name, HELLO.instance).lastContactMs = contact;
  }
  const { lines, receiver } = await introduced(HELLO, server, "d");
  assert.match(lines, / before=b\n$/);
  receiver?.[Symbol.dispose]();
});

Deno.test("a client whose points would come back is refused, with the connection to remove", async () => {
  const reason = async (message: ControlMessage) => {
    const { receiver, answer, lines } = await introduced(message);
    assert.equal(receiver === null, answer.type === "refuse");
    if (answer.type !== "refuse") return "";
    assert.ok(lines.startsWith("WARN  test: Refusing a client client=one address=192.0.2.1:7 reason="));
    return answer.reason;
  };
  const server = instanceOf("server");
  assert.match(await reason({ ...HELLO, instance: server }), /^it is this server itself: /);
  assert.match(
    await reason({ ...HELLO, upstream: [instanceOf("a"), server] }),
    /^it gets points from this server, /,
  );
  assert.equal(await reason({ ...HELLO, upstream: [instanceOf("a")] }), "");
  await assert.rejects(
    serving().handshake.welcome(new Wire(), framesOf(WELCOME), "one", () => {}),
    (error) =>
      error instanceof ProtocolViolation &&
      /message number \d+ instead of an introduction/.test(error.message),
  );
});

Deno.test("a connected client is rechecked by what it was granted", async () => {
  const { handshake, shared } = serving();
  await introduced(HELLO, { handshake, shared, lines: [] });
  assert.equal(handshake.recheck(), undefined);
  shared.admission.change({ ...OPEN, deny: ["192.0.2.0/24"] });
  assert.equal(handshake.recheck(), "its address is denied now");
});
