/** The log: one line per event on standard error, as text or JSON. */
import { STDERR } from "./stderr.ts";

export const LOG_LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = typeof LOG_LEVELS[number];
export type LogFormat = "text" | "json";
/** Facts beside the message. Strings are escaped, so bytes from a network cannot forge lines or control a terminal. */
export type LogFields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
  /** Returns the same log under the name of another part. */
  for(part: string): Logger;
}

export interface LogOptions {
  /** The least important level that is written; a function is called for each line. @default {"info"} */
  level?: LogLevel | (() => LogLevel);
  /** @default {"text"} */
  format?: LogFormat;
  /** Colours for levels. @default {false} */
  color?: boolean;
  /** Lines begin with `<N>`, their priority for the journal of systemd, and have no time. @default {false} */
  journal?: boolean;
  /** Takes the finished lines. @default standard error */
  write?: (line: string) => void;
  /** Returns how many lines `write` has lost since the last call. The log reports them before its next line. */
  takeLost?: () => number;
  /** Sees every line that is written. */
  watch?: (level: LogLevel, part: string, message: string, fields: LogFields) => void;
  /** @default the system's clock */
  now?: () => Date;
}

const COLORS: Record<LogLevel, string> = { error: "31", warn: "33", info: "32", debug: "36", trace: "90" };
/** Priorities of syslog(3), as prefixes of lines for sd-daemon(3). */
const PRIORITIES: Record<LogLevel, string> = {
  error: "<3>",
  warn: "<4>",
  info: "<6>",
  debug: "<7>",
  trace: "<7>",
};
/** The prefix of an error for the journal of systemd. */
export const ERROR_PRIORITY = PRIORITIES.error;

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Replaces control and bidirectional characters by visible escapes. */
export function printable(text: string): string {
  return text.replace(CONTROL, (c) => {
    if (c === "\n") return "\\n";
    if (c === "\t") return "\\t";
    return "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
  });
}

/** JSON in one line, with escapes for the characters that {@linkcode printable} replaces. */
export function printableJson(value: unknown): string {
  return escapedJson(JSON.stringify(value));
}

/** The same for a text that is already JSON in one line. */
export function escapedJson(json: string): string {
  return json.replace(CONTROL, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

function fieldText(value: string | number | bigint | boolean): string {
  if (typeof value !== "string") return String(value);
  const text = printable(value);
  return /^[^\s"=]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`;
}

/** Creates a log for the part `part`. */
export function createLogger(part: string, options: LogOptions = {}): Logger {
  const { level: least = "info", format = "text", write = STDERR.write, now = () => new Date() } = options;
  const { journal = false, takeLost = () => 0, watch } = options;
  const color = options.color && !journal;
  const threshold = typeof least === "function"
    ? () => LOG_LEVELS.indexOf(least())
    : ((index) => () => index)(LOG_LEVELS.indexOf(least));

  const make = (part: string): Logger => {
    const line = (level: LogLevel) => (message: string, fields?: LogFields) => {
      if (LOG_LEVELS.indexOf(level) > threshold()) return;
      const lines = takeLost();
      if (lines > 0) {
        put(part, "warn", "Lines of the log were lost: standard error did not take them", { lines });
      }
      put(part, level, message, fields);
    };
    return {
      error: line("error"),
      warn: line("warn"),
      info: line("info"),
      debug: line("debug"),
      trace: line("trace"),
      for: make,
    };
  };
  const put = (part: string, level: LogLevel, message: string, fields: LogFields = {}): void => {
    watch?.(level, part, message, fields);
    const time = journal ? undefined : now().toISOString();
    const priority = journal ? PRIORITIES[level] : "";
    if (format === "json") {
      const object: Record<string, unknown> = { time, level, part, message };
      for (const [key, value] of Object.entries(fields)) {
        if (value !== undefined) object[key] = typeof value === "bigint" ? value.toString() : value;
      }
      write(`${priority}${printableJson(object)}\n`);
      return;
    }
    const name = level.toUpperCase().padEnd(5);
    const before = journal ? priority : `${time} ${color ? `\x1b[${COLORS[level]}m${name}\x1b[0m` : name} `;
    let text = `${before}${part}: ${printable(message)}`;
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) text += ` ${key}=${fieldText(value)}`;
    }
    write(text + "\n");
  };
  return make(part);
}
