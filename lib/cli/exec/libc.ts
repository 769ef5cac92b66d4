/** What Deno does not offer of the C library. */

const SYMBOLS = {
  getrusage: { parameters: ["i32", "buffer"], result: "i32" },
  signal: { parameters: ["i32", "usize"], result: "usize" },
} as const;

const RUSAGE_CHILDREN = -1;
/** Words of struct rusage on 64 bits: two times of seconds and microseconds come first. */
const RUSAGE_WORDS = 18;
const MICRO = 1e6;
const SIG_IGN = 1n;

type Library = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

function withLibrary<T>(call: (libc: Library) => T): T {
  const library = Deno.dlopen("libc.so.6", SYMBOLS);
  try {
    return call(library.symbols);
  } finally {
    library.close();
  }
}

/**
 * The CPU time of all children of this process that have ended, in seconds, with that of their descendants as far as
 * their parents have waited for them (man 2 getrusage).
 */
export function childrenCpuSeconds(): number {
  const usage = new BigInt64Array(RUSAGE_WORDS);
  const code = withLibrary((libc) => libc.getrusage(RUSAGE_CHILDREN, new Uint8Array(usage.buffer)));
  if (code !== 0) return NaN;
  const [userS, userUs, systemS, systemUs] = usage;
  return Number(userS + systemS) + Number(userUs + systemUs) / MICRO;
}

/** From now on this process, and those that it starts, ignore these signals (man 2 signal). */
export function ignoreSignals(numbers: readonly number[]): void {
  if (numbers.length === 0) return;
  withLibrary((libc) => numbers.forEach((number) => libc.signal(number, SIG_IGN)));
}
