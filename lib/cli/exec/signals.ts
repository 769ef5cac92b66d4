/** Hands on signals to the program that runs. */
import { ignoreSignals } from "./libc.ts";

/** Signals that are handed on, with their numbers. */
const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGUSR1: 10, SIGUSR2: 12, SIGTERM: 15 } as const;
type Name = keyof typeof NUMBERS;
const NAMES = Object.keys(NUMBERS) as Name[];

/** What a terminal sends to all processes in its foreground. */
const FROM_KEYS: ReadonlySet<Name> = new Set(["SIGINT", "SIGQUIT"]);

export class Signals implements Disposable {
  /** The number of the first signal that asks for an end. */
  received: number | undefined;
  readonly #listeners: readonly (readonly [Name, () => void])[];
  #child: Deno.ChildProcess | null = null;
  /** A signal that came before the program was started. */
  #pending: Name | null = null;

  /** A signal that this process ignores, as under nohup, stays ignored, by the program as well. */
  constructor() {
    const bits = ignoredBits();
    const isIgnored = (name: Name) => (bits >> BigInt(NUMBERS[name] - 1) & 1n) === 1n;
    const { true: ignored = [], false: wanted = [] } = Object.groupBy(NAMES, (name) => `${isIgnored(name)}`);
    this.#listeners = wanted.map((name) => [name, () => this.#onSignal(name)] as const);
    for (const [name, listener] of this.#listeners) Deno.addSignalListener(name, listener);
    // With the first listener Deno takes over SIGHUP, SIGINT and SIGTERM, ignored or not.
    ignoreSignals(ignored.map((name) => NUMBERS[name]));
  }

  /** From now on signals go to this process; `null`: to none. */
  set child(child: Deno.ChildProcess | null) {
    this.#child = child;
    if (!child || !this.#pending) return;
    this.#send(this.#pending);
    this.#pending = null;
  }

  #onSignal(name: Name): void {
    if (!name.startsWith("SIGUSR")) this.received ??= NUMBERS[name];
    if (!this.#child) this.#pending = name;
    // After Ctrl-C the program has the signal already; some give up at once when it comes twice.
    else if (!FROM_KEYS.has(name) || !isInForeground()) this.#send(name);
  }

  #send(name: Name): void {
    try {
      this.#child?.kill(name);
    } catch {
      // It has ended.
    }
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
  }
}

function ignoredBits(): bigint {
  const [, bits] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/self/status")) ?? [];
  return BigInt(`0x${bits ?? "0"}`);
}

/** Whether this process belongs to the group of processes to which its terminal sends what is typed. */
function isInForeground(): boolean {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return group === foreground;
}
