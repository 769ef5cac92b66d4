/**
 * Whose points are in a record: what stands before the batch (a record of ../batch_codec.ts) in its payload.
 *
 *     varint count of origins (0: all points are of this process), for each one
 *         varint 0 and the definition of a client that this segment has not had yet (string name, u8 1 and 16 bytes of
 *         instance id, or u8 0), or the number of a client, counted from 1 in the order of the definitions
 *         varint points
 *         varint sequence, 0 for none
 */
import type { ClientIdentity, Origin } from "../../../points/origins.ts";
import { PostcardError, type PostcardReader, type PostcardWriter } from "../../../postcard.ts";

const INSTANCE_BYTES = 16;

/** @throws {RangeError} if the instance id is neither empty nor 32 hexadecimal digits. */
export function writeIdentity(writer: PostcardWriter, { name, instance }: ClientIdentity): void {
  writer.string(name);
  if (instance === "") return void writer.u8(0);
  if (!/^[0-9a-f]{32}$/.test(instance)) {
    throw new RangeError(
      `Cannot keep the instance id ${JSON.stringify(instance)}: it is not 32 hexadecimal digits`,
    );
  }
  writer.u8(1);
  for (let i = 0; i < 32; i += 2) writer.u8(parseInt(instance.slice(i, i + 2), 16));
}

export function readIdentity(reader: PostcardReader): { name: string; instance: string } {
  const name = reader.string();
  let instance = "";
  if (reader.bool()) {
    for (let i = 0; i < INSTANCE_BYTES; i++) instance += reader.u8().toString(16).padStart(2, "0");
  }
  return { name, instance };
}

/** Writes the origins of a segment's records. */
export class OriginWriter {
  readonly #numbers = new Map<ClientIdentity, number>();

  write(writer: PostcardWriter, origins: readonly Origin[]): void {
    writer.u64(origins.length);
    for (const { client, start, end, sequence } of origins) {
      const known = this.#numbers.get(client);
      if (known !== undefined) writer.u64(known);
      else {
        writer.u64(0);
        writeIdentity(writer, client);
        this.#numbers.set(client, this.#numbers.size + 1);
      }
      writer.u64(end - start).u64(sequence);
    }
  }
}

/** What {@linkcode OriginReader} found, without an object for each origin. */
export interface OriginVisitor<C> {
  /** The client with that identity; asked once in a segment. */
  client(identity: ClientIdentity): C;
  /** All points of the record, if it has no origins, are told of by {@linkcode OriginReader.read}'s result alone. */
  origin(client: C, points: number, sequence: number): void;
}

/** Reads the origins of a segment's records, all of them in order. */
export class OriginReader<C> {
  readonly #clients: C[] = [];
  /** There may be definitions that were not read: the numbers of those behind are not known. */
  #misses = false;
  readonly #visitor: OriginVisitor<C>;

  constructor(visitor: OriginVisitor<C>) {
    this.#visitor = visitor;
  }

  /**
   * Tells of the numbers of batches in a good record behind a damaged one, as far as it is certain whose they are.
   *
   * @throws {PostcardError} if the bytes are none.
   */
  salvage(reader: PostcardReader, visit: (client: C, sequence: number) => void): void {
    for (let left = reader.length(3); left > 0; left--) {
      const number = whole(reader);
      const client = number === 0 ? this.#define(readIdentity(reader)) : this.#clients[number - 1];
      whole(reader);
      const sequence = whole(reader);
      if (client !== undefined) visit(client, sequence);
    }
  }

  /**
   * Takes over the clients that a damaged record defines, if what it says of itself fits together, so that others behind
   * it can be understood; nothing else of it is believed. @throws {PostcardError} if the bytes are none.
   */
  passDamaged(reader: PostcardReader): void {
    const knew = !this.#misses;
    this.#misses = true;
    const defined: ClientIdentity[] = [];
    let points = 0;
    const count = reader.length(3);
    for (let left = count; left > 0; left--) {
      if (whole(reader) === 0) defined.push(readIdentity(reader));
      points += whole(reader);
      whole(reader);
    }
    // The batch says it again: the damage is elsewhere.
    if (count === 0 || points !== whole(reader) || !knew) return;
    this.#misses = false;
    for (const identity of defined) this.#define(identity);
  }

  /** The next one, unless nobody knows its number. */
  #define(identity: ClientIdentity): C {
    const client = this.#visitor.client(identity);
    if (!this.#misses) this.#clients.push(client);
    return client;
  }

  /**
   * Reads what stands before the batch.
   *
   * @returns how many origins there are. @throws {PostcardError} if the bytes are none.
   */
  read(reader: PostcardReader): number {
    const count = reader.length(3);
    for (let i = 0; i < count; i++) {
      const at = reader.offset;
      const number = whole(reader);
      if (number > this.#clients.length) {
        throw new PostcardError("bad_discriminant", at, `client ${number} of ${this.#clients.length}`);
      }
      let client: C;
      if (number > 0) client = this.#clients[number - 1];
      else client = this.#define(readIdentity(reader));
      const points = whole(reader);
      this.#visitor.origin(client, points, whole(reader));
    }
    return count;
  }
}

/** A whole number of up to 2^53. */
export function whole(reader: PostcardReader): number {
  const at = reader.offset;
  const value = reader.u64Number();
  if (typeof value === "bigint") throw new PostcardError("bad_varint", at, "a number is too large");
  return value;
}
