/**
 * Kills, cuts, fills and damages a client and a server again and again, and checks afterwards that the output has every
 * point once.
 *
 *     deno task chaos -- --minutes 10 --seed 1 [--output csv] [--rate 500] \
 *       [--kind exact|hop|windows|windows-hop|damage|drop] [--faults kill] [--least-faults 0] [--least-kills 0]
 *
 * A seed gives the same faults in the same order with the same parameters; what the processes do at that moment is
 * their own affair. The server is the program that ALUMET_RELAY_BIN names, if it does. The database of `--output postgresql`
 * is the one whose URL is in CHAOS_POSTGRESQL, or else one on a server of its own.
 */
import { parseArgs } from "@std/cli/parse-args";
import { EXIT } from "../lib/base/errors.ts";
import { Chance } from "../tests/kit/bytes.ts";
import { cannotFill } from "./chaos/disk.ts";
import { type EpochResult, type Kind, runEpoch } from "./chaos/epoch.ts";
import { FAULTS } from "./chaos/faults.ts";
import { OUTPUTS } from "./chaos/outputs.ts";

const KINDS: readonly Kind[] = ["exact", "hop", "damage", "windows", "exact", "windows-hop", "drop"];
/** The longest that one episode takes, in ms; then it is checked, and the next one begins with nothing. */
const EPOCH_MS = 150_000;

function fail(message: string): never {
  console.error(message);
  Deno.exit(EXIT.usage);
}

// Whoever reads a series after it was given back is found out.
Deno.env.set("ALUMET_RELAY_POISON_SERIES", "1");

const FLAGS = ["minutes", "seed", "output", "kind", "rate", "least-faults", "least-kills", "faults"] as const;

const options = parseArgs(Deno.args, {
  string: FLAGS,
  "--": true,
  default: { minutes: "2", seed: String(Date.now() % 1_000_000), output: "csv", rate: "500" },
});
// `deno task chaos -- --minutes 2` hands the two dashes on.
const given = options["--"].length > 0
  ? { ...options, ...parseArgs(options["--"], { string: FLAGS }) }
  : options;
const minutes = Number(given.minutes);
const seed = Number(given.seed);
const rate = Number(given.rate);
if (given.faults && !FAULTS.some(({ name }) => name.includes(given.faults!))) {
  fail(`--faults is a part of one of ${FAULTS.map(({ name }) => name).join(", ")}`);
}
const leastFaults = Number(given["least-faults"] ?? 0);
const leastKills = Number(given["least-kills"] ?? 0);
const output = OUTPUTS.find(({ name }) => name === given.output) ??
  fail(`--output is one of ${OUTPUTS.map(({ name }) => name).join(", ")}`);
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !(rate > 0)) {
  fail("--minutes and --rate take a number, --seed an integer");
}
const kinds = given.kind === undefined
  ? KINDS
  : given.kind.split(",").map((name) =>
    KINDS.find((kind) => kind === name) ?? fail(`--kind is some of ${[...new Set(KINDS)].join(", ")}`)
  );

console.log(`Seed ${seed}, ${minutes} min, output ${output.name}, ${rate} points/s`);
if (cannotFill) console.log(`No disk is filled: ${cannotFill}`);
await using stack = new AsyncDisposableStack();
await output.prepare?.(stack);
const chance = new Chance(seed);
const began = performance.now();
const results: EpochResult[] = [];
const faults = new Map<string, number>();
const left = () => minutes * 60_000 - (performance.now() - began);
for (let n = 0; left() > 0; n++) {
  const kind = kinds[n % kinds.length];
  const own = chance.int(1_000_000_000);
  console.log(`Episode ${n + 1}, ${kind}, seed ${own}`);
  const result = await runEpoch({
    ...{ kind, seed: own, output, rate },
    ms: Math.min(EPOCH_MS, left()),
    ...{ leastFaults, leastKills, faults: given.faults },
    say: (line) => console.log(line),
  });
  results.push(result);
  for (const [name, count] of result.faults) faults.set(name, (faults.get(name) ?? 0) + count);
  const { lives, stored, missing, neverDurable, again, dropped, damaged, kills, cuts } = result;
  console.log(
    `  ${kills} kills, ${cuts} connections cut in mid-frame, ${lives} lives of the client; ${stored} points stored, ` +
      `${missing} missing of those promised (${dropped} counted as dropped, ${damaged} as damaged), ` +
      `${again} there twice that an end may have forgotten, ` +
      `${neverDurable} died with the client before they were durable`,
  );
  for (const problem of result.problems) console.log(`  PROBLEM: ${problem}`);
}
const sum = (field: "kills" | "cuts" | "stored" | "missing") =>
  results.reduce((sum, result) => sum + result[field], 0);
const problems = results.reduce((sum, { problems }) => sum + problems.length, 0);
console.log(
  `Seed ${seed}: ${((performance.now() - began) / 60_000).toFixed(1)} min, ${results.length} episodes, ${
    sum("kills")
  } kills, ${sum("cuts")} cuts, ${sum("stored")} points, ${problems} problems`,
);
console.log([...faults].map(([name, count]) => `${count} ${name}`).join(", "));
await stack.disposeAsync();
Deno.exit(problems === 0 ? EXIT.ok : 1);
