/**
 * How long questions to a large database take: `billion.ts DIRECTORY [DAYS [HOSTS]]`. Builds the database in the
 * directory, unless it is there, and asks through `alumet-relay query`, in the `sqlite3` shell, and as the page does. 100
 * hosts for 31 days are a billion points and 9 GB. With ALUMET_RELAY_BIN the compiled program is asked.
 */
import { DatabaseSync } from "node:sqlite";
import { answer } from "../lib/outputs/sqlite/history/answers.ts";
import { buildDatabase } from "./large_database.ts";
import { MAIN, usageOf } from "./process.ts";

const [directory, days = "31", hosts = "100"] = Deno.args;
const QUARTER_S = 900;
const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
/** Of each question, the median of so many answers. */
const TRIES = 3;

const path = `${directory}/billion.sqlite`;
const exists = await Deno.stat(path).then(() => true, () => false);
if (!exists) {
  await Deno.mkdir(directory, { recursive: true });
  const endS = Math.floor(Date.now() / 1000 / QUARTER_S) * QUARTER_S;
  const points = buildDatabase(
    path,
    { hosts: Number(hosts), days: Number(days), endS },
    (text) => console.log(text),
  );
  console.log(`${points} points, ${usageOf(Deno.pid).cpuSeconds.toFixed(0)} s of CPU`);
}

const scalar = (sql: string) => {
  using db = new DatabaseSync(path, { readOnly: true });
  return Number(Object.values(db.prepare(sql).get()!)[0]);
};
const endS = scalar("SELECT max(last) + 1 FROM parts");
const { size } = await Deno.stat(path);
console.log(
  `${scalar("SELECT sum(points) FROM parts")} points, ${(size / 1e9).toFixed(2)} GB, ${
    scalar("SELECT count(*) FROM parts")
  } parts, ${scalar("SELECT count(*) FROM series")} series`,
);

/** Wall-clock and CPU seconds. */
interface Time {
  readonly wall: number;
  readonly cpu: number;
}

