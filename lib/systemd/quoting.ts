/** Quotes text for unit files: systemd.syntax(7), and the section "COMMAND LINES" of systemd.service(5). */

/** Escapes `%`, which would begin a specifier. */
export function escapeSpecifiers(text: string): string {
  return text.replaceAll("%", "%%");
}

function quoted(text: string): string {
  // deno-lint-ignore no-control-regex
  if (!/[\s"'\\;\u0000-\u001f\u007f]/.test(text) && text !== "") return text;
  const escaped = text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')
    .replaceAll("\n", "\\n").replaceAll("\t", "\\t")
    // deno-lint-ignore no-control-regex
    .replace(/[\u0000-\u001f\u007f]/g, (c) => "\\x" + c.charCodeAt(0).toString(16).padStart(2, "0"));
  return `"${escaped}"`;
}

/** An argument of `ExecStart=`, which reaches the program unchanged. */
export function quoteArgument(text: string): string {
  return quoted(escapeSpecifiers(text).replaceAll("$", "$$$$"));
}

/** The path of the program in `ExecStart=`, in which systemd does not replace variables. */
export function quoteProgram(path: string): string {
  return quoted(escapeSpecifiers(path));
}
