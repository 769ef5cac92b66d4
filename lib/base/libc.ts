/** The C library of this system. */

const PATHS = ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`];

/** The library with these functions; `null` elsewhere than on Linux, and where it may not be called. */
export function openLibc<const S extends Deno.ForeignLibraryInterface>(
  symbols: S,
): Deno.DynamicLibrary<S> | null {
  if (Deno.build.os !== "linux") return null;
  for (const path of PATHS) {
    try {
      return Deno.dlopen(path, symbols);
    } catch {
      // The next one may be there.
    }
  }
  return null;
}

/** What {@linkcode errnoOf} calls. */
export const ERRNO = { __errno_location: { parameters: [], result: "pointer" } } as const;

/**
 * The number of the error of the last call, which must have failed just now, in this thread; 0 where it is not known.
 *
 * The C library keeps it for each thread, and no function returns both a result and its error, so it is read by a second call.
 * What runs in between on this thread is JavaScript alone, in which V8 may ask for memory or return some: that changes the number
 * only if it fails. A signal's handler may, too. So whoever loses something by a wrong number asks again, as
 * {@linkcode ../net/socket_calls.ts} does; for a message, or for a try that comes again anyway, it is good enough.
 */
export function errnoOf(libc: Deno.StaticForeignLibraryInterface<typeof ERRNO>): number {
  const place = libc.__errno_location();
  return place === null ? 0 : new Deno.UnsafePointerView(place).getInt32();
}
