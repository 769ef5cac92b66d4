/** Regular expressions as the configuration files of Alumet have them: those of Rust's `regex` crate. */

/** `[:name:]` inside of a class, see https://docs.rs/regex/1/regex/#ascii-character-classes */
const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\x00-\\x7F",
  blank: "\\t ",
  cntrl: "\\x00-\\x1F\\x7F",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`\\{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/** What is spelled differently outside of a class. The look-arounds hold whether `m` is set or not. */
const ANCHORS: Readonly<Record<string, string>> = { A: "(?<![^])", z: "(?![^])" };

const ESCAPES: Readonly<Record<string, string>> = { a: "\\x07" };

/**
 * The JavaScript expression that matches what a Rust one matches. Spelled differently, and translated: leading flags
 * (`(?i)`), `(?P<name>`, `\A`, `\z`, `\a`, `\pL`, `\x{…}`, `[[:alpha:]]`, escaped punctuation. `\d`, `\w`, `\s` and
 * `\b` are those of JavaScript: ASCII (and Unicode for `\s`). Set operations in classes, and the flags `x`, `U` and
 * `R`, have no counterpart.
 *
 * @throws {SyntaxError} if it is not valid, or cannot be translated.
 */
export function rustRegex(source: string): RegExp {
  const leading = /^\(\?([a-zA-Z]+)\)/.exec(source);
  const flags = new Set(leading?.[1].replaceAll("u", ""));
  for (const flag of flags) {
    if (!"ims".includes(flag)) throw new SyntaxError(`the flag ${flag} is not supported`);
  }
  let rest = source.slice(leading?.[0].length ?? 0);
  let result = "";
  let inClass = false;

  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = pattern.exec(rest);
    if (match) rest = rest.slice(match[0].length);
    return match;
  };

  while (rest !== "") {
    let match;
    if ((match = take(/^\\p([A-Z])/i))) result += `\\p{${match[1]}}`;
    else if ((match = take(/^\\x\{([0-9a-fA-F]+)\}/))) result += `\\u{${match[1]}}`;
    else if ((match = take(/^\\([^])/))) result += escape(match[1], inClass);
    else if (inClass) {
      if ((match = take(/^\[:(\^?)([a-z]+):\]/))) {
        const set = POSIX_CLASSES[match[2]];
        if (match[1] || !set) throw new SyntaxError(`the class ${match[0]} is not supported`);
        result += set;
      } else if (/^(\[|&&|--|~~)/.test(rest)) {
        throw new SyntaxError(`a class inside of a class, &&, -- and ~~ are not supported`);
      } else {
        if (rest[0] === "]") inClass = false;
        result += take(/^[^]/)![0];
      }
    } else if ((match = take(/^\[\^?\]?/))) {
      // In Rust, a bracket that comes first stands for itself.
      result += match[0].replace("]", "\\]");
      inClass = true;
    } else if (take(/^\(\?P</)) result += "(?<";
    else result += take(/^[^]/)![0];
  }
  return new RegExp(result, [...flags].join("") + "u");
}

function escape(character: string, inClass: boolean): string {
  if (/[0-9A-Za-z]/.test(character)) {
    return (inClass ? undefined : ANCHORS[character]) ?? ESCAPES[character] ?? `\\${character}`;
  }
  if (!inClass && "<>".includes(character)) throw new SyntaxError(`\\${character} is not supported`);
  // JavaScript has no other escapes with the flag `u`; a character that needs none stands for itself.
  return /[$^\\.*+?()[\]{}|/]/.test(character) || (inClass && character === "-")
    ? `\\${character}`
    : character;
}

/** What is wrong with an expression, or `undefined`; for `check` of a key. The empty one is valid and matches all. */
export function rustRegexProblem(source: string): string | undefined {
  try {
    rustRegex(source);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return `this is not a valid regular expression: ${error.message}`;
  }
}
