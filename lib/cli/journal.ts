/** `alumet-relay journal`: shows, checks and repairs the journal on disk. */
import { timeToJson } from "../dead_letters/codec.ts";
import { check } from "../journal/disk/care/check.ts";
import { inspect, type Inspection, type PointTime } from "../journal/disk/care/inspect.ts";
import { repair } from "../journal/disk/care/repair.ts";
import { formatDuration } from "../base/duration.ts";
import { EXIT, ExitError } from "../base/errors.ts";
import { printable, printableJson } from "../base/log.ts";
import { formatSize } from "../base/size.ts";
import { findJournals, reading } from "./journal_access.ts";
import { load } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import { type Cell, render } from "./rows.ts";
import type { Surroundings } from "./world.ts";

/** Most clients in the text; the JSON has all of them. */
const MAX_CLIENTS = 50;

/** Runs the commands that begin with `journal`. */
export async function journal(line: CommandLine, world: Surroundings): Promise<number> {
  const path = line.value("path") ?? await configuredPath(line, world);
  const directories = path ? [path] : await findJournals(line, world);
  const command = line.command.name;
  if (command === "journal status") return await status(directories, line, world);
  if (command === "journal check") return await checkAll(directories, world);
  if (directories.length > 1) {
    throw new ExitError(
      EXIT.usage,
      `Cannot use ${command} without --path: there are ${directories.length} journals: ${
        directories.join(", ")
      }`,
    );
  }
  if (command === "journal repair") return await repairOne(directories[0], world);
  const { dump } = await import("./journal_dump.ts");
  return await dump(directories[0], line, world);
}

async function configuredPath(line: CommandLine, world: Surroundings): Promise<string> {
  return (await load(line, world, { requirePipeline: false })).config.general.journal.path;
}

const count = (n: number, one: string) => `${n.toLocaleString("en-US")} ${one}${n === 1 ? "" : "s"}`;

async function status(
  directories: readonly string[],
  line: CommandLine,
  { stdout }: Surroundings,
): Promise<number> {
  const now = Date.now();
  const all: Inspection[] = [];
  for (const directory of directories) all.push(await reading(directory, () => inspect(directory)));
  if (line.has("json")) stdout(printableJson(all.map((one) => statusJson(one, now))) + "\n");
  else stdout(all.map((one) => statusText(one, now)).join("\n"));
  return EXIT.ok;
}

const ageMs = ({ seconds, nanos }: PointTime, now: number) => Math.max(0, now - seconds * 1000 - nanos / 1e6);
const timeOf = (time: PointTime | null) => time && timeToJson(time.seconds, time.nanos);
const contact = (ms: number) => ms === 0 ? null : new Date(ms).toISOString();

/** A time and its age, in whole seconds. */
function since(time: PointTime | null, now: number): string {
  if (time === null) return "";
  const age = formatDuration(Math.floor(ageMs(time, now) / 1000) * 1000);
  return `${new Date(time.seconds * 1000).toISOString().slice(0, 19)}Z (${age} ago)`;
}

function statusJson(one: Inspection, now: number) {
  const seconds = (time: PointTime | null) => time && Math.round(ageMs(time, now) / 1000);
  return {
    directory: one.directory,
    id: one.identity?.id ?? null,
    host: one.identity?.host ?? null,
    used_by_process: one.holder ?? null,
    bytes: one.bytes,
    segments: one.segments.length,
    points: one.points,
    oldest: timeOf(one.oldest),
    oldest_age_seconds: seconds(one.oldest),
    newest: timeOf(one.newest),
    newest_age_seconds: seconds(one.newest),
    outputs: one.outputs.map(({ output, position, points, oldest }) => ({
      output,
      position,
      points_waiting: points,
      oldest_waiting: timeOf(oldest),
      oldest_waiting_age_seconds: seconds(oldest),
    })),
    clients: one.clients.map(({ name, instance, sequence, kept, contactMs }) => ({
      name,
      instance: instance || null,
      last_batch: sequence || null,
      points_waiting: kept,
      last_contact: contact(contactMs),
    })),
    quarantine: one.quarantine,
    problems: [...one.problems].map(([path, problem]) => ({ path, problem })),
  };
}

function statusText(one: Inspection, now: number): string {
  const { identity, holder, quarantine } = one;
  const facts: [string, string][] = [
    ["Journal", one.directory],
    ["Used by", holder === null ? "nobody" : holder === undefined ? "unknown" : `process ${holder}`],
    [
      "Id",
      identity ? `${identity.id}, of host ${identity.host}` : identity === null ? "damaged" : "none yet",
    ],
    [
      "On disk",
      `${formatBytes(one.bytes)} in ${count(one.segments.length, "segment")}, ${count(one.points, "point")}`,
    ],
  ];
  if (one.oldest) facts.push(["Oldest", since(one.oldest, now)]);
  if (one.newest) facts.push(["Newest", since(one.newest, now)]);
  facts.push([
    "Quarantine",
    quarantine.files === 0 ? "empty" : `${count(quarantine.files, "file")}, ${formatBytes(quarantine.bytes)}`,
  ]);
  for (const [path, problem] of one.problems) facts.push(["Problem", `${path}: ${problem}`]);
  let text = facts.map(([name, value]) => `${name.padEnd(12)}${printable(value)}\n`).join("");

  const table = (columns: string[], rows: Cell[][]) => {
    if (rows.length > 0) {
      text += "\n" + [...render(columns, rows, { format: "table", terminal: true })].join("");
    }
  };
  table(
    ["output", "points waiting", "oldest of them"],
    one.outputs.map(({ output, points, oldest }) => [output, points, since(oldest, now)]),
  );
  table(
    ["client", "instance", "last batch", "points waiting", "last contact"],
    one.clients.slice(0, MAX_CLIENTS).map(({ name, instance, sequence, kept, contactMs }) => [
      name || (instance ? "" : "(this process)"),
      instance,
      sequence === 0 ? "" : sequence,
      kept,
      contact(contactMs)?.slice(0, 19).concat("Z") ?? "",
    ]),
  );
  const others = one.clients.length - MAX_CLIENTS;
  if (others > 0) text += `… and ${count(others, "more client")}; --json prints all\n`;
  return text;
}

function formatBytes(bytes: number): string {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
  }
  return formatSize(bytes) + " bytes";
}

async function checkAll(directories: readonly string[], { stdout }: Surroundings): Promise<number> {
  let code: number = EXIT.ok;
  for (const directory of directories) {
    const { segments, records, points, problems, notes } = await reading(directory, () => check(directory));
    for (const { path, offset, problem } of problems) {
      stdout(printable(`${path}${offset === undefined ? "" : `, byte ${offset}`}: ${problem}`) + "\n");
    }
    for (const note of notes) stdout(`Note: ${printable(note)}\n`);
    const what = `${count(points, "point")} in ${count(records, "record")} of ${count(segments, "segment")}`;
    const verdict = problems.length === 0 ? "good" : count(problems.length, "problem");
    stdout(`${printable(directory)}: ${what}, ${verdict}\n`);
    if (problems.length > 0) code = EXIT.data;
  }
  return code;
}

async function repairOne(directory: string, { stdout }: Surroundings): Promise<number> {
  const { actions, lostPoints } = await repair(directory);
  for (const action of actions) stdout(printable(action) + "\n");
  if (actions.length === 0) stdout(`${printable(directory)}: nothing to repair\n`);
  else stdout(`${printable(directory)}: repaired, ${count(lostPoints, "point")} lost\n`);
  return EXIT.ok;
}
