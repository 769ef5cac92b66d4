/** Reads CSV as RFC 4180 says, with any delimiter, strictly. */

/** @throws on what is no CSV, a last line without its end included. */
export function parseCsv(text: string, delimiter = ";"): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length;) {
    let cell = "";
    if (text[at] === '"') {
      for (at++;; at++) {
        const end = text.indexOf('"', at);
        if (end < 0) throw new SyntaxError(`A quoted cell of row ${rows.length} does not end`);
        cell += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        cell += '"';
      }
    } else {
      const start = at;
      while (at < text.length && !['"', "\n", "\r", delimiter].includes(text[at])) at++;
      cell = text.slice(start, at);
    }
    row.push(cell);
    const next = text[at++];
    if (next === delimiter) continue;
    if (next !== "\n") throw new SyntaxError(`Row ${rows.length} ends in ${JSON.stringify(next)}`);
    rows.push(row);
    row = [];
  }
  if (row.length > 0) throw new SyntaxError(`Row ${rows.length} does not end`);
  return rows;
}
