/** What pages, metrics and commands see of a process: its agent once that runs, and its log. */
import type { RunningAgent } from "../agent/settings.ts";
import type { LogRing } from "../base/log_ring.ts";

/** A part that makes no progress for so long is stuck, in ms. */
const STUCK_MS = 10_000;

/** What is known before the agent runs. */
export interface Facts {
  /** The version of the program. */
  readonly version: string;
  /** The name of this host. */
  readonly host: string;
  readonly log: LogRing;
}

export class View {
  readonly facts: Facts;
  /** `null` while the process starts. */
  agent: RunningAgent | null = null;
  isStopping = false;

  constructor(facts: Facts) {
    this.facts = facts;
  }

  /** Why the process is not ready to take points; empty if it is. */
  get problems(): string[] {
    if (!this.agent) return ["the process is starting"];
    const problems: string[] = [];
    if (this.isStopping) problems.push("the process is stopping");
    const { isFull } = this.agent.figures.journal();
    if (isFull) problems.push("the journal is full, or its disk has no room");
    const before = performance.now() - STUCK_MS;
    for (const { part, since } of this.agent.stalls()) if (since < before) problems.push(`${part} is stuck`);
    return problems;
  }
}
