/**
 * Tokens: which client may send under which name. The file has a line per client, `NAME sha256:HEX [forward]`; a token
 * is 32 random bytes, so its hash needs no salt and no work factor. With `forward` a client may also pass on points of
 * other clients, under their names.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { type MonotonicClock, PROCESS_CLOCK } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { decodeUtf8 } from "../../base/utf8.ts";
import type { Logger } from "../../base/log.ts";

const PREFIX = "alumet_";
const TOKEN_BYTES = 32;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** How often the file is checked for changes, in ms. */
const CHECK_MS = 1000;
/** When an empty file is checked again, in ms. */
const EMPTY_MS = 100;

/** What a client may do. */
export interface Grant {
  readonly name: string;
  readonly forward: boolean;
  /** Hash of its token, if it needed one. */
  readonly hash?: Uint8Array;
}

interface Entry extends Grant {
  readonly hash: Uint8Array;
}

function hashOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** Makes a token, and its line for the server's file. */
export function makeToken(name: string, forward: boolean): { token: string; line: string } {
  const token = PREFIX + randomBytes(TOKEN_BYTES).toString("base64url");
  const hex = createHash("sha256").update(token).digest("hex");
  return { token, line: `${name} sha256:${hex}${forward ? " forward" : ""}` };
}

/** The problem of a client's name in the file of tokens, or `undefined`. */
export function nameProblem(name: string): string | undefined {
  // deno-lint-ignore no-control-regex
  return /^[^\s#\u0000-\u001f]+$/.test(name) ? undefined : "must be one word that does not begin with #";
}

/** @throws {SyntaxError} with the number of a malformed line. */
export function parseTokens(text: string): Map<string, Entry[]> {
  const entries = new Map<string, Entry[]>();
  for (const [index, line] of text.replace(/^\ufeff/, "").split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, name, hex, forward] = /^\s*(\S+)\s+sha256:([0-9a-f]{64})(\s+forward)?\s*$/i.exec(line) ?? [];
    if (name === undefined) {
      throw new SyntaxError(`line ${index + 1} is not NAME sha256:HEX, as alumet-relay token new prints it`);
    }
    const entry = { name, hash: bytesOf(hex), forward: forward !== undefined };
    entries.set(name, [...entries.get(name) ?? [], entry]);
  }
  return entries;
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/** The file of tokens, which may change while the process runs. */
export class Tokens {
  readonly #path: string;
  readonly #log: Logger;
  readonly #checkMs: number;
  readonly #clock: MonotonicClock;
  #entries: Map<string, Entry[]>;
  #stamp: string;
  #checkedMs: number;
  /** The stamp of a file that was empty at the last check. */
  #emptyStamp = "";
  readonly #complaint: Complaint;
  /** How often the file was read. */
  version = 0;

  /** @throws if the file cannot be read, or has a malformed line. */
  constructor(path: string, log: Logger, checkMs = CHECK_MS, clock: MonotonicClock = PROCESS_CLOCK) {
    this.#path = path;
    this.#log = log;
    this.#checkMs = checkMs;
    this.#clock = clock;
    this.#checkedMs = clock.monotonicMs();
    this.#complaint = new Complaint(clock);
    this.#stamp = stampOf(path);
    this.#entries = parseTokens(read(path));
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Checks the token of the client called `name`, in constant time.
   *
   * @returns what the client may do, or why it is refused.
   */
  check(name: string, token: string): Grant | string {
    this.refresh();
    const hash = hashOf(token);
    let found: Grant | undefined;
    for (const entry of this.#entries.get(name) ?? []) if (timingSafeEqual(entry.hash, hash)) found ??= entry;
    if (found) return found;
    if (token === "") return "it has no token (plugins.relay-client.token)";
    return `its token is not one of a client called ${name}`;
  }

  /** What the client with this token may do, whatever it calls itself; `undefined` if there is none. */
  find(token: string): Grant | undefined {
    this.refresh();
    const hash = hashOf(token);
    let found: Grant | undefined;
    for (const entries of this.#entries.values()) {
      for (const entry of entries) if (timingSafeEqual(entry.hash, hash)) found ??= entry;
    }
    return found;
  }

  /** Whether a grant is still valid. */
  holds({ name, forward, hash }: Grant): boolean {
    const entries = hash ? this.#entries.get(name) ?? [] : [];
    return entries.some((entry) => entry.forward === forward && timingSafeEqual(entry.hash, hash!));
  }

  /** Reads the file again if it has changed; checks that at most once per interval. */
  refresh(): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#checkedMs < this.#checkMs) return;
    this.#checkedMs = now;
    try {
      const stamp = stampOf(this.#path);
      if (stamp === this.#stamp) return;
      const before = this.#stamp;
      // A file that is no good is not read again until it changes.
      this.#stamp = stamp;
      const entries = parseTokens(read(this.#path));
      // Most programs empty a file before they write it: it counts as empty if it still is at the next check.
      if (entries.size === 0 && this.#entries.size > 0 && stamp !== this.#emptyStamp) {
        this.#emptyStamp = stamp;
        this.#stamp = before;
        this.#checkedMs -= Math.max(0, this.#checkMs - EMPTY_MS);
        return;
      }
      this.#entries = entries;
      this.version++;
      this.#complaint.end(() => {});
      this.#log.info("The tokens have been read again", { path: this.#path, clients: this.#entries.size });
    } catch (error) {
      this.#complaint.add(() => {
        this.#log.error("Cannot read the tokens again, the previous ones stay in use", {
          path: this.#path,
          reason: messageOf(error),
        });
      });
    }
  }
}

function stampOf(path: string): string {
  const { mtime, size, ino } = Deno.statSync(path);
  return `${mtime?.getTime()} ${size} ${ino}`;
}

function read(path: string): string {
  const { size } = Deno.statSync(path);
  if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, at most ${MAX_FILE_BYTES} are allowed`);
  return decodeUtf8(Deno.readFileSync(path));
}