async function timeOf(command: readonly string[]): Promise<{ time: Time; lines: number }> {
  const script = `TIMEFORMAT='%R %U %S'; time "$@" >${directory}/answer`;
  const { success, stderr } = await new Deno.Command("bash", {
    args: ["-c", script, "bash", ...command],
    stdout: "null",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stderr);
  if (!success) throw new Error(`${command.join(" ")}: ${text}`);
  const [wall, user, system] = text.trim().split("\n").at(-1)!.split(" ").map(Number);
  const answer = await Deno.readTextFile(`${directory}/answer`);
  return { time: { wall, cpu: user + system }, lines: answer.split("\n").length - 1 };
}

/** Takes the file out of the system's memory. */
async function forget(): Promise<void> {
  await new Deno.Command("dd", {
    args: [`if=${path}`, "iflag=nocache", "count=0"],
    stdout: "null",
    stderr: "null",
  }).output();
}

async function ask(what: string, work: () => Promise<{ time: Time; lines: number }>): Promise<void> {
  await forget();
  const first = await work();
  const others = [];
  for (let n = 0; n < TRIES; n++) others.push(await work());
  others.sort((a, b) => a.time.wall - b.time.wall);
  const median = others[Math.floor(TRIES / 2)].time;
  console.log(
    `| ${what} | ${first.lines} | ${first.time.wall.toFixed(2)} | ${median.wall.toFixed(2)} | ${
      median.cpu.toFixed(2)
    } |`,
  );
}

const binary = Deno.env.get("ALUMET_RELAY_BIN");
const relay = binary ? [binary] : [Deno.execPath(), "run", "-A", "--no-check", MAIN];
const query = (...args: string[]) => () => timeOf([...relay, "query", "--database", path, ...args]);
const shell = (sql: string) => () => timeOf(["sqlite3", "-readonly", path, sql]);
const page = (about: Parameters<typeof answer>[1]["about"], spanSeconds: number) => () => {
  const cpu = usageOf(Deno.pid).cpuSeconds;
  const beganMs = performance.now();
  using db = new DatabaseSync(path, { readOnly: true });
  const past = answer(db, { about, spanSeconds, nowSeconds: endS });
  if (!past.isWhole) console.log(`not whole: ${JSON.stringify(about)} ${spanSeconds}`);
  const lines = "series" in past ? past.series.length : past.hosts.length;
  const wall = (performance.now() - beganMs) / 1000;
  return Promise.resolve({ time: { wall, cpu: usageOf(Deno.pid).cpuSeconds - cpu }, lines });
};

const host = "node-042";
const dayOf = (second: number) => new Date(second * 1000).toISOString().slice(0, 10);
const since = (second: number) => `day >= '${dayOf(second)}' AND time >= ${second}000000000`;
const lastHour = `SELECT timestamp, metric, value FROM measurements WHERE relay_client = '${host}' AND ${
  since(endS - HOUR_S)
}`;
const oneMetric = `${lastHour} AND metric = 'cpu_percent'`;
const ofMonth = `FROM measurements_1h WHERE relay_client = '${host}' AND ${since(endS - 30 * DAY_S)}`;
const month = `SELECT timestamp, metric, value, attributes ${ofMonth}`;
const monthOfOne = `SELECT timestamp, value ${ofMonth} AND metric = 'cpu_percent'`;
const weekBy = (column: string) =>
  `SELECT ${column}, sum(value) / 60 AS watts FROM measurements_1m WHERE metric = 'rapl_consumed_energy' AND ${
    since(endS - 7 * DAY_S)
  } GROUP BY ${column}`;
const jobs = "SELECT json_extract(attributes, '$.job_id') AS job, sum(value) FROM measurements_1h " +
  `WHERE metric = 'attributed_energy' AND ${since(endS - 30 * DAY_S)} GROUP BY job`;
const hostsSeen = "SELECT name, last_point FROM hosts";

console.log("| what | rows | first | again | CPU |");
const ago = `${Math.ceil(Date.now() / 1000) - endS + HOUR_S}s`;
await ask(`last hour of a host: query --host --since`, query("--host", host, "--since", ago));
for (
  const [what, sql] of [
    ["last hour of a host", lastHour],
    ["last hour of a metric of a host", oneMetric],
    ["month of a host by hour", month],
    ["month of a metric of a host by hour", monthOfOne],
    ["power of all hosts for a week by minute", weekBy("time")],
    ["the same, by timestamp", weekBy("timestamp")],
    ["energy by job for a month", jobs],
    ["last seen of all hosts", hostsSeen],
  ]
) {
  await ask(`${what}: query`, query(sql));
  await ask(`${what}: sqlite3`, shell(sql));
}
for (
  const [span, seconds] of [["an hour", HOUR_S], ["a day", DAY_S], ["a week", 7 * DAY_S], [
    "a month",
    30 * DAY_S,
  ]] as const
) {
  await ask(`page: ${span} of a host`, page({ kind: "host", name: host }, seconds));
  await ask(`page: power of all hosts for ${span}`, page({ kind: "power" }, seconds));
}
/** Points of an export; the bench's series are polled each 5 s. */
const EXPORTED = 100e6;
const perSecond = scalar("SELECT sum(points) FROM parts") / (endS - scalar("SELECT min(first) FROM parts"));
const untilS = endS - DAY_S;
const [from, until] = [untilS - EXPORTED / perSecond, untilS].map((second) =>
  new Date(second * 1000).toISOString()
);
const target = `${directory}/export.parquet`;
const exported = await timeOf(
  [...relay, "export", "--database", path, "--since", from, "--until", until, target],
);
const written = (await Deno.readTextFile(`${directory}/answer`)).trim();
await Deno.remove(target);
const points = parseInt(written);
console.log(
  `export: ${written}; ${exported.time.wall.toFixed(1)} s, ${exported.time.cpu.toFixed(1)} s of CPU, ${
    (points / exported.time.wall / 1e6).toFixed(2)
  } million points a second`,
);
