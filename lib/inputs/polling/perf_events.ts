/** Counters of the kernel's performance events (man 2 perf_event_open), by calling the C library. */
import { ERRNO, errnoOf, openLibc } from "../../base/libc.ts";

/** Events of one CPU, whatever runs on it. */
export interface PerfEvents {
  /** Opens an event that counts on one CPU for all processes. @returns its descriptor, or an error number below 0 */
  open(type: number, config: bigint, cpu: number): number;
  /** The value of the counter; `undefined` where it cannot be read. */
  read(descriptor: number): bigint | undefined;
  close(descriptor: number): void;
}

/** Events of processes and control groups, several of them read at once. */
export interface PerfCounters {
  /** Opens an event. @returns its descriptor, or an error number below 0 */
  openCounter(event: PerfCounter, target: PerfTarget): number;
  /** Opens the folder of a control group, to count for. @returns its descriptor, or an error number below 0 */
  openFolder(path: string): number;
  /** Begins to count, with all events of the leader's group. */
  enable(leader: number): void;
  /** Reads words as the event's `readFormat` says. @returns how many; 0 where it cannot be read */
  readWords(descriptor: number, words: BigUint64Array<ArrayBuffer>): number;
  close(descriptor: number): void;
}

/** An event: see struct perf_event_attr in man 2 perf_event_open. */
export interface PerfCounter {
  readonly type: number;
  readonly config: bigint;
  readonly config1: bigint;
  readonly config2: bigint;
  /** The bits that exclude, {@linkcode DISABLED}, {@linkcode INHERIT} and {@linkcode ENABLE_ON_EXEC}. */
  readonly flags: bigint;
  readonly readFormat: bigint;
}

/** Flags of {@linkcode PerfCounter}. */
export const DISABLED = 1n << 0n;
export const INHERIT = 1n << 1n;
export const ENABLE_ON_EXEC = 1n << 12n;
/** Formats of {@linkcode PerfCounter}. */
export const TIMES = 1n | 2n;
export const GROUP = 8n;

/** What an event counts for. */
export interface PerfTarget {
  /** A thread; with `isGroup` the descriptor of a folder. */
  readonly id: number;
  readonly isGroup: boolean;
  /** -1: any. */
  readonly cpu: number;
  /** The descriptor of the leader with which it counts; -1: it is a leader. */
  readonly leader: number;
}

/** Error numbers. */
export const EPERM = -1;
export const ESRCH = -3;
export const EACCES = -13;
export const EINVAL = -22;
export const EMFILE = -24;
const ENOSYS = -38;

const SYSCALL: Partial<Record<typeof Deno.build.arch, number>> = { x86_64: 298, aarch64: 241 };

/** Size of the second version of struct perf_event_attr, which has config2: what is not set is 0. */
const ATTR_BYTES = 72;
const PERF_FLAG_FD_CLOEXEC = 8n;
const PERF_FLAG_PID_CGROUP = 4n;
const PERF_EVENT_IOC_ENABLE = 0x2400n;
/** All events of the group. */
const PERF_IOC_FLAG_GROUP = 1;
/** Read only, a folder, closed when another program is executed. */
const O_FOLDER = Deno.build.arch === "aarch64" ? 0x84000 : 0x90000;

const SYMBOLS = {
  syscall: { parameters: ["i64", "buffer", "i32", "i32", "i32", "u64"], result: "i64" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  ...ERRNO,
} as const;

let opened: PerfEvents & PerfCounters | null = null;

/** Those of this machine; `null` where there is no C library or no permission to call it. */
export function systemPerfEvents(): PerfEvents & PerfCounters | null {
  return opened ??= openLibrary();
}

function openLibrary(): PerfEvents & PerfCounters | null {
  const syscall = SYSCALL[Deno.build.arch];
  if (syscall === undefined) return null;
  // It is never closed: the process has it loaded in any case.
  const library = openLibc(SYMBOLS);
  return library && fromLibrary(library.symbols, BigInt(syscall));
}

function fromLibrary(
  libc: Deno.StaticForeignLibraryInterface<typeof SYMBOLS>,
  syscall: bigint,
): PerfEvents & PerfCounters {
  const value = new BigUint64Array(1);
  const encoder = new TextEncoder();
  const orError = (descriptor: number) => descriptor >= 0 ? descriptor : -errnoOf(libc) || ENOSYS;
  const open = (counter: PerfCounter, { id, isGroup, cpu, leader }: PerfTarget) => {
    const attr = new DataView(new ArrayBuffer(ATTR_BYTES));
    attr.setUint32(0, counter.type, true);
    attr.setUint32(4, ATTR_BYTES, true);
    attr.setBigUint64(8, counter.config, true);
    attr.setBigUint64(32, counter.readFormat, true);
    attr.setBigUint64(40, counter.flags, true);
    attr.setBigUint64(56, counter.config1, true);
    attr.setBigUint64(64, counter.config2, true);
    const flags = PERF_FLAG_FD_CLOEXEC | (isGroup ? PERF_FLAG_PID_CGROUP : 0n);
    return orError(Number(libc.syscall(syscall, new Uint8Array(attr.buffer), id, cpu, leader, flags)));
  };
  return {
    open: (type, config, cpu) =>
      open({ type, config, config1: 0n, config2: 0n, flags: 0n, readFormat: 0n }, {
        id: -1,
        isGroup: false,
        cpu,
        leader: -1,
      }),
    openCounter: open,
    openFolder: (path) => orError(libc.open(encoder.encode(`${path}\0`), O_FOLDER, 0)),
    enable: (leader) => void libc.ioctl(leader, PERF_EVENT_IOC_ENABLE, PERF_IOC_FLAG_GROUP),
    read(descriptor) {
      return Number(libc.read(descriptor, new Uint8Array(value.buffer), 8n)) === 8 ? value[0] : undefined;
    },
    readWords(descriptor, words) {
      const bytes = libc.read(descriptor, new Uint8Array(words.buffer), BigInt(words.byteLength));
      return Math.max(0, Math.floor(Number(bytes) / 8));
    },
    close: (descriptor) => void libc.close(descriptor),
  };
}
