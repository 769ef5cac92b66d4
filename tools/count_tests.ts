/**
 * Adds up what a CI run did: `count_tests.ts STEP=EXITCODE...`.
 *
 * A step whose name ends in `.xml` is a run of tests, and the name is its JUnit report; any other is a gate. Prints
 * what failed and, as the last line, `N passed, N failed`. A gate that failed counts as one failed, and so does a run
 * that failed, or ended without any test, where no report says why. A skipped test counts as failed: CI has what all
 * tests need.
 */

import { casesOf } from "./junit.ts";

/** What a step was called, how it ended, and the report that it left, if it left any. */
export interface Step {
  readonly name: string;
  readonly exitCode: number;
  /** `undefined` for a gate, `null` for a run without a report. */
  readonly report?: string | null;
}

/** The lines to print for these steps, and what they come to. */
export function addUp(steps: readonly Step[]): { lines: string[]; passed: number; failed: number } {
  const lines: string[] = [];
  let passed = 0;
  let failed = 0;
  for (const { name, exitCode, report } of steps) {
    const label = name.replace(/^.*\//, "").replace(/\.xml$/, "");
    const cases = typeof report === "string" ? casesOf(report) : [];
    const bad = cases.filter((test) => test.outcome !== "passed");
    passed += cases.length - bad.length;
    failed += bad.length;
    for (const test of bad) lines.push(`${label}: ${test.outcome}: ${test.name}`);
    if (report !== undefined && cases.length === 0) {
      failed++;
      lines.push(`${label}: no test ran (exit code ${exitCode})`);
    } else if (exitCode !== 0 && bad.length === 0) {
      failed++;
      lines.push(`${label}: failed (exit code ${exitCode})`);
    }
  }
  return { lines, passed, failed };
}

async function readReport(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

if (import.meta.main) {
  const steps = await Promise.all(Deno.args.map(async (arg): Promise<Step> => {
    const equals = arg.lastIndexOf("=");
    const step = { name: arg.slice(0, equals), exitCode: Number(arg.slice(equals + 1)) };
    return step.name.endsWith(".xml") ? { ...step, report: await readReport(step.name) } : step;
  }));
  const { lines, passed, failed } = addUp(steps);
  for (const line of lines) console.log(line);
  console.log(`${passed} passed, ${failed} failed`);
  if (failed > 0 || passed === 0) Deno.exit(1);
}
