/** What a day of the hosts that the state directory knows will need, for `config check`. */
import { resolver } from "../agent/resolve.ts";
import { findStateBase, roleOf } from "../agent/state_directory.ts";
import { formatSize } from "../base/size.ts";
import type { Configuration } from "../config.ts";
import { inspect } from "../journal/disk/care/inspect.ts";
import type { PointSize } from "../plugin.ts";
import type { General } from "./loading.ts";
import type { CommandLine } from "./parse.ts";
import { openDatabase } from "./query_database.ts";
import type { Surroundings } from "./world.ts";

const DAY_S = 86_400;
/** From less than this, in seconds and points, nothing follows for a day. */
const LEAST_S = 600;
const LEAST_POINTS = 10_000;
/** Bytes of a point in the journal, as measured with the recorded session. */
const USUAL_JOURNAL_BYTES = 3.4;

/** What is known of the hosts. */
interface Seen {
  readonly hosts: number;
  readonly points: number;
  /** In which these points were measured. */
  readonly seconds: number;
  /** Where, to go on behind "in". */
  readonly where: string;
}

/** What a database or a journal knows. */
interface Store {
  readonly seen: Seen;
  readonly size: PointSize;
}

/** How fast the hosts measure, and a line for each output that keeps points; none where nothing is known. */
export async function forecastLines(
  { plugins, general }: Pick<Configuration<General>, "plugins" | "general">,
  line: CommandLine,
  world: Surroundings,
): Promise<string[]> {
  const base = findStateBase(line.value("state-dir"), world.env);
  const directory = base && `${base.path}/${roleOf(plugins.map(({ plugin }) => plugin))}`;
  const sizes: [what: string, size: PointSize][] = [];
  let seen: Seen | undefined;
  for (const { plugin, config } of plugins) {
    if (plugin.kind !== "output") continue;
    const database = plugin.database?.(config);
    if (database) {
      const path = "path" in database ? database.path : `${directory ?? "."}/${database.name}`;
      const store = await databaseAt(path).catch(() => undefined);
      if (store) sizes.push([plugin.name, store.size]);
      seen ??= store?.seen;
      continue;
    }
    const size = await plugin.pointSize?.(config, directory).catch(() => undefined);
    if (size) sizes.push([plugin.name, size]);
  }
  const { journal } = general;
  const resolved = resolver({ plugins, general }, base);
  const isOnDisk = journal.enable ?? resolved(["journal", "enable"]);
  const path = isOnDisk ? journal.path || resolved(["journal", "path"]) as string | undefined : undefined;
  const store = path ? await journalAt(path).catch(() => undefined) : undefined;
  seen ??= store?.seen;
  if (!seen) return [];
  const perDay = seen.points / seen.seconds * DAY_S;
  const lines = [
    `${seen.hosts} host${seen.hosts === 1 ? "" : "s"} made ${
      rounded(perDay / DAY_S)
    } points a second in ${seen.where}, ${rounded(perDay / 1e6)} million a day`,
    ...sizes.map(([what, size]) => `${what} needs ${needOf(perDay, size)}`),
  ];
  if (path) {
    const size = store?.size ?? { bytes: USUAL_JOURNAL_BYTES, measuredIn: null };
    const days = journal.max_size / (perDay * size.bytes);
    lines.push(
      `the journal needs ${
        needOf(perDay, size, "each day on which an output takes no points")
      }; its max_size of ${formatSize(journal.max_size)} is enough for ${
        days >= 2 ? `${rounded(days)} days` : `${rounded(days * 24)} hours`
      }`,
    );
  }
  return lines;
}

const needOf = (perDay: number, { bytes, measuredIn }: PointSize, time = "a day") =>
  measuredIn === null
    ? `about ${gigabytes(perDay * bytes)} for ${time}, at ${rounded(bytes)} bytes a point, which is usual`
    : `${gigabytes(perDay * bytes)} for ${time}, at the ${
      rounded(bytes)
    } bytes that a point takes in ${measuredIn}`;

const isEnough = ({ seconds, points }: Seen) => seconds >= LEAST_S && points >= LEAST_POINTS;

async function databaseAt(path: string): Promise<Store | undefined> {
  const { size } = await Deno.stat(path);
  const db = await openDatabase(path);
  let row: Omit<Seen, "where"> & { allPoints: number };
  try {
    row = db.prepare(
      "WITH newest AS (SELECT max(last) AS last FROM parts) " +
        "SELECT (SELECT count(DISTINCT relay_client) FROM series) AS hosts, coalesce(sum(p.points), 0) AS points, " +
        "coalesce(max(p.last) - min(p.first) + 1, 0) AS seconds, (SELECT sum(points) FROM parts) AS allPoints " +
        `FROM newest n JOIN parts p ON p.first > n.last - ${DAY_S}`,
    ).get() as unknown as typeof row;
  } finally {
    db.close();
  }
  const seen = { ...row, where: `the last day that ${path} has` };
  return isEnough(seen) ? { seen, size: { bytes: size / row.allPoints, measuredIn: path } } : undefined;
}

async function journalAt(path: string): Promise<Store | undefined> {
  const { points, bytes, oldest, newest, clients } = await inspect(path);
  if (!oldest || !newest) return undefined;
  const seconds = newest.seconds - oldest.seconds + 1;
  const seen = { hosts: Math.max(1, clients.length), points, seconds, where: `what the journal ${path} has` };
  return isEnough(seen) ? { seen, size: { bytes: bytes / points, measuredIn: path } } : undefined;
}

const gigabytes = (bytes: number) => `${rounded(bytes / 1e9)} GB`;

/** Three digits. */
function rounded(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
