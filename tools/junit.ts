/** JUnit reports: what `deno test` writes, and the tools of CI read. */

export interface TestCase {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
}

/** The test cases of a report, with those of steps. */
export function casesOf(report: string): TestCase[] {
  const pattern = /<testcase name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs;
  return Array.from(report.matchAll(pattern), ([, name, content = ""]) => ({
    name: unescape(name),
    outcome: content.includes("<failure") || content.includes("<error")
      ? "failed"
      : content.includes("<skipped")
      ? "skipped"
      : "passed",
  }));
}

/** One report out of several; an empty one adds nothing. */
export function merged(reports: readonly string[]): string {
  const suites = reports.flatMap((report) =>
    report.match(/<testsuite [\s\S]*?<\/testsuite>|<testsuite [^>]*\/>/g) ?? []
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("\n")}\n</testsuites>\n`;
}

/** A report of one test that failed, for a run that could not write its own. */
export function failureReport(name: string, message: string): string {
  return `<testsuites><testsuite name="${escape(name)}"><testcase name="${escape(name)}">` +
    `<failure message="${escape(message)}"></failure></testcase></testsuite></testsuites>`;
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescape(text: string): string {
  return text.replace(/&(lt|gt|amp|quot|apos);/g, (_, name: string) => ENTITIES[name]);
}

function escape(text: string): string {
  const names = new Map(Object.entries(ENTITIES).map(([name, character]) => [character, name]));
  return text.replace(/[<>&"']/g, (character) => `&${names.get(character)};`);
}
