/** Paths that Deno opens only for a process that has all permissions. */
import { dirname, resolve } from "node:path";

const SPECIAL = /^\/(?:dev|proc|sys)(?:\/|$)/;
/** Files that the process inherited, which outputs open before they run, and those that Deno opens for everyone. */
const OPEN =
  /^\/(?:dev\/(?:stdin|stdout|stderr|fd\/\d+|null|zero|full|u?random)|proc\/(?:self|\d+)\/fd\/\d+)$/;
const MAX_PATH = 4096;

/** The first text in a configuration, at any depth, that is a path below `/dev`, `/proc` or `/sys`. */
export function specialPath(configuration: unknown): string | undefined {
  if (typeof configuration === "string") {
    return isSpecial(configuration) ? configuration : undefined;
  }
  if (typeof configuration !== "object" || configuration === null) return undefined;
  for (const value of Object.values(configuration)) {
    const found = specialPath(value);
    if (found !== undefined) return found;
  }
}

/** Whether the file at a path can be read again: a pipe cannot, nor what Deno refuses once permissions were given up. */
export function canReadAgain(path: string): boolean {
  if (!SPECIAL.test(resolve(path))) return true;
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function isSpecial(text: string): boolean {
  if (text.length > MAX_PATH || text.includes("\0")) return false;
  const path = resolve(text);
  return !OPEN.test(path) && SPECIAL.test(realPath(path));
}

/** The real path, even if the file does not exist. */
function realPath(path: string): string {
  for (let known = path;;) {
    try {
      return Deno.realPathSync(known) + path.slice(known.length);
    } catch {
      const above = dirname(known);
      if (above === known) return path;
      known = above;
    }
  }
}
