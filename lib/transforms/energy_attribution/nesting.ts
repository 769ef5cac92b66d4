/** Consumers whose ids are paths. */

/** What is known at the nearest path above a path; `null` if nothing is. */
export function ancestorOf<T>(path: string, at: (path: string) => T | undefined): T | null {
  for (let above = path; above !== "/" && above !== "";) {
    above = above.slice(0, Math.max(0, above.lastIndexOf("/"))) || (above.startsWith("/") ? "/" : "");
    const found = at(above);
    if (found !== undefined) return found;
  }
  return null;
}
