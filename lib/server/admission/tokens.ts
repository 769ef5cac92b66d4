/**
 * Tokens: who may send under which name. The file has a line per client, `NAME sha256:HEX [forward]`; a token is 32
 * random bytes, so that its hash needs no salt and no work factor. With `forward` a client may also pass on what
 * others have measured, under their names.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";

const PREFIX = "alumet_";
const TOKEN_BYTES = 32;
const MAX_FILE_BYTES = 16 * 1024 * 1024;
/** The file is looked at again after so long, in ms. */
const CHECK_MS = 1000;

/** What a client may do. */
export interface Grant {
  readonly name: string;
  readonly forward: boolean;
  /** Of its token, if it has shown one that was asked for. */
  readonly hash?: Uint8Array;
}

interface Entry extends Grant {
  readonly hash: Uint8Array;
}

function hashOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** A new token, and the line for the server's file. */
export function makeToken(name: string, forward: boolean): { token: string; line: string } {
  const token = PREFIX + randomBytes(TOKEN_BYTES).toString("base64url");
  const hex = createHash("sha256").update(token).digest("hex");
  return { token, line: `${name} sha256:${hex}${forward ? " forward" : ""}` };
}

/** What is wrong with a client's name in the file of tokens, or `undefined`. */
export function nameProblem(name: string): string | undefined {
  // deno-lint-ignore no-control-regex
  return /^[^\s#\u0000-\u001f]+$/.test(name) ? undefined : "must be one word, and not begin with #";
}

/** @throws {SyntaxError} with the number of a line that is none. */
export function parseTokens(text: string): Map<string, Entry[]> {
  const entries = new Map<string, Entry[]>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
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
  #entries: Map<string, Entry[]>;
  #stamp: string;
  #checkedMs = performance.now();
  /** How often the file was read. */
  version = 0;

  /** @throws if the file cannot be read, or has a line that is none. */
  constructor(path: string, log: Logger, checkMs = CHECK_MS) {
    this.#path = path;
    this.#log = log;
    this.#checkMs = checkMs;
    this.#stamp = stampOf(path);
    this.#entries = parseTokens(read(path));
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * What a client may do that calls itself `name`. The time that it takes does not tell how much of a token is right.
   *
   * @returns the grant, or why there is none.
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

  /** Whether what was granted still is. */
  holds({ name, forward, hash }: Grant): boolean {
    const entries = hash ? this.#entries.get(name) ?? [] : [];
    return entries.some((entry) => entry.forward === forward && timingSafeEqual(entry.hash, hash!));
  }

  /** Reads the file again if it has changed, and was not looked at just now. */
  refresh(): void {
    const now = performance.now();
    if (now - this.#checkedMs < this.#checkMs) return;
    this.#checkedMs = now;
    try {
      const stamp = stampOf(this.#path);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      this.#entries = parseTokens(read(this.#path));
      this.version++;
      this.#log.info("The tokens have been read again", { path: this.#path, clients: this.#entries.size });
    } catch (error) {
      this.#log.error("The tokens cannot be read again, those before go on", {
        path: this.#path,
        reason: messageOf(error),
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
  if (size > MAX_FILE_BYTES) throw new Error(`it has ${size} bytes, at most ${MAX_FILE_BYTES} are read`);
  return Deno.readTextFileSync(path);
}
