/** What an input has found on this machine, and what it may not read: said once, and listed by `probe`. */
import type { Logger } from "../../base/log.ts";
import type { Finding } from "../../plugin.ts";
import type { Series } from "./points.ts";

/** The most findings that are kept and said: a machine has fewer. */
const MOST_FINDINGS = 4096;

export class Findings {
  readonly #log: Logger;
  readonly #found = new Map<string, Finding>();

  constructor(log: Logger) {
    this.#log = log;
  }

  get list(): readonly Finding[] {
    return [...this.#found.values()];
  }

  /** It is there and is measured, on every machine: nothing to say in the log. */
  usual(what: string, file: string, series?: Series): void {
    this.#add({ what, file, series }, () => {});
  }

  /** It is there and is measured. */
  measured(what: string, file: string, series?: Series): void {
    this.#add({ what, file, series }, () => this.#log.info(`Found ${what}`, { file }));
  }

  /** It is there, and this process may not read it. */
  denied(what: string, file: string, allow: string): void {
    const problem = "permission denied";
    this.#add({ what, file, problem, allow }, () => {
      this.#log.warn(`Cannot read ${what}: ${problem}`, { file, allow });
    });
  }

  /** It does not work at present, which the input itself says in the log. */
  failed(what: string, file: string, problem: string, allow?: string): void {
    this.#add({ what, file, problem, allow }, () => {});
  }

  /** It is there, and is measured when it is awake: reading would wake it. */
  asleep(what: string, file: string): void {
    this.#add({ what, file, problem: "it sleeps, and is measured when it is awake" }, () => {
      this.#log.info(`Found ${what}, which sleeps: it is measured when it is awake`, { file });
    });
  }

  /** What was said of it holds no longer. */
  forget(what: string, file: string): void {
    this.#found.delete(keyOf({ what, file }));
  }

  /** Says what is new, or has changed. */
  #add(finding: Finding, say: () => void): void {
    const key = keyOf(finding);
    const before = this.#found.get(key);
    if (before ? before.problem === finding.problem : this.#found.size >= MOST_FINDINGS) return;
    this.#found.set(key, finding);
    say();
  }
}

function keyOf({ what, file }: Pick<Finding, "what" | "file">): string {
  return `${what}\0${file}`;
}
