/**
 * The client's side of the handshake: both ends exchange their versions; then the client tells a server of ours its
 * instance id, and the server answers with what it has of this client (see docs/protocol.md).
 */
import type { Dialled } from "./dial.ts";
import { explainTls, type TlsKeys } from "./tls_problem.ts";
import { formatDuration } from "../base/duration.ts";
import { messageOf } from "../base/errors.ts";
import { Timer } from "../base/timers.ts";
import { closeQuietly } from "../base/waiting.ts";
import { FrameReader } from "../wire/frames.ts";
import { PostcardReader } from "../postcard.ts";
import {
  acknowledges,
  ALUMET_VERSION,
  type ControlMessage,
  encodeFrame,
  type GreetResponse,
  MESSAGE_END,
  OUR_RELAY_VERSION,
  PROTOCOL_VERSION,
  readControlMessage,
  reusesPlaces,
  type Welcome,
} from "../wire/protocol.ts";
import { writeAll } from "../net/transport.ts";

/** The largest answer to the greeting that is read, in bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** A server of ours does not want this client now, and says why: a loop, a token, a limit. */
export class Declined extends Error {
  override readonly name = "Declined";
}

/** The server will never accept this client. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** What the client says about itself. */
export interface Introduction {
  /** The name of this client, which is in its messages. */
  clientName: string;
  /** The instance id, by which a server of ours identifies this client. */
  instance: string;
  /** The instance id before, if another client uses it as well. */
  previous: string | undefined;
  /** Of a hop: the hops that it gets points from. */
  upstream: readonly string[] | undefined;
  /** The token, `""` for none; only a server of ours gets it. @throws if it must not be sent on this connection */
  token: () => string;
  /** The address of the server, for messages. */
  server: string;
  /** Names of configuration keys, for messages. */
  tlsKeys: TlsKeys;
  /** Time limit from the greeting to the server's complete answer, in ms. */
  timeoutMs: number;
}

/** A server of ours. */
export interface Welcomed extends Welcome {
  /** Series in this client's stream may take the places of others. */
  readonly reusesPlaces: boolean;
}

/** A server that accepts this client. */
export interface Greeted {
  /** Reads what the server says next. */
  frames: FrameReader;
  /** The versions of the server. */
  answer: GreetResponse;
  /** What a server of ours has of this client; `null` for a real Alumet agent, which acknowledges nothing. */
  welcome: Welcomed | null;
}

/**
 * Greets the server and, if it is one of ours, introduces this client.
 *
 * @throws {Refused} if the server speaks another version of the protocol.
 * @throws {Error} if it does not answer in time (the connection is closed then), or answers something else.
 */
export async function greet(conn: Dialled, introduction: Introduction): Promise<Greeted> {
  const { clientName, timeoutMs } = introduction;
  const frames = new FrameReader(MAX_ANSWER_BYTES);
  let late = false;
  using _limit = Timer.after(timeoutMs, () => {
    late = true;
    closeQuietly(conn);
  });
  let answer: GreetResponse;
  let welcome: Welcomed | null = null;
  try {
    const greeting = encodeFrame(clientName, {
      type: "greet",
      alumetVersion: ALUMET_VERSION,
      relayVersion: OUR_RELAY_VERSION,
      protocolVersion: PROTOCOL_VERSION,
    });
    await writeAll(conn, greeting);
    answer = await readAnswer(conn, frames, "greetResponse");
    if (answer.accept && acknowledges(answer.relayVersion)) {
      welcome = {
        ...await introduce(conn, frames, introduction),
        reusesPlaces: reusesPlaces(answer.relayVersion),
      };
    }
  } catch (error) {
    if (late) {
      throw new Error(
        `the server accepted the connection and did not answer within ${formatDuration(timeoutMs)}`,
      );
    }
    // In TLS 1.3 a server that does not accept the client's certificate says so after the handshake.
    if (/fatal alert/.test(messageOf(error))) {
      throw new Error(explainTls(messageOf(error), introduction.tlsKeys), { cause: error });
    }
    throw error;
  }
  if (!answer.accept) {
    throw new Refused(
      `The relay server ${introduction.server} refuses this client: it speaks version ${answer.protocolVersion} of ` +
        `the protocol, this client version ${PROTOCOL_VERSION}; run versions that agree at both ends`,
    );
  }
  return { frames, answer, welcome };
}

/** Introduces this client to a server of ours. */
async function introduce(
  conn: Dialled,
  frames: FrameReader,
  { clientName, instance, previous, upstream, token }: Introduction,
): Promise<Welcome> {
  await writeAll(
    conn,
    encodeFrame(clientName, { type: "hello", instance, token: token(), previous, upstream }),
  );
  const reply = await readAnswer(conn, frames, "welcome", "refuse");
  if (reply.type === "refuse") throw new Declined(`the server refuses this client: ${reply.reason}`);
  return reply;
}

type MessageOf<T extends ControlMessage["type"]> = Extract<ControlMessage, { type: T }>;

/** The message in the frame that `frames` has found. @throws if it has none of these types. */
export function readMessage<T extends ControlMessage["type"]>(
  frames: FrameReader,
  ...types: T[]
): MessageOf<T> {
  const reader = new PostcardReader(frames.bytes, frames.start, frames.end);
  reader.string();
  const discriminant = reader.discriminant(MESSAGE_END);
  const message = readControlMessage(reader, discriminant);
  if (!(types as string[]).includes(message.type)) {
    throw new Error(`the server sent message number ${discriminant}, not ${types[0]}`);
  }
  return message as MessageOf<T>;
}

/** The server's next message. */
async function readAnswer<T extends ControlMessage["type"]>(
  conn: Dialled,
  frames: FrameReader,
  ...types: T[]
): Promise<MessageOf<T>> {
  while (!frames.next()) {
    const count = await conn.read(frames.space());
    if (count === null) {
      throw new Error(`the server closed the connection instead of answering (${types[0]})`);
    }
    frames.received(count);
  }
  return readMessage(frames, ...types);
}
