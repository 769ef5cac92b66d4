/**
 * The clients of the points in a record: the part of the payload before the batch (../../../batches/codec.ts).
 *
 *     varint count of origins (0: all points are of this process), for each one
 *         varint 0 and the definition of a client that is new in this segment (string name, u8 1 and 16 bytes of
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

/** Writes the origins of the records of a segment. */
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

/** Receives what {@linkcode OriginReader} finds, without an object for each origin. */
export interface OriginVisitor<C> {
  /** Returns the client with that identity; called once per segment and client. */
  client(identity: ClientIdentity): C;
  /** Called for each origin. For a record without origins, only the result of {@linkcode OriginReader.read} says so. */
  origin(client: C, points: number, sequence: number): void;
}

/** Reads the origins of all records of a segment, in order. */
export class OriginReader<C> {
  readonly #clients: C[] = [];
  /** Definitions may be missing, so the numbers of later ones are not known. */
  #misses = false;
  readonly #visitor: OriginVisitor<C>;

  constructor(visitor: OriginVisitor<C>) {
    this.#visitor = visitor;
  }

  /**
   * Reports the numbers of batches in a valid record after a damaged one, as far as their clients are certain.
   *
   * @throws {PostcardError} if the bytes are invalid.
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
   * Adopts the clients that a damaged record defines, if its contents are consistent, so that later records can be read.
   * Nothing else of it is used. @throws {PostcardError} if the bytes are invalid.
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
    // The batch repeats the number, so the damage is elsewhere.
    if (count === 0 || points !== whole(reader) || !knew) return;
    this.#misses = false;
    for (const identity of defined) this.#define(identity);
  }

  /** Returns the next client, unless its number is unknown. */
  #define(identity: ClientIdentity): C {
    const client = this.#visitor.client(identity);
    if (!this.#misses) this.#clients.push(client);
    return client;
  }

  /**
   * Reads the part before the batch.
   *
   * @returns The number of origins. @throws {PostcardError} if the bytes are invalid.
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

/** Reads a whole number up to 2^53. */
export function whole(reader: PostcardReader): number {
  const at = reader.offset;
  const value = reader.u64Number();
  if (typeof value === "bigint") throw new PostcardError("bad_varint", at, "a number is too large");
  return value;
}
