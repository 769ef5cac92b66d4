/** What `deno test --reporter=tap` prints, as the names of the copies whose tests pass. */

/** The module of a copy that loads its tests. */
export const entryOf = (copy: string): string => `copy_${copy}_test.ts`;

/** The last test of each copy: if it has no result, one before it waits for nothing, or has ended the process. */
export const LAST = "the tests of this copy have ended";

const HEADING = /^# .*\/copy_(\w+)_test\.ts$/;

/**
 * @returns the copies whose tests ran to the end and passed. One that cannot be loaded has no heading in the report, and one
 * whose tests were all skipped says nothing.
 */
export function passedIn(report: string): Set<string> {
  const [ran, ended, failed] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let copy = "";
  for (const line of report.split("\n")) {
    const heading = HEADING.exec(line);
    if (heading) copy = heading[1];
    else if (line.startsWith("not ok ")) failed.add(copy);
    else if (line.startsWith("ok ") && line.endsWith(LAST)) ended.add(copy);
    else if (line.startsWith("ok ") && !line.endsWith(" # SKIP")) ran.add(copy);
  }
  return ran.intersection(ended).difference(failed);
}
