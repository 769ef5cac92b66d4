/** The rules that tests themselves keep: how long a file may be, how it may wait, and what it may claim. */
import assert from "node:assert/strict";
import { until } from "../kit/waiting.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

const MAX_LINES = 600;
/** The longest pause that needs no reason. */
const MAX_PAUSE_MS = 100;
/** What says that a longer pause is no guess: it stands in the line of the pause, or in a comment right above it. */
const MARK = /(?:\/\/|#) The time is tested: \S/;

/** Calls that let time pass: TypeScript's in ms, Python's in seconds. */
const CALLS: readonly { pattern: RegExp; unitMs: number }[] = [
  { pattern: /(?<![\w.#])pause\(([^()]*(?:\([^()]*\))?[^()]*)\)/, unitMs: 1 },
  { pattern: /new Promise\b.*=> setTimeout\([^,]*, ([^()]*(?:\([^()]*\))?)\)/, unitMs: 1 },
  { pattern: /\btime\.sleep\(([^()]*(?:\([^()]*\))?[^()]*)\)/, unitMs: 1000 },
];

/** The longest that an argument may stand for: of a number it is the number, of `chance.int(n)` the n, else unknown. */
function longest(argument: string): number {
  const alternatives = argument.split(/[?:]/).slice(-2);
  return Math.max(...alternatives.map((text) => {
    const number = /^(?:\S*chance\.int\()?([\d_.]+)\)?$/.exec(text.trim());
    return number ? Number(number[1].replaceAll("_", "")) : Infinity;
  }));
}

/** The shortest time, in ms, that may be too long for something that must happen: busy machines stand still for seconds. */
const MIN_LIMIT_MS = 60_000;
/** Limits of real time: of a measured time, and of the helpers that wait. */
const LIMITS: readonly RegExp[] = [
  /\bassert\b.*\bperformance\.now\(\) - \w+!? <=? ([\w.]+)/g,
  /\b(?:until|settled)\(\s*(?:async )?\(\) =>[^;]*?,\s*([\d_]{3,})(?:,?\s*\);|,\s*["`(])/g,
  /\batMost\(\s*([\d_]+),/g,
  /\.line\(.*\{.*\bms: ([\d_]+)/g,
  /\.wait\(([\d_]+)\), "ready"/g,
];

/** Claims about the log of a process that runs, of which more may be on its way: only that there is no such line holds. */
const CLAIM = /\bassert\b.*\.soFar\(/;
const NO_LINE = /assert\.deepEqual\([^()]*\.soFar\(\/.*\/\w*\), \[\]/;

/** What is wrong with a file of tests or of their kit. */
function problems(path: string, text: string): string[] {
  const lines = text.replace(/\n$/, "").split("\n");
  const found: string[] = [];
  if (lines.length > MAX_LINES) {
    found.push(`${path}: ${lines.length} lines, and ${MAX_LINES} is the limit: cut it by ideas`);
  }
  const constants = new Map(
    Array.from(text.matchAll(/^ *const (\w+) = ([\d_]+);/gm), ([, name, value]) => [name, value]),
  );
  for (const match of LIMITS.flatMap((pattern) => [...text.matchAll(pattern)])) {
    const [code, limit] = match;
    if (limit === "PATIENCE_MS") continue;
    const ms = Number((constants.get(limit) ?? limit).replaceAll("_", ""));
    if (ms >= MIN_LIMIT_MS) continue;
    const line = text.slice(0, match.index).split("\n").length;
    found.push(`${path}:${line}: ${code.trim()}: a busy machine takes longer, allow PATIENCE_MS`);
  }
  lines.forEach((line, i) => {
    const code = line.replace(/^\s*(\/\/|\*|\/\*).*/, "");
    if (CLAIM.test(code) && !NO_LINE.test(code)) {
      found.push(`${path}:${i + 1}: ${line.trim()}: the line may be on its way, await program.line(…)`);
    }
    for (const { pattern, unitMs } of CALLS) {
      const argument = pattern.exec(code)?.[1];
      if (argument === undefined || /^\w+: /.test(argument)) continue;
      const ms = longest(constants.get(argument) ?? argument) * unitMs;
      let above = i - 1;
      while (/^\s*(?:\/\/|# )/.test(lines[above] ?? "") && !MARK.test(lines[above])) above--;
      if (ms > MAX_PAUSE_MS && !MARK.test(line) && !MARK.test(lines[above] ?? "")) {
        found.push(
          `${path}:${i + 1}: ${line.trim()} may wait longer than ${MAX_PAUSE_MS} ms: wait for a condition, ` +
            "or say `// The time is tested: …`",
        );
      }
    }
  });
  return found;
}

function* filesBelow(path: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(`${ROOT}${path}`)) {
    if (isDirectory && name !== "testdata") yield* filesBelow(`${path}/${name}`);
    else if (/\.(ts|py)$/.test(name)) yield `${path}/${name}`;
  }
}

/** How a test of tests names a function, so that it is not taken for the use of one. */
const PAUSE = "pause";
const SO_FAR = "soFar";

Deno.test("a file of tests has at most 600 lines, waits for conditions, not for time, as long as a busy machine needs, and for lines of a log before it reads them", () => {
  const found = [...filesBelow("tests")].flatMap((path) =>
    problems(path, Deno.readTextFileSync(`${ROOT}${path}`))
  );
  assert.deepEqual(found, []);
});

Deno.test("a file that is too long is found, one that is just short enough is not", () => {
  assert.deepEqual(problems("a.ts", "x\n".repeat(600)), []);
  assert.match(problems("a.ts", "x\n".repeat(601))[0], /^a\.ts: 601 lines/);
});

Deno.test("a claim that a running process has logged something is found, that it has not is allowed", () => {
  const wrong = [
    `assert.equal(server.${SO_FAR}(/Closing/).length, 1);`,
    `assert.match(server.${SO_FAR}(/Closing/)[0].text, /denied/);`,
    `  assert.ok(server.${SO_FAR}(/Closing/).length > 0);`,
  ];
  for (const line of wrong) assert.match(problems("a.ts", line)[0], /may be on its way/);
  const allowed = [
    `assert.deepEqual(server.${SO_FAR}(/stuck/), []);`,
    `assert.deepEqual(server.${SO_FAR}(/"error"/i), [], server.log);`,
    `await until(() => server.${SO_FAR}(/"error"/).length > 0 || stored() > 0);`,
  ];
  for (const line of allowed) assert.deepEqual(problems("a.ts", line), [], line);
});

Deno.test("a limit of real time that a busy machine may not keep is found, a long one is allowed", () => {
  const wrong = [
    `assert.ok(performance.now() - began < ${"2000"});`,
    `assert.ok(performance.now() - before! <= ${"1.5"} * ms, "soon");`,
    `assert.ok(performance.now() - began < ${"5_000"}, server.log);`,
    `await until(() => server.points.length === 10, ${"20_000"});`,
    `await until(\n  () => server.points.length === 10,\n  ${"20_000"},\n  "all",\n);`,
    `await until(async () => await all(10), ${"30_000"}, () => server.log);`,
    `await atMost(${"10_000"}, taking, () => "the end");`,
    `await atMost(\n  ${"10_000"},\n  taking,\n  () => "the end",\n);`,
    `await program.line(/Stopped/, { ms: ${"3000"} });`,
    `assert.equal(await reader.wait(${"1000"}), "ready");`,
    `const SHORT_MS = 2000;\nassert.ok(performance.now() - began < SHORT_MS);`,
  ];
  for (const line of wrong) assert.match(problems("a.ts", line)[0], /a busy machine takes longer/, line);
  const allowed = [
    `assert.ok(performance.now() - began < PATIENCE_MS);`,
    `assert.ok(performance.now() - began > 1000, "it waits");`,
    `for (const began = performance.now(); performance.now() - began < 20;);`,
    `await until(() => server.points.length === 10);`,
    `await until(() => taken("other", 10_500) && all(1000));`,
    `await until(() => done, ${"120_000"});`,
    `await atMost(PATIENCE_MS, taking, () => "the end");`,
    `await program.line(/Stopped/, { count: 3 });`,
    `assert.equal(await reader.wait(20), "timeout");`,
  ];
  for (const line of allowed) assert.deepEqual(problems("a.ts", line), [], line);
});

Deno.test("a long pause is found however it is written, unless the time itself is tested", () => {
  const long = [
    `await ${PAUSE}(101);`,
    `await ${PAUSE}(5_000);`,
    `if (slow) await ${PAUSE}(slow ? 2 : 200);`,
    `await ${PAUSE}(chance.int(500));`,
    `await ${PAUSE}(this.#ms);`,
    `await ${PAUSE}(seconds * 1000);`,
    `await new Promise((resolve) => set${"Timeout"}(resolve, 300));`,
    `  time.${"sleep"}(0.3)`,
  ];
  for (const line of long) {
    assert.equal(problems("a.ts", `before();\n${line}\n`).length, 1, line);
    assert.deepEqual(problems("a.ts", `// The time is tested: the lamp is on for it.\n${line}\n`), [], line);
    assert.deepEqual(
      problems("a.ts", `// The time is tested: the lamp is on for it,\n// and off again.\n${line}\n`),
      [],
    );
    assert.equal(problems("a.ts", `// The time is tested: another.\nwork();\n${line}\n`).length, 1, line);
    assert.equal(problems("a.ts", `// It takes a while.\n${line}\n`).length, 1, line);
  }
  const short = [
    `await ${PAUSE}(100);`,
    `await ${PAUSE}(chance.int(40));`,
    `await ${PAUSE}(n % 2 === 0 ? 1 : 0);`,
    `  time.${"sleep"}(0.05)`,
    `// await ${PAUSE}(5000);`,
  ];
  for (const line of short) assert.deepEqual(problems("a.ts", line), [], line);
  assert.equal(problems("a.ts", `const LONG_MS = 2000;\nawait ${PAUSE}(LONG_MS);\n`).length, 1);
  assert.deepEqual(problems("a.ts", `const SHORT_MS = 20;\nawait ${PAUSE}(SHORT_MS);\n`), []);
});

Deno.test("a test waits by the real time, whatever it has made of its clock", async () => {
  const { now } = performance;
  let hours = 0;
  performance.now = () => 3_600_000 * hours++;
  try {
    let looks = 0;
    await until(() => ++looks === 3);
  } finally {
    performance.now = now;
  }
});
