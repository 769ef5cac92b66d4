/** What a document tells its readers to type and to write down. */

/** The code blocks of a language. */
export function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp("^```" + language + "\\n(.*?)^```", "gms"))].map(([, block]) => block);
}

/** The blocks of TOML that begin with the name of a file, by that name. */
export function namedFiles(text: string): Map<string, string> {
  return new Map(
    blocks(text, "toml").flatMap((block) => {
      const [, name] = /^# (\S+\.toml)$/m.exec(block) ?? [];
      return name ? [[name, block] as const] : [];
    }),
  );
}
