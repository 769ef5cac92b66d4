/** The names of users, by their numbers (man 1 id): asked for beside the polls, as a directory service may be slow. */
import { TimeLimit } from "../../base/waiting.ts";

/** How long one answer may take, in ms. */
const ANSWER_MS = 10_000;
/** The most names that are kept: more users do not run jobs on one machine. */
const MOST_NAMES = 4096;

/** Asks for the name of a user; `undefined` where there is none. */
export type AskName = (uid: number, signal: AbortSignal) => Promise<string | undefined>;

/** `id -nu UID`, which knows the users of a directory service, too. */
const askId: AskName = async (uid, signal) => {
  const command = new Deno.Command("id", {
    args: ["-nu", String(uid)],
    env: { LC_ALL: "C" },
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    signal,
  });
  const { success, stdout } = await command.output();
  return success ? new TextDecoder().decode(stdout).trim() || undefined : undefined;
};

export class UserNames {
  /** `null`: there is none, or it is being asked for. */
  readonly #names = new Map<number, string | null>();
  readonly #learning = new Set<Promise<void>>();
  readonly #ask: AskName;
  readonly #closed = new AbortController();
  #revision = 0;

  constructor(ask: AskName = askId) {
    this.#ask = ask;
  }

  /** Changes when another name is known. */
  get revision(): number {
    return this.#revision;
  }

  /** The name of a user, if it is known by now; it is asked for once. */
  of(uid: number): string | undefined {
    const known = this.#names.get(uid);
    if (known === undefined && this.#names.size < MOST_NAMES && !this.#closed.signal.aborted) {
      this.#names.set(uid, null);
      const learning = this.#learn(uid).finally(() => this.#learning.delete(learning));
      this.#learning.add(learning);
    }
    return known ?? undefined;
  }

  async #learn(uid: number): Promise<void> {
    using limit = new TimeLimit(ANSWER_MS, this.#closed.signal);
    try {
      const name = await this.#ask(uid, limit.signal);
      if (name === undefined || this.#closed.signal.aborted) return;
      this.#names.set(uid, name);
      this.#revision++;
    } catch {
      // Without a name, the number says who it is.
    }
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all(this.#learning);
  }
}
