/** The path of files: one, or a pattern with times and the client's name. */
import { createHash } from "node:crypto";

interface TimePart {
  readonly text: (time: Date) => string;
  readonly pattern: string;
  /** It changes at multiples of this since the epoch only, in ms. */
  readonly stepMs: number;
}

const DAY_MS = 86_400_000;

/** What stands for parts of the time, which is that of writing, in UTC. */
const TIMES: Readonly<Record<string, TimePart>> = {
  "%Y": { text: (time) => digits(time.getUTCFullYear(), 4), pattern: "\\d{4}", stepMs: DAY_MS },
  "%m": { text: (time) => digits(time.getUTCMonth() + 1, 2), pattern: "\\d{2}", stepMs: DAY_MS },
  "%d": { text: (time) => digits(time.getUTCDate(), 2), pattern: "\\d{2}", stepMs: DAY_MS },
  "%H": { text: (time) => digits(time.getUTCHours(), 2), pattern: "\\d{2}", stepMs: 3_600_000 },
  "%M": { text: (time) => digits(time.getUTCMinutes(), 2), pattern: "\\d{2}", stepMs: 60_000 },
  "%S": { text: (time) => digits(time.getUTCSeconds(), 2), pattern: "\\d{2}", stepMs: 1000 },
  "%F": { text: (time) => time.toISOString().slice(0, 10), pattern: "\\d{4}-\\d{2}-\\d{2}", stepMs: DAY_MS },
  "%j": { text: (time) => digits(dayOfYear(time), 3), pattern: "\\d{3}", stepMs: DAY_MS },
};
const CLIENT = "{client}";

/** What a rotation puts between a file's name and its extension, behind a dot. */
const STAMP = "\\d{8}T\\d{6}Z";
const BEGINS_WITH_STAMP = new RegExp(`^${STAMP}`);

/** Longest name of a client within the name of a file, in bytes; longer ones end in a hash. */
const MAX_CLIENT_BYTES = 120;
/** Of a client's name only this many characters count, and the hash of all. */
const MOST_CHARACTERS = 1000;
/** The file of points that came from no client. */
export const LOCAL_NAME = "_local";

function digits(value: number, count: number): string {
  return String(value).padStart(count, "0");
}

function dayOfYear(time: Date): number {
  return Math.floor((time.getTime() - Date.UTC(time.getUTCFullYear(), 0, 1)) / DAY_MS) + 1;
}

/**
 * A client's name as part of a file's name: letters, digits, `.`, `_` and `-` stay as they are, everything else is
 * `%XX` by byte. So is a dot in front, or before what looks like the time of a rotation, so that no name leads to another
 * folder, hides its file, or passes for an older file of another client. Different names stay different.
 */
export function clientFileName(client: string): string {
  const text = String.fromCharCode(...new TextEncoder().encode(client.slice(0, MOST_CHARACTERS)));
  let name = "";
  for (let i = 0; i < text.length; i++) {
    const plain = /[A-Za-z0-9_-]/.test(text[i]) ||
      (text[i] === "." && i > 0 && !BEGINS_WITH_STAMP.test(text.slice(i + 1, i + 20)));
    name += plain ? text[i] : `%${text.charCodeAt(i).toString(16).toUpperCase().padStart(2, "0")}`;
  }
  if (name === "") return "%";
  if (name.length <= MAX_CLIENT_BYTES && client.length <= MOST_CHARACTERS) return name;
  const hash = createHash("sha256").update(client).digest("hex").slice(0, 16);
  return `${name.slice(0, MAX_CLIENT_BYTES - hash.length - 1)}~${hash}`;
}

/** `measures.csv` before the last dot of the file's name, and the rest. */
export function splitExtension(path: string): [stem: string, extension: string] {
  const [, stem, extension] = path.match(/^(.*?)(\.[^./]*)?$/s)!;
  // A name that begins with its only dot has no extension.
  return stem === "" || stem.endsWith("/") ? [path, ""] : [stem, extension ?? ""];
}

