/** /proc/PID/stat, parsed by hand: it is read for every process at every poll. */
import { exactNumber, type U64 } from "../polling/scan.ts";

const PAREN = 41;
const ZERO = 48;
const SPACE = 32;
const MINUS = 45;

/** Fields by their numbers in man 5 proc_pid_stat. */
const PPID = 4;
const MINFLT = 10;
const MAJFLT = 12;
const UTIME = 14;
const STIME = 15;
const STARTTIME = 22;
const VSIZE = 23;
const RSS = 24;
const GUEST_TIME = 43;

/** The fields that are used. One object takes those of one process after another. */
export class ProcessStat {
  ppid = 0;
  /** Page faults, minor ones. */
  minflt = 0;
  /** Page faults, major ones. */
  majflt = 0;
  /** Ticks in user mode. */
  utime = 0;
  /** Ticks in kernel mode. */
  stime = 0;
  /** Ticks between the start of the system and that of the process. */
  starttime = 0;
  /** Bytes of virtual memory; 0 for a kernel thread, and for a process that has ended and is not reaped. */
  vsize: U64 = 0;
  /** Pages of resident memory, roughly: the kernel does not add up what each CPU has counted. */
  rss = 0;
  /** Ticks of running a virtual CPU, or -1 where the kernel does not count them. */
  guestTime = -1;

  /** Takes the fields of the first `length` bytes; false if they are not those of a process. */
  parse(bytes: Uint8Array, length: number): boolean {
    // The name, in parentheses, may contain blanks and parentheses; no field after it does.
    let at = length - 1;
    while (at >= 0 && bytes[at] !== PAREN) at--;
    if (at < 0) return false;
    this.guestTime = -1;
    let field = 2;
    for (at++; at < length; at++) {
      if (bytes[at] !== SPACE) continue;
      field++;
      if (field < PPID) continue;
      let value = 0;
      const first = at + 1;
      const negative = bytes[at + 1] === MINUS;
      let digit = bytes[negative ? ++at + 1 : at + 1] - ZERO;
      while (digit >= 0 && digit <= 9) {
        value = value * 10 + digit;
        at++;
        digit = at + 1 < length ? bytes[at + 1] - ZERO : -1;
      }
      if (negative) value = -value;
      switch (field) {
        case PPID:
          this.ppid = value;
          break;
        case MINFLT:
          this.minflt = value;
          break;
        case MAJFLT:
          this.majflt = value;
          break;
        case UTIME:
          this.utime = counted(value);
          break;
        case STIME:
          this.stime = counted(value);
          break;
        case STARTTIME:
          this.starttime = value;
          break;
        case VSIZE:
          this.vsize = value < 1e15 ? value : exactNumber(bytes, first, at + 1);
          break;
        case RSS:
          this.rss = value;
          break;
        case GUEST_TIME:
          this.guestTime = counted(value);
          return true;
      }
    }
    return field >= RSS;
  }
}

/** A number of ticks; NaN where it has more digits than a number holds exactly. */
function counted(ticks: number): number {
  return ticks <= Number.MAX_SAFE_INTEGER ? ticks : NaN;
}
