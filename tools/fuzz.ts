/**
 * Fuzzing of a whole server: `deno task fuzz --cases 20000 --seed 1`. Changed sessions over TCP against the real program,
 * while clients that do nothing wrong send the whole time. Exit code 1: there are findings, which are printed.
 */
import { parseArgs } from "@std/cli/parse-args";
import { fuzz } from "./fuzz/run.ts";

const { cases, seed } = parseArgs(Deno.args, { string: ["cases", "seed"] });
const options = { cases: Number(cases ?? 20_000), seed: Number(seed ?? Date.now() % 1e9), say: console.log };
console.log(`seed ${options.seed}`);
const result = await fuzz(options);
console.log(
  `${result.cases} cases in ${result.connections} connections in ${result.seconds.toFixed(0)} s, ` +
    `${result.points} points of each good client, at most ${Math.round(result.peakBytes / 2 ** 20)} MiB`,
);
for (const finding of result.findings) console.log(`FINDING ${finding}`);
Deno.exit(result.findings.length > 0 ? 1 : 0);
