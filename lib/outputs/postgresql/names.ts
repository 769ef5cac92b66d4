/** Names and texts as SQL has them. */

/** What the lock is called that protects ids; see changes.ts. */
export const IDS_LOCK_CLASS = "alumet-relay ids";

export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}
