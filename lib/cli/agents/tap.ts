/** `alumet-relay tap`: points as they pass through a running process. */
import { TextLineStream } from "@std/streams/text-line-stream";
import { EXIT, ExitError } from "../../base/errors.ts";
import { printable } from "../../base/log.ts";
import { unitDisplayName } from "../../points/units.ts";
import type { CommandLine } from "../parse.ts";
import type { Surroundings } from "../world.ts";
import { findAgent } from "./source.ts";
import { count, fit } from "./text.ts";

const FORMATS = ["table", "json", "influx"];

/** Prints until nobody reads it, or the process ends. */
export async function tap(line: CommandLine, world: Surroundings): Promise<number> {
  const format = line.value("format") ?? (world.terminal() ? "table" : "json");
  if (!FORMATS.includes(format)) {
    throw new ExitError(
      EXIT.usage,
      `Cannot use --format ${format} with tap: use one of ${FORMATS.join(", ")}`,
    );
  }
  const rate = line.value("rate");
  if (rate !== undefined && !(Number(rate) > 0)) {
    throw new ExitError(EXIT.usage, `Cannot use --rate ${rate}: it is a number of points per second`);
  }
  const query = new URLSearchParams({ format: format === "influx" ? "influx" : "json" });
  const given = { client: line.value("client"), metric: line.value("metric"), rate };
  for (const [name, value] of Object.entries(given)) if (value !== undefined) query.set(name, value);
  const { source } = await findAgent(line, world);
  const stream = await source.open(`/api/v1/tap?${query}`);
  const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  const print = format === "table" ? tableLine : (text: string) => text + "\n";
  if (format === "table") world.stdout(HEADER);
  for await (const text of lines) {
    const dropped = droppedIn(text);
    if (dropped !== undefined) {
      world.stderr(
        `Note: ${count(dropped)} points are not shown: they come faster than --rate, or than they are read\n`,
      );
      continue;
    }
    // Whoever reads a pipe may leave.
    if (world.stdout(print(text)) === false) break;
  }
  return EXIT.ok;
}

function droppedIn(text: string): number | undefined {
  const [, json, lines] = /^(?:\{"dropped":(\d+)\}|# (\d+) points dropped)$/.exec(text) ?? [];
  const number = json ?? lines;
  return number === undefined ? undefined : Number(number);
}

const COLUMNS = [["time", 15], ["client", 16], ["metric", 28], ["value", 14], ["unit", 5]] as const;
const HEADER = COLUMNS.map(([name, width]) => fit(name, width)).join(" ") + " about\n";

/** A point as a line of a table. */
export function tableLine(text: string): string {
  const point = JSON.parse(text);
  const attributes: [string, string, unknown][] = point.attributes;
  const client = attributes.findLast(([name]) => name === "relay_client")?.[2] ?? "";
  const about = [
    `${point.resource_kind} ${point.resource_id}`.trim(),
    `${point.consumer_kind} ${point.consumer_id}`.trim(),
  ].filter((what) => what !== "local_machine");
  const others = attributes.filter(([name]) => name !== "relay_client").map(([name, , value]) =>
    `${name}=${value}`
  );
  const unit = unitDisplayName(point.unit);
  const cells = [point.time.slice(11, 26), String(client), point.metric, String(point.value), unit];
  const row = COLUMNS.map(([name, width], i) => fit(cells[i], width, name === "value"));
  return [...row, printable([...about, ...others].join(" "))].join(" ").trimEnd() + "\n";
}
