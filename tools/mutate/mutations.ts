/** Small changes to TypeScript, one at a time, each of which a test should notice. */

export interface Mutant {
  /** From 1 on. */
  readonly line: number;
  /** The line as it is, without the space around it. */
  readonly before: string;
  /** The line as it becomes. */
  readonly after: string;
  /** The whole file with the change. */
  readonly text: string;
}

/** What becomes what. The formatter puts spaces around operators of two sides, and none around those of types. */
const RULES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  [/(?<= )<(?= )/g, "<="],
  [/(?<= )<=(?= )/g, "<"],
  [/(?<= )>(?= )/g, ">="],
  [/(?<= )>=(?= )/g, ">"],
  [/(?<= )===(?= )/g, "!=="],
  [/(?<= )!==(?= )/g, "==="],
  [/(?<= )&&(?= |$)/gm, "||"],
  [/(?<= )\|\|(?= |$)/gm, "&&"],
  [/(?<= )\+(?= |$)/gm, "-"],
  [/(?<=[\w)\]] )-(?= )/g, "+"],
  [/(?<= )\*(?= )/g, "/"],
  [/(?<= )<<(?= )/g, ">>"],
  [/(?<= )>>>?(?= )/g, "<<"],
  [/(?<=[\w)\]] )&(?= [a-z\d(#])(?! (?:number|bigint|string|boolean|null|undefined|unknown))/g, "|"],
  [/(?<=[\w)\]] )\|(?= [a-z\d(#])(?! (?:number|bigint|string|boolean|null|undefined|void|unknown))/g, "&"],
  [/(?<= )\+=(?= )/g, "-="],
  [/(?<= )-=(?= )/g, "+="],
  [/\+\+/g, "--"],
  [/\btrue\b/g, "false"],
  [/\bfalse\b/g, "true"],
  [
    /(?<=\b(?:if|while) \()(?=[^\n]*\) (?:\{|return|throw|break|continue|[\w#.]+ ?[+-]?=)[^\n]*$)/gm,
    "!!0 && ",
  ],
  [/(?<![\w.#$])(?:0x[\da-f_]+|\d[\d_]*)(?![\w.]|\.\d)/gi, "+1"],
];

/** Puts spaces in the place of comments, texts and regular expressions, so that nothing in them is changed. */
export function withoutTexts(code: string): string {
  const blank = (text: string) => text.replace(/[^\n]/g, " ");
  return code.replace(
    /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`|(?<=(?:[(,=:!&|?]|=>|\breturn)\s*)\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/g,
    blank,
  );
}

/** Lines that only the type checker reads, and imports. */
const NO_CODE =
  /^\s*(?:(?:import|export (?:type|interface)|type|interface|declare)\b|readonly [\w#]+\??:[^=]*$)/;

/** Every mutant of a file, in the order of its lines. */
export function mutantsOf(code: string): Mutant[] {
  const plain = withoutTexts(code);
  const starts = [0];
  for (let at = code.indexOf("\n"); at >= 0; at = code.indexOf("\n", at + 1)) starts.push(at + 1);
  const lines = code.split("\n");
  const mutants: (Mutant & { at: number })[] = [];
  for (const [pattern, replacement] of RULES) {
    for (const match of plain.matchAll(pattern)) {
      const at = match.index;
      const line = starts.findLastIndex((start) => start <= at);
      if (NO_CODE.test(lines[line])) continue;
      // A number becomes the next one.
      const put = replacement === "+1" ? String(BigInt(match[0].replaceAll("_", "")) + 1n) : replacement;
      const text = code.slice(0, at) + put + code.slice(at + match[0].length);
      const column = at - starts[line];
      const after = lines[line].slice(0, column) + put + lines[line].slice(column + match[0].length);
      mutants.push({ at, line: line + 1, before: lines[line].trim(), after: after.trim(), text });
    }
  }
  return mutants.toSorted((a, b) => a.at - b.at);
}
