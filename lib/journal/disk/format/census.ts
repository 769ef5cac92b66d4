/** Counts the points of each client in a segment, without decoding the batches. */
import type { ClientIdentity } from "../../../points/origins.ts";
import { PostcardReader } from "../../../postcard.ts";
import { OriginReader, whole } from "./record.ts";
import { type ClientState, decodeSnapshot } from "./snapshot.ts";

/** The key of a client; this process is `""`, which no client is. */
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

  /** The census at the beginning of a segment, from the payload of its first record. @throws {PostcardError} if it is invalid. */
  static ofSnapshot(payload: Uint8Array, pointsBefore: number): Census {
    return Census.ofStates(decodeSnapshot(payload), pointsBefore);
  }

  /** The census of these clients, this process first. */
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

  /** Adopts the batch numbers of clients from another census, without its points. */
  overhear(other: Census): void {
    for (const [key, { name, instance, sequence, contactMs }] of other.clients) {
      if (sequence === 0) continue;
      let state = this.clients.get(key);
      if (!state) this.clients.set(key, state = newState({ name, instance }));
      state.sequence = Math.max(state.sequence, sequence);
      state.contactMs = Math.max(state.contactMs, contactMs);
    }
  }

  /** Subtracts the points of another census. */
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

/** Continues a census through the records of one segment. */
export class Counter {
  readonly census: Census;
  readonly #origins: OriginReader<ClientState>;
  #points = 0;

  /** @param seenMs The latest contact of the clients in these records, in ms since the epoch. */
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

  /** Passes a damaged record. */
  passDamaged(payload: Uint8Array): void {
    this.#origins.passDamaged(new PostcardReader(payload));
  }

  /** Passes a valid record after a damaged one, whose points can no longer be counted. */
  salvage(payload: Uint8Array): void {
    this.#origins.salvage(new PostcardReader(payload), (client, sequence) => {
      client.sequence = Math.max(client.sequence, sequence);
    });
  }

  /** Counts a record by its payload. @returns Its points. @throws {PostcardError} if the payload is invalid. */
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

/** The least bytes of a row. */
const ROWS_PER_BYTE = 2;

/** Estimates the points in a payload that is damaged or follows a damaged one, from its readable parts. */
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
    // The batch repeats the number.
    const points = whole(reader);
    return points <= reader.remaining * ROWS_PER_BYTE ? points : 0;
  } catch {
    return 0;
  }
}