/** A path with `%Y`, `%m`, … and `{client}` in it, or without. */
export class PathPattern {
  readonly #parts: readonly string[];
  readonly hasTime: boolean;
  readonly hasClient: boolean;

  constructor(readonly text: string) {
    this.#parts = text.split(/(%.|\{client\})/su).filter((part) => part !== "");
    this.hasTime = this.#parts.some((part) => Object.hasOwn(TIMES, part));
    this.hasClient = this.#parts.includes(CLIENT);
  }

  /** What is wrong with a path. */
  static problem(text: string): string | undefined {
    for (const part of new PathPattern(text).#parts) {
      if (part[0] !== "%" || part === "%%" || Object.hasOwn(TIMES, part)) continue;
      return `${JSON.stringify(part)} is not a placeholder; known are ${Object.keys(TIMES).join(" ")}, ` +
        "and %% for a percent sign";
    }
  }

  /** The path changes at multiples of this since the epoch only, in ms; infinite where it has no time in it. */
  get stepMs(): number {
    return Math.min(...this.#parts.map((part) => TIMES[part]?.stepMs ?? Infinity));
  }

  /** It is always the same file. */
  get isFixed(): boolean {
    return !this.hasTime && !this.hasClient;
  }

  /** @param client The part of the name that stands for the client, see {@linkcode clientFileName}. */
  path(client: string, time: Date): string {
    return this.#parts.map((part) => {
      if (part === CLIENT) return client;
      if (part === "%%") return "%";
      return TIMES[part]?.text(time) ?? part;
    }).join("");
  }

  /** The folder that everything is in, and what comes behind it, as it stands in the pattern. */
  get root(): { folder: string; rest: string } {
    const fixed = this.#parts.findIndex((part) => part === CLIENT || Object.hasOwn(TIMES, part));
    const before = this.#parts.slice(0, fixed < 0 ? undefined : fixed).join("").replaceAll("%%", "%");
    const slash = before.lastIndexOf("/") + 1;
    const after = fixed < 0 ? "" : this.#parts.slice(fixed).join("");
    return { folder: before.slice(0, slash), rest: before.slice(slash) + after };
  }

  /** Where the position is kept: `<path>.position`; for a pattern, in the folder that everything is in. */
  get positionPath(): string {
    const { folder, rest } = this.root;
    return `${folder}${rest.replaceAll("/", "_")}.position`;
  }

  /** `measures-1.csv`, or `NAME~1.csv`, which is no other client's file. */
  sibling(path: string, n: number): string {
    const [stem, extension] = splitExtension(path);
    return `${stem}${this.hasClient ? "~" : "-"}${n}${extension}`;
  }

  /**
   * The files that this pattern has written or will write, relative to {@linkcode root}. The groups: `client`, `stem` and
   * `extension` around the rest, `sibling` (its number), `stamp` (of the rotation), `gzip`.
   */
  get expression(): RegExp {
    const { rest } = this.root;
    const [stem, extension] = splitExtension(rest);
    let named = false;
    const source = (text: string) =>
      new PathPattern(text).#parts.map((part) => {
        if (part === CLIENT) return named ? "\\k<client>" : (named = true, "(?<client>[^/]+?)");
        return TIMES[part]?.pattern ?? RegExp.escape(part === "%%" ? "%" : part);
      }).join("");
    const sibling = `(?:${this.hasClient ? "~" : "-"}(?<sibling>\\d{1,5}))?`;
    const stamp = `(?:\\.(?<stamp>${STAMP}(?:-\\d+)?))?`;
    return new RegExp(
      `^(?<stem>${source(stem)})${sibling}${stamp}(?<extension>${source(extension)})(?<gzip>\\.gz)?$`,
      "su",
    );
  }
}

/** The name of a file that is rotated at `time`; `n` tells apart those of one second. */
export function rotatedPath(path: string, time: Date, n: number): string {
  const [stem, extension] = splitExtension(path);
  const stamp = time.toISOString().replace(/[-:]/g, "").replace(/\.\d+/, "");
  return `${stem}.${stamp}${n > 1 ? `-${n}` : ""}${extension}`;
}
