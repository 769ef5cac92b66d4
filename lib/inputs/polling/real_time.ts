/** Real-time priority for polls every few milliseconds (man 7 sched): else a busy machine lets them wait for their turn. */
import { openLibc } from "../../base/libc.ts";

const SYMBOLS = {
  sched_getscheduler: { parameters: ["i32"], result: "i32" },
  sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
} as const;

const SCHED_OTHER = 0;
const SCHED_RR = 2;
/** Programs that this process starts have the usual priority, and so have its new threads. */
const RESET_ON_FORK = 0x4000_0000;
/** The lowest one: whoever else needs real time goes first. */
const PRIORITY = 1;

const TASKS = "/proc/self/task";
/** How often threads are looked for whose number is the same, in ms: those that sleep come and go. */
const LOOK_AGAIN_MS = 1000;

export class RealTime implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  /** Threads that have it from here. */
  readonly #raised = new Set<number>();
  #links: number | null = null;
  #lookedMs = -Infinity;
  #isClosed = false;

  private constructor(library: Deno.DynamicLibrary<typeof SYMBOLS>) {
    this.#library = library;
  }

  /** Begins for all threads of this process; `null` where it may not, or there is nothing like it. */
  static begin(): RealTime | null {
    const library = openLibc(SYMBOLS);
    if (!library) return null;
    const realTime = new RealTime(library);
    if (realTime.refresh()) return realTime;
    library.close();
    return null;
  }

  /** Takes up threads that are new. @returns whether any thread has real-time priority */
  refresh(): boolean {
    const nowMs = performance.now();
    // The number of links of the folder is that of the threads.
    const { nlink } = Deno.statSync(TASKS);
    if (nlink === this.#links && nowMs - this.#lookedMs < LOOK_AGAIN_MS) return true;
    this.#links = nlink;
    this.#lookedMs = nowMs;
    const before = new Set(this.#raised);
    this.#raised.clear();
    let hasEffect = false;
    for (const { name } of Deno.readDirSync(TASKS)) {
      const thread = Number(name);
      // Whoever started this process with real-time priority has decided: it stays as it is.
      const isUsual = this.#library.symbols.sched_getscheduler(thread) === SCHED_OTHER;
      const isRaised = isUsual && this.#set(thread, SCHED_RR | RESET_ON_FORK, PRIORITY);
      if (isRaised || before.has(thread)) this.#raised.add(thread);
      if (isRaised || !isUsual) hasEffect = true;
    }
    return hasEffect;
  }

  #set(thread: number, policy: number, priority: number): boolean {
    const parameter = new Uint8Array(new Int32Array([priority]).buffer);
    return this.#library.symbols.sched_setscheduler(thread, policy, parameter) === 0;
  }

  /** Ends it. May be called twice. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const thread of this.#raised) this.#set(thread, SCHED_OTHER, 0);
    this.#library.close();
  }
}
