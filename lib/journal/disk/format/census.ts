/** Counts what is in a segment, by client, without decoding the batches. */
import type { ClientIdentity } from "../../../points/origins.ts";
import { PostcardReader } from "../../../postcard.ts";
import { OriginReader, whole } from "./record.ts";
import { type ClientState, decodeSnapshot } from "./snapshot.ts";

/** Where a client is found; this process is `""`, which no client is. */
export function keyOf({ name, instance }: ClientIdentity): string {
  return `${instance}/${name}`;
}
export const LOCAL_KEY = "";

/** Every client at one place of the journal. */
export class Census {
  /** Points that were written to the journal before this place. */
  points: number;
  /** By {@linkcode keyOf}. */
  readonly clients: Map<string, ClientState>;

  constructor(points = 0, clients = new Map<string, ClientState>()) {
    this.points = points;
    this.clients = clients;
    if (!clients.has(LOCAL_KEY)) clients.set(LOCAL_KEY, newState({ name: "", instance: "" }));
  }

  /** At the beginning of a segment, by the payload of its first record. @throws {PostcardError} if it is none. */
  static ofSnapshot(payload: Uint8Array, pointsBefore: number): Census {
    return Census.ofStates(decodeSnapshot(payload), pointsBefore);
  }

  /** Of these clients, this process first. */
  static ofStates(states: readonly ClientState[], points: number): Census {
    return new Census(points, new Map(states.map((state, i) => [i === 0 ? LOCAL_KEY : keyOf(state), state])));
  }

  copy(): Census {
    return new Census(this.points, new Map([...this.clients].map(([key, state]) => [key, { ...state }])));
  }

  /** Whether some client has numbered its batches. */
  get hasSequences(): boolean {
    return [...this.clients.values()].some(({ sequence }) => sequence > 0);
  }

  /** Takes over which batches of clients another census knows of, and none of its points. */
  overhear(other: Census): void {
    for (const [key, { name, instance, sequence, contactMs }] of other.clients) {
      if (sequence === 0) continue;
      let state = this.clients.get(key);
      if (!state) this.clients.set(key, state = newState({ name, instance }));
      state.sequence = Math.max(state.sequence, sequence);
      state.contactMs = Math.max(state.contactMs, contactMs);
    }
  }

  /** Takes off the points of another census. */
  minus(other: Census): Census {
    const result = this.copy();
    result.points -= other.points;
    for (const [key, { points }] of other.clients) {
      const state = result.clients.get(key);
      if (state) state.points = Math.max(0, state.points - points);
    }
    return result;
  }
}

function newState({ name, instance }: ClientIdentity): ClientState {
  return { name, instance, sequence: 0, points: 0, contactMs: 0 };
}

/** Goes on with a census through the records of one segment. */
export class Counter {
  readonly census: Census;
  readonly #origins: OriginReader<ClientState>;
  #points = 0;

  /** @param seenMs When the clients of these records were in contact at the latest, in ms since the epoch. */
  constructor(census: Census, seenMs = 0) {
    this.census = census;
    const { clients } = census;
    this.#origins = new OriginReader({
      client(identity) {
        const key = keyOf(identity);
        let state = clients.get(key);
        if (!state) clients.set(key, state = newState(identity));
        return state;
      },
      origin: (client, points, sequence) => {
        client.points += points;
        client.sequence = Math.max(client.sequence, sequence);
        client.contactMs = Math.max(client.contactMs, seenMs);
        this.#points += points;
      },
    });
  }

  /** A damaged record. */
  passDamaged(payload: Uint8Array): void {
    this.#origins.passDamaged(new PostcardReader(payload));
  }

  /** A good record behind a damaged one: every output has its batches, but they can not be counted any more. */
  salvage(payload: Uint8Array): void {
    this.#origins.salvage(new PostcardReader(payload), (client, sequence) => {
      client.sequence = Math.max(client.sequence, sequence);
    });
  }

  /** Counts the record with that payload. @returns its points. @throws {PostcardError} if the payload is none. */
  add(payload: Uint8Array): number {
    const reader = new PostcardReader(payload);
    this.#points = 0;
    if (this.#origins.read(reader) === 0) {
      this.#points = whole(reader);
      this.census.clients.get(LOCAL_KEY)!.points += this.#points;
    }
    this.census.points += this.#points;
    return this.#points;
  }
}

/** A row takes half a byte at least. */
const ROWS_PER_BYTE = 2;

/** About how many points are in a payload that is damaged, or that stands behind one: by what can be read of it. */
export function guessPoints(payload: Uint8Array): number {
  try {
    const reader = new PostcardReader(payload);
    for (let left = reader.length(3); left > 0; left--) {
      if (whole(reader) === 0) {
        reader.string();
        if (reader.bool()) reader.skip(16);
      }
      whole(reader);
      whole(reader);
    }
    // The batch says it again.
    const points = whole(reader);
    return points <= reader.remaining * ROWS_PER_BYTE ? points : 0;
  } catch {
    return 0;
  }
}
