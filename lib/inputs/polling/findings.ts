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

  /** Says what is new, or has changed. */
  #add(finding: Finding, say: () => void): void {
    const key = `${finding.what}\0${finding.file}`;
    const before = this.#found.get(key);
    if (before ? before.problem === finding.problem : this.#found.size >= MOST_FINDINGS) return;
    this.#found.set(key, finding);
    say();
  }
}
