/**
 * Sends the recorded real-agent session from many hosts, each with a name of its own, again and again with times that
 * go on: `send_hosts.ts PORT HOSTS REPEATS`. Ends when the server has read everything and closed.
 */
import { PostcardReader } from "../lib/postcard.ts";

const [port, hosts, repeats] = Deno.args.map(Number);
const session = Deno.readFileSync(
  new URL("../tests/testdata/sessions/real-agent/client-0.bin", import.meta.url),
);
/** Seconds between the first points of a session and of the next one; it takes less. */
const STEP_SECONDS = 4;
const SEND_MEASUREMENTS = 3;
/** A varint of the times of our days. */
const SECONDS_BYTES = 5;

/** A message behind its sender, and where seconds stand in it. */
interface Message {
  readonly rest: Uint8Array<ArrayBuffer>;
  readonly seconds: readonly { readonly offset: number; readonly value: number }[];
}

function messages(): Message[] {
  const found: Message[] = [];
  const view = new DataView(session.buffer);
  for (let at = 0; at < session.length;) {
    const length = view.getUint32(at);
    const body = session.slice(at + 4, at + 4 + length);
    at += 4 + length;
    const reader = new PostcardReader(body);
    reader.string();
    const start = reader.offset;
    const seconds: { offset: number; value: number }[] = [];
    if (reader.discriminant(4) === SEND_MEASUREMENTS) {
      for (let count = Number(reader.u64()); count > 0; count--) {
        reader.u64();
        const offset = reader.offset - start;
        const value = Number(reader.u64());
        if (reader.offset - start - offset !== SECONDS_BYTES) throw new RangeError("An unusual time");
        seconds.push({ offset, value });
        reader.u32();
        skipValue(reader);
        for (let text = 0; text < 4; text++) reader.string();
        for (let attributes = Number(reader.u64()); attributes > 0; attributes--) {
          reader.string();
          skipValue(reader);
        }
      }
    }
    found.push({ rest: body.slice(start), seconds });
  }
  return found;
}

function skipValue(reader: PostcardReader): void {
  const kind = reader.discriminant(5);
  if (kind === 0) reader.f64();
  else if (kind === 1) reader.u64();
  else if (kind === 2) reader.bool();
  else if (kind === 3) reader.string();
  else for (let count = Number(reader.u64()); count > 0; count--) reader.u64();
}

function frameOf(sender: Uint8Array, rest: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(5 + sender.length + rest.length);
  new DataView(frame.buffer).setUint32(0, frame.length - 4);
  frame[4] = sender.length;
  frame.set(sender, 5);
  frame.set(rest, 5 + sender.length);
  return frame;
}

async function send(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}

interface Host {
  readonly conn: Deno.TcpConn;
  readonly points: readonly {
    readonly frame: Uint8Array<ArrayBuffer>;
    readonly seconds: Message["seconds"];
  }[];
  /** Bytes before what is behind the sender. */
  readonly head: number;
}

async function connect(number: number, all: readonly Message[]): Promise<Host> {
  // As long as the name in the recording, so that the CSV file has the same size.
  const sender = new TextEncoder().encode(`n-${String(number).padStart(4, "0")}`);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const frames = all.map(({ rest, seconds }) => ({ frame: frameOf(sender, rest), seconds }));
  // The greeting and the two messages that register metrics come once.
  for (const { frame } of frames.filter(({ seconds }) => seconds.length === 0)) await send(conn, frame);
  return { conn, points: frames.filter(({ seconds }) => seconds.length > 0), head: 5 + sender.length };
}

async function sendSession({ conn, points, head }: Host, later: number): Promise<void> {
  for (const { frame, seconds } of points) {
    for (const { offset, value } of seconds) {
      let rest = value + later;
      for (let at = head + offset, end = at + SECONDS_BYTES; at < end; at++) {
        frame[at] = (rest & 0x7f) | (at < end - 1 ? 0x80 : 0);
        rest = Math.floor(rest / 128);
      }
    }
    await send(conn, frame);
  }
}

const all = messages();
const connected = await Promise.all(Array.from({ length: hosts }, (_, number) => connect(number, all)));
// Clocks of hosts go alike: none is more than a session ahead.
for (let n = 0; n < repeats; n++) {
  await Promise.all(connected.map((host) => sendSession(host, n * STEP_SECONDS)));
}
await Promise.all(connected.map(async ({ conn }) => {
  await conn.closeWrite();
  const nothing = new Uint8Array(1024);
  while (await conn.read(nothing) !== null);
  conn.close();
}));
