/** What the hosts that a database knows will need per day, for `config check`. */
import { findStateBase, roleOf } from "../agent/state_directory.ts";
import type { Configuration } from "../config.ts";
import type { CommandLine } from "./parse.ts";
import { openDatabase } from "./query_database.ts";
import type { Surroundings } from "./world.ts";

const DAY_S = 86_400;
/** From less than this, in seconds and points, nothing follows for a day. */
const LEAST_S = 600;
const LEAST_POINTS = 10_000;

interface Seen {
  hosts: number;
  /** In the last day that has points. */
  points: number;
  seconds: number;
  allPoints: number;
}

/** A line for each output whose database has enough points; none where it is not there, or cannot be read. */
export async function forecastLines(
  { plugins }: Pick<Configuration<unknown>, "plugins">,
  line: CommandLine,
  world: Surroundings,
): Promise<string[]> {
  const base = findStateBase(line.value("state-dir"), world.env);
  const directory = base ? `${base.path}/${roleOf(plugins.map(({ plugin }) => plugin))}` : ".";
  const lines: string[] = [];
  for (const { plugin, config } of plugins) {
    const database = plugin.kind === "output" ? plugin.database?.(config) : undefined;
    if (!database) continue;
    const path = "path" in database ? database.path : `${directory}/${database.name}`;
    const text = await forecast(plugin.name, path).catch(() => undefined);
    if (text !== undefined) lines.push(text);
  }
  return lines;
}

async function forecast(output: string, path: string): Promise<string | undefined> {
  const { size } = await Deno.stat(path);
  const db = await openDatabase(path);
  let seen: Seen;
  try {
    seen = db.prepare(
      "WITH newest AS (SELECT max(last) AS last FROM parts) " +
        "SELECT (SELECT count(DISTINCT relay_client) FROM series) AS hosts, coalesce(sum(p.points), 0) AS points, " +
        "coalesce(max(p.last) - min(p.first) + 1, 0) AS seconds, (SELECT sum(points) FROM parts) AS allPoints " +
        `FROM newest n JOIN parts p ON p.first > n.last - ${DAY_S}`,
    ).get() as unknown as Seen;
  } finally {
    db.close();
  }
  const { hosts, points, seconds, allPoints } = seen;
  if (seconds < LEAST_S || points < LEAST_POINTS) return undefined;
  const rate = points / seconds;
  const bytesPerPoint = size / allPoints;
  return `${hosts} host${hosts === 1 ? "" : "s"} made ${
    rounded(rate)
  } points a second in the last day that ${path} has, ` +
    `${rounded(rate * DAY_S / 1e6)} million a day: ${output} needs ${
      rounded(rate * DAY_S * bytesPerPoint / 1e9)
    } GB ` +
    `for a day at the ${rounded(bytesPerPoint)} bytes that a point takes there now`;
}

/** Three digits. */
function rounded(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
