/** A log that a test reads. */
import { createLogger, type Logger } from "../../lib/base/log.ts";

/** Keeps every line, without its time. */
export class LogLines {
  readonly lines: string[] = [];
  readonly log: Logger = createLogger("test", {
    level: "trace",
    write: (line) => this.lines.push(line.slice(25)),
  });

  matching(pattern: RegExp): string[] {
    return this.lines.filter((line) => pattern.test(line));
  }
}
