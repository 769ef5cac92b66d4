/** Sizes in the form of the configuration: `16MiB`, `1 GiB`, `500MB`, `4096`. */

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** The bytes of a size. @returns `undefined` if the text is not a size, or not a whole number of bytes up to 2^53. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text.trim());
  if (!match || !Object.hasOwn(UNITS, match[2])) return undefined;
  const bytes = Number(match[1]) * UNITS[match[2]];
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest text that {@linkcode parseSize} reads as these bytes. */
export function formatSize(bytes: number): string {
  for (const unit of ["TiB", "GiB", "MiB", "KiB"]) {
    if (bytes > 0 && bytes % UNITS[unit] === 0) return `${bytes / UNITS[unit]}${unit}`;
  }
  return String(bytes);
}
