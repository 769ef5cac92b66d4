/** Names of events, as `[plugins.perf]` has them: `NAME#MODES`. */

/** What the kernel calls an event (man 2 perf_event_open). */
export interface EventCode {
  readonly type: number;
  readonly config: bigint;
  readonly config1: bigint;
  readonly config2: bigint;
}

/** An event of a PMU, which its files below /sys describe. */
export interface PmuEvent {
  readonly pmu: string;
  /** `event=0x3c,umask=0x0`, or the name of a file. */
  readonly terms: string;
}

const TYPE_HARDWARE = 0;
const TYPE_SOFTWARE = 1;
const TYPE_CACHE = 3;
const TYPE_RAW = 4;

const HARDWARE: readonly string[] = [
  "CPU_CYCLES",
  "INSTRUCTIONS",
  "CACHE_REFERENCES",
  "CACHE_MISSES",
  "BRANCH_INSTRUCTIONS",
  "BRANCH_MISSES",
  "BUS_CYCLES",
  "STALLED_CYCLES_FRONTEND",
  "STALLED_CYCLES_BACKEND",
  "REF_CPU_CYCLES",
];

/** Numbers of the kernel. Alumet's agents open another event for CGROUP_SWITCHES, which is always 0. */
const SOFTWARE: Readonly<Record<string, number>> = {
  CPU_CLOCK: 0,
  TASK_CLOCK: 1,
  PAGE_FAULTS: 2,
  CONTEXT_SWITCHES: 3,
  CPU_MIGRATIONS: 4,
  PAGE_FAULTS_MIN: 5,
  PAGE_FAULTS_MAJ: 6,
  ALIGNMENT_FAULTS: 7,
  EMULATION_FAULTS: 8,
  CGROUP_SWITCHES: 11,
};

const CACHES = ["L1D", "L1I", "LL", "DTLB", "ITLB", "BPU", "NODE"];
const OPERATIONS = ["READ", "WRITE", "PREFETCH"];
const RESULTS = ["ACCESS", "MISS"];

/** Bits of the flags that exclude modes. */
const EXCLUDE = { u: 1n << 4n, k: 1n << 5n, h: 1n << 6n, I: 1n << 7n, H: 1n << 19n, G: 1n << 20n };

export interface EventName {
  /** Without modes. */
  readonly name: string;
  /** `undefined` where the name is not known. */
  readonly code: EventCode | PmuEvent | undefined;
  /** Flags that leave out what is not asked for. */
  readonly excludes: bigint;
}

const code = (type: number, config: bigint | number): EventCode => ({
  type,
  config: BigInt(config),
  config1: 0n,
  config2: 0n,
});

function codeOf(name: string): EventCode | PmuEvent | undefined {
  const raw = /^r(?:0x)?([0-9a-fA-F]{1,16})$/.exec(name);
  if (raw) return code(TYPE_RAW, BigInt(`0x${raw[1]}`));
  const pmu = /^([\w.-]+)\/([\w.,=-]+)\/?$/.exec(name);
  if (pmu) return { pmu: pmu[1], terms: pmu[2] };
  const hardware = HARDWARE.indexOf(name);
  if (hardware >= 0) return code(TYPE_HARDWARE, hardware);
  if (Object.hasOwn(SOFTWARE, name)) return code(TYPE_SOFTWARE, SOFTWARE[name]);
  const [cache, operation, result, ...rest] = name.split("_");
  const [id, op, outcome] = [CACHES.indexOf(cache), OPERATIONS.indexOf(operation), RESULTS.indexOf(result)];
  if (id < 0 || op < 0 || outcome < 0 || rest.length > 0) return undefined;
  return code(TYPE_CACHE, id | op << 8 | outcome << 16);
}

/** Of the modes that are named only these are counted; without `u`, `k` and `h`, user mode alone. */
function excludesOf(modes: readonly string[]): bigint {
  const levels = ["u", "k", "h"] as const;
  const asked = levels.filter((mode) => modes.includes(mode));
  const counted: readonly string[] = asked.length > 0 ? asked : ["u"];
  let excludes = levels.filter((mode) => !counted.includes(mode)).reduce(
    (bits, mode) => bits | EXCLUDE[mode],
    0n,
  );
  // Host alone leaves out guests, and the other way round.
  if (modes.includes("H") && !modes.includes("G")) excludes |= EXCLUDE.G;
  if (modes.includes("G") && !modes.includes("H")) excludes |= EXCLUDE.H;
  if (modes.includes("I")) excludes |= EXCLUDE.I;
  return excludes;
}

/** Reads a name; a text says what is wrong with its modes. */
export function eventNameOf(text: string): EventName | string {
  const [name, modes = "", ...rest] = text.split("#");
  const list = modes === "" ? [] : modes.split(":");
  const unknown = list.find((mode) => !/^[ukhHGI]$/.test(mode));
  if (unknown !== undefined || rest.length > 0) {
    return "modes are u, k, h, H, G and I, as in INSTRUCTIONS#u:k";
  }
  return { name, code: codeOf(name), excludes: excludesOf(list) };
}

export function eventProblem(text: string): string | undefined {
  const event = eventNameOf(text);
  return typeof event === "string" ? event : undefined;
}

/** Why an event with this name is not counted; names of libpfm, which Alumet's agents know, are such. */
export const UNKNOWN_NAME =
  `its name is not known: expected one such as ${HARDWARE.slice(0, 4).join(", ")}, ` +
  "PAGE_FAULTS, LL_READ_MISS, a number (r01c2), or an event of a PMU below /sys/bus/event_source/devices (cpu/cache-misses/)";

export function eventNote(text: string): string | undefined {
  const event = eventNameOf(text);
  if (typeof event === "string" || event.code) return undefined;
  return `the event ${text} will not be counted: ${UNKNOWN_NAME}`;
}

/** What the metric of an event is called: `perf_cache_misses`. */
export function metricNameOf(name: string, rename: string | undefined): string {
  return `perf_${rename ?? name.toLowerCase().replace(/[^a-z0-9]/g, "_").replace(/^_+|_+$/g, "")}`;
}
