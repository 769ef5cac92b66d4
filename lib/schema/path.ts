/** TOML as text: quoted values and dotted paths. */

/** The way to a value: keys of tables, and indexes (from 0) into lists. */
export type Path = readonly (string | number)[];

/** A text as a basic TOML string (one line, in double quotes). */
export function quote(text: string): string {
  // JSON's escapes are TOML's, but for \/ (which JSON.stringify does not write) and DEL.
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}

/** The path as TOML writes it, `plugins.relay-client.retry`; elements of lists as `groups[0]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += (text === "" ? "" : ".") + (/^[A-Za-z0-9_-]+$/.test(step) ? step : quote(step));
  }
  return text;
}
