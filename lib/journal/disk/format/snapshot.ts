/**
 * The table of clients at a place of the journal, as the first record of each segment. So the last segment alone is enough
 * to know every client, and the points of each client between two places are a difference.
 *
 *     u8 0, varint count, for each client (the first one is this process)
 *         string name, u8 1 and 16 bytes of instance id or u8 0
 *         varint sequence of its last batch before this place
 *         varint points of it that were written to the journal before this place
 *         varint last contact, in ms since the epoch
 */
import { PostcardError, PostcardReader, PostcardWriter } from "../../../postcard.ts";
import { readIdentity, whole, writeIdentity } from "./record.ts";

/** A client at a place of the journal. */
export interface ClientState {
  readonly name: string;
  readonly instance: string;
  /** Number of its last batch before the place; 0 if it does not number them. */
  sequence: number;
  /** Points of it that were written to the journal before the place, since the client is known. */
  points: number;
  /** In ms since the epoch. */
  contactMs: number;
}

const KIND = 0;

export function encodeSnapshot(states: readonly Readonly<ClientState>[]): Uint8Array<ArrayBuffer> {
  const writer = new PostcardWriter(64 * (states.length + 1));
  writer.u8(KIND).u64(states.length);
  for (const state of states) {
    writeIdentity(writer, state);
    writer.u64(state.sequence).u64(state.points).u64(Math.max(0, Math.floor(state.contactMs)));
  }
  return writer.written;
}

/** @returns The clients, this process first. @throws {PostcardError} if the bytes are not a snapshot. */
export function decodeSnapshot(payload: Uint8Array): ClientState[] {
  const reader = new PostcardReader(payload);
  const kind = reader.u8();
  const count = reader.length(5);
  if (kind !== KIND || count === 0) throw new PostcardError("bad_discriminant", 0, "this is not a snapshot");
  const states: ClientState[] = [];
  for (let i = 0; i < count; i++) {
    const { name, instance } = readIdentity(reader);
    states.push({
      name,
      instance,
      sequence: whole(reader),
      points: whole(reader),
      contactMs: whole(reader),
    });
  }
  if (reader.remaining > 0) {
    throw new PostcardError("end_of_input", reader.offset, "there are more bytes after it");
  }
  return states;
}
