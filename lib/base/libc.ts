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
