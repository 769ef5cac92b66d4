/** The last lines of a log, for whoever looks at a running process. */
import type { LogFields, LogLevel } from "./log.ts";

/** Lines that are kept. */
const MAX_LINES = 300;
/** Characters of a message, and of a field. */
const MAX_LENGTH = 1000;

export interface LogEntry {
  /** In ms since the epoch. */
  readonly timeMs: number;
  readonly level: LogLevel;
  readonly part: string;
  readonly message: string;
  /** As text, by name. */
  readonly fields: Readonly<Record<string, string>>;
}

export class LogRing {
  /** Oldest first. */
  readonly entries: LogEntry[] = [];
  /** Lines since the start. */
  readonly counts: Record<LogLevel, number> = { error: 0, warn: 0, info: 0, debug: 0, trace: 0 };
  /** The last error. */
  lastError: LogEntry | null = null;

  add(level: LogLevel, part: string, message: string, fields: LogFields): void {
    const texts = Object.entries(fields).filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value).slice(0, MAX_LENGTH)]);
    const entry: LogEntry = {
      timeMs: Date.now(),
      level,
      part,
      message: message.slice(0, MAX_LENGTH),
      fields: Object.fromEntries(texts),
    };
    this.counts[level]++;
    if (level === "error") this.lastError = entry;
    this.entries.push(entry);
    if (this.entries.length > MAX_LINES) this.entries.shift();
  }
}
