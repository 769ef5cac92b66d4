/** What hostile clients say: recorded and made-up sessions with changed messages. Each connection follows from its seed. */
import { Chance, framesOf, testdata, withSlack } from "../../tests/kit/bytes.ts";
import { sessionBatches } from "../../tests/kit/session.ts";
import { greeting } from "../../tests/kit/wire.ts";
import { BatchEncoder } from "../../lib/batches/codec.ts";
import { Batch } from "../../lib/points/measurement.ts";
import { PostcardReader, PostcardWriter } from "../../lib/postcard.ts";
import { readValue } from "../../lib/points/tail.ts";
import { encodeFrame, MESSAGE, MESSAGE_END, OUR_RELAY_VERSION } from "../../lib/wire/protocol.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** One connection: parts that are written one after the other. */
export interface Script {
  readonly tls: boolean;
  readonly parts: readonly { readonly bytes: Bytes; readonly mutated: boolean }[];
  /** What happens at the end: the other side's end is waited for, or not. */
  readonly end: "wait" | "cut";
}

/** Rows of a message that is passed on in acknowledged delivery. */
const ROWS = 40;
const BIG = 4096;

/** Messages to change, by the way they are spoken. */
export class Stock {
  readonly #plain: Bytes[][];
  readonly #batches: Batch[];
  readonly #hello: Bytes;

  /** @param clientHello What a TLS client says first. */
  constructor(clientHello: Bytes) {
    this.#hello = clientHello;
    const sessions = ["real-agent/client-0", "odd-values/client-0", "custom-unit/client-0"];
    sessions.push("renames/client-0", "renames/client-1", "renames/client-2");
    this.#plain = sessions.map((name) => framesOf(testdata(`sessions/${name}.bin`)).map(shortened));
    this.#batches = sessionBatches().slice(0, 6).map((batch) => {
      const few = new Batch(ROWS);
      for (let row = 0; row < Math.min(ROWS, batch.length); row++) few.pushFrom(batch, row);
      return few;
    });
  }

  script(seed: number): Script {
    const chance = new Chance(seed);
    const kind = chance.int(100);
    const end = chance.int(4) === 0 ? "cut" : "wait";
    const tls = chance.int(25) === 0;
    if (kind < 50) return { tls, parts: this.#session(chance), end };
    if (kind < 85) return { tls, parts: this.#acknowledged(chance), end };
    if (kind < 93) return { tls: false, parts: this.#handshake(chance), end };
    const noise = chance.int(3) === 0 ? chance.bytes(BIG) : this.#http(chance);
    return { tls, parts: [{ bytes: noise, mutated: true }], end };
  }

  /** A session of protocol 2: its head mostly as it is, then changed messages. */
  #session(chance: Chance): Script["parts"] {
    const frames = chance.pick(this.#plain);
    const [greet, ...rest] = frames;
    const parts = [maybe(chance, greet, 20)];
    const head = Math.min(rest.length, 2);
    for (let n = 0; n < head; n++) parts.push(maybe(chance, rest[n], 6));
    for (let n = 1 + chance.int(6); n > 0; n--) parts.push(maybe(chance, chance.pick(frames), 1));
    return parts;
  }

  /** A session with acknowledgements, as alumet-relay speaks it. */
  #acknowledged(chance: Chance): Script["parts"] {
    const name = `hostile-${chance.int(50)}`;
    const instance = Array.from({ length: 32 }, () => chance.int(16).toString(16)).join("");
    const hello = encodeFrame(name, { type: "hello", instance, token: chance.text() });
    const parts = [maybe(chance, greeting(name, 2, OUR_RELAY_VERSION), 30), maybe(chance, hello, 10)];
    const encoder = new BatchEncoder();
    const good = chance.int(4);
    for (let n = 0; n < good + 1 + chance.int(5); n++) {
      const writer = new PostcardWriter().raw(new Uint8Array(4)).string("").discriminant(MESSAGE.batch);
      writer.u64(chance.int(10) === 0 ? chance.int(3) : 1).raw(encoder.encode(chance.pick(this.#batches)));
      const frame = writer.written;
      new DataView(frame.buffer, frame.byteOffset).setUint32(0, frame.length - 4);
      parts.push(n < good ? { bytes: frame, mutated: false } : maybe(chance, frame, 1));
    }
    return parts;
  }

  /** Bytes that begin like a TLS handshake and are not one. */
  #handshake(chance: Chance): Script["parts"] {
    const bytes = chance.int(2) === 0
      ? chance.mutate(this.#hello)
      : Uint8Array.of(0x16, ...chance.bytes(600));
    if (bytes.length > 0) bytes[0] = 0x16;
    return [{ bytes, mutated: true }];
  }

  #http(chance: Chance): Bytes {
    const path = chance.text(200);
    return new TextEncoder().encode(`${chance.pick(["GET", "PUT", "\u0016GET"])} /${path} HTTP/1.1\r\n\r\n`);
  }
}

/** The same message with its first points alone. */
function shortened(frame: Bytes): Bytes {
  const reader = new PostcardReader(withSlack(frame), 4, frame.length);
  const sender = reader.string();
  if (reader.discriminant(MESSAGE_END) !== MESSAGE.sendMeasurements) return frame;
  const count = Math.min(reader.length(10), ROWS);
  const start = reader.offset;
  for (let n = 0; n < count; n++) {
    for (let part = 0; part < 3; part++) reader.u64();
    readValue(reader);
    for (let text = 0; text < 4; text++) reader.string();
    reader.sequence((r) => [r.string(), readValue(r)]);
  }
  const writer = new PostcardWriter().raw(new Uint8Array(4)).string(sender).discriminant(
    MESSAGE.sendMeasurements,
  );
  return withLength(writer.u64(count).raw(frame.subarray(start, reader.offset)).written);
}

function withLength(frame: Bytes): Bytes {
  if (frame.length >= 4) new DataView(frame.buffer, frame.byteOffset).setUint32(0, frame.length - 4);
  return frame;
}

/** With one byte changed behind the length: mostly still a message. */
function oneByte(chance: Chance, frame: Bytes): Bytes {
  const bytes = frame.slice();
  bytes[Math.min(bytes.length - 1, 4 + chance.int(bytes.length))] = chance.int(256);
  return bytes;
}

/** Changes the message once in a given number of times. The length in front is mostly corrected. */
function maybe(chance: Chance, frame: Bytes, once: number): { bytes: Bytes; mutated: boolean } {
  if (chance.int(once) > 0) return { bytes: frame, mutated: false };
  const bytes = chance.int(3) === 0 ? oneByte(chance, frame) : chance.mutate(frame);
  return { bytes: chance.int(10) === 0 ? bytes : withLength(bytes), mutated: true };
}
