/** Patterns of names: `*` is any text, `?` any one character. */

/** Whether a text matches. It takes at most the product of both lengths, whatever the pattern is. */
export function matchesGlob(text: string, pattern: string): boolean {
  let at = 0;
  let place = 0;
  /** Behind the last `*`, and what of the text it takes, up to here. */
  let star = -1;
  let taken = 0;
  while (at < text.length) {
    if (pattern[place] === "*") {
      star = ++place;
      taken = at;
    } else if (place < pattern.length && (pattern[place] === "?" || pattern[place] === text[at])) {
      place++;
      at++;
    } else if (star >= 0) {
      place = star;
      at = ++taken;
    } else return false;
  }
  while (pattern[place] === "*") place++;
  return place === pattern.length;
}
