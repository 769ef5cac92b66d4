/** The documents of this project: their blocks, code spans, links, and the files that they name. */

export const ROOT = new URL("../../", import.meta.url);

/** Every document, by its path below the root of the project. */
export function documents(): Map<string, string> {
  const paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md", "offline/README.md"];
  for (const { name } of Deno.readDirSync(new URL("docs/", ROOT))) {
    if (name.endsWith(".md")) paths.push(`docs/${name}`);
  }
  return new Map(paths.sort().map((path) => [path, Deno.readTextFileSync(new URL(path, ROOT))]));
}

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

/** The text between code blocks, with as many lines as the whole. */
export function prose(text: string): string {
  let isFenced = false;
  return text.split("\n").map((line) => {
    const isFence = /^ *```/.test(line);
    if (isFence) isFenced = !isFenced;
    return isFence || isFenced || /^ {4,}(?![-*] )/.test(line) ? "" : line;
  }).join("\n");
}

/** What stands between backticks in the text. */
export function codeSpans(text: string): string[] {
  return [...prose(text).matchAll(/(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)/g)].map(([, , code]) => code.trim());
}

/** The lines in which a code span begins and does not end. */
export function brokenSpans(text: string): string[] {
  return prose(text).split("\n").filter((line) => line.split("`").length % 2 === 0);
}

/** How GitHub names the headings of a document in links. */
export function anchors(text: string): Set<string> {
  return new Set(
    [...prose(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

/** Why a link of a document leads nowhere, for each such link. */
export function linkProblems(path: string, text: string, all: ReadonlyMap<string, string>): string[] {
  const problems: string[] = [];
  const inline = [...prose(text).matchAll(/\]\(([^)]+)\)/g)];
  const named = [...prose(text).matchAll(/^\[[^\]]+\]: (\S+)$/gm)];
  for (const [, target] of [...inline, ...named]) {
    if (/^https?:/.test(target)) continue;
    const [file, anchor] = target.split("#");
    const url = new URL(file || path.split("/").at(-1)!, new URL(path, ROOT));
    if (!isThere(url)) problems.push(`${path}: ${target}: there is no such file`);
    else if (anchor !== undefined) {
      const page = all.get(url.href.slice(ROOT.href.length)) ??
        (url.href === new URL(path, ROOT).href ? text : "");
      if (!anchors(page).has(anchor)) problems.push(`${path}: ${target}: there is no such heading`);
    }
  }
  return problems;
}

/** The files that a document names between backticks and that the project does not have. */
export function missingFiles(text: string, tracked: readonly string[]): string[] {
  return codeSpans(text).filter((span) => {
    // X/ and NAME.ts stand for any name.
    if (!/^[\w./-]+$/.test(span) || /(^|\/)[A-Z]+(\/|\.ts|$)/.test(span)) return false;
    const isPath = /^(lib|tests|tools|bench|docs|packaging|offline)\//.test(span);
    if (isPath && span.endsWith("/")) return !tracked.some((file) => file.startsWith(span));
    if (!isPath && !/\w\.ts$/.test(span)) return false;
    return !tracked.some((file) => file === span || file.endsWith(`/${span}`) || file.startsWith(`${span}/`));
  });
}

function isThere(url: URL): boolean {
  try {
    return Boolean(Deno.statSync(url));
  } catch {
    return false;
  }
}

/** All files of the project below the folders that documents name. */
export function projectFiles(): string[] {
  const files: string[] = ["main.ts"];
  const walk = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(new URL(folder, ROOT))) {
      if (isDirectory) walk(`${folder}${name}/`);
      else files.push(`${folder}${name}`);
    }
  };
  for (const folder of ["lib", "tests", "tools", "bench", "docs", "packaging", "offline"]) walk(`${folder}/`);
  return files;
}
