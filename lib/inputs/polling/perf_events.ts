/** Counters of the kernel's performance events (man 2 perf_event_open), by calling the C library. */

export interface PerfEvents {
  /** Opens an event that counts on one CPU for all processes. @returns its descriptor, or an error number below 0 */
  open(type: number, config: bigint, cpu: number): number;
  /** The value of the counter; `undefined` where it cannot be read. */
  read(descriptor: number): bigint | undefined;
  close(descriptor: number): void;
}

/** Error numbers of {@linkcode PerfEvents.open}. */
export const EPERM = -1;
export const EACCES = -13;
const ENOSYS = -38;

const SYSCALL: Partial<Record<typeof Deno.build.arch, number>> = { x86_64: 298, aarch64: 241 };
const LIBRARIES = ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`];

/** Size of the first version of struct perf_event_attr: what is not set is 0. */
const ATTR_BYTES = 64;
const PERF_FLAG_FD_CLOEXEC = 8n;

const SYMBOLS = {
  syscall: { parameters: ["i64", "buffer", "i32", "i32", "i32", "u64"], result: "i64" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

let opened: PerfEvents | null = null;

/** Those of this machine; `null` where there is no C library or no permission to call it. */
export function systemPerfEvents(): PerfEvents | null {
  return opened ??= openLibrary();
}

function openLibrary(): PerfEvents | null {
  const syscall = SYSCALL[Deno.build.arch];
  if (Deno.build.os !== "linux" || syscall === undefined) return null;
  for (const library of LIBRARIES) {
    try {
      // It is never closed: the process has it loaded in any case.
      return fromLibrary(Deno.dlopen(library, SYMBOLS).symbols, BigInt(syscall));
    } catch {
      // The next one may be there.
    }
  }
  return null;
}

function fromLibrary(libc: Deno.StaticForeignLibraryInterface<typeof SYMBOLS>, syscall: bigint): PerfEvents {
  const value = new BigUint64Array(1);
  return {
    open(type, config, cpu) {
      const attr = new DataView(new ArrayBuffer(ATTR_BYTES));
      attr.setUint32(0, type, true);
      attr.setUint32(4, ATTR_BYTES, true);
      attr.setBigUint64(8, config, true);
      const descriptor = Number(
        libc.syscall(syscall, new Uint8Array(attr.buffer), -1, cpu, -1, PERF_FLAG_FD_CLOEXEC),
      );
      if (descriptor >= 0) return descriptor;
      const errno = libc.__errno_location();
      return errno === null ? ENOSYS : -new Deno.UnsafePointerView(errno).getInt32();
    },
    read(descriptor) {
      return Number(libc.read(descriptor, new Uint8Array(value.buffer), 8n)) === 8 ? value[0] : undefined;
    },
    close: (descriptor) => void libc.close(descriptor),
  };
}
