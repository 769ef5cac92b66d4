/** What `alumet-relay top` shows: a head, and the hosts as a table that fits the terminal. */
import type { Status } from "../../seeing/api.ts";
import type { HostRow } from "../../seeing/live/hosts.ts";
import { age, count, cut, fit, short, watts } from "./text.ts";

export type Sort = "state" | "name" | "power" | "rate" | "contact" | "waiting";

/** Which hosts, and in which order. */
interface Choice {
  readonly sort: Sort;
  /** Only hosts whose names contain this. */
  readonly filter: string;
}

export interface Layout extends Choice {
  /** Characters of a line, 40 at least. */
  readonly columns: number;
  /** Lines, the head included. @default all */
  readonly rows?: number;
  /** The first host that is shown. */
  readonly from: number;
  readonly color: boolean;
}

/** With fewer lines, hosts are more important than what is in the head. */
const SMALL_ROWS = 10;

const COLLATOR = new Intl.Collator("en", { numeric: true });

const ORDERS: Readonly<Record<Sort, (a: HostRow, b: HostRow) => number>> = {
  // Who fell silent last is the most urgent.
  state: (a, b) =>
    Number(b.state === "silent") - Number(a.state === "silent") ||
    (a.state === "silent" ? (a.silent_seconds ?? 0) - (b.silent_seconds ?? 0) : 0),
  name: () => 0,
  power: (a, b) => (b.watts ?? -1) - (a.watts ?? -1),
  rate: (a, b) => b.points_per_second - a.points_per_second,
  contact: (a, b) => (b.silent_seconds ?? -1) - (a.silent_seconds ?? -1),
  waiting: (a, b) => b.pending_points - a.pending_points,
};

/** The hosts to show, in order. */
export function sorted(
  hosts: readonly HostRow[],
  { sort, filter }: Choice,
): HostRow[] {
  const wanted = filter.toLowerCase();
  return hosts.filter(({ name }) => name.toLowerCase().includes(wanted))
    .sort((a, b) => ORDERS[sort](a, b) || COLLATOR.compare(a.name, b.name));
}

interface Column {
  readonly title: string;
  readonly width: number;
  /** It is left out on narrower terminals. */
  readonly from: number;
  cell(host: HostRow): string;
}

const COLUMNS: readonly Column[] = [
  { title: "power", width: 10, from: 40, cell: (host) => watts(host.watts) },
  { title: "rate/s", width: 7, from: 40, cell: (host) => short(host.points_per_second) },
  {
    title: "last",
    width: 5,
    from: 48,
    cell: ({ silent_seconds }) => silent_seconds === null ? "" : age(silent_seconds),
  },
  {
    title: "waiting",
    width: 8,
    from: 60,
    cell: (host) => host.pending_points === 0 ? "" : short(host.pending_points),
  },
  { title: "points", width: 8, from: 72, cell: (host) => short(host.points) },
  { title: "version", width: 14, from: 90, cell: (host) => host.version ?? "" },
  { title: "address", width: 24, from: 120, cell: (host) => host.address ?? "" },
];

/** The lines of the screen. */
export function topScreen(status: Status, hosts: readonly HostRow[], layout: Layout): string[] {
  const columns = Math.max(40, layout.columns);
  const paint = (code: string, text: string) => layout.color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const total = hosts.reduce((sum, host) => sum + (host.watts ?? 0), 0);
  const rate = hosts.reduce((sum, host) => sum + host.points_per_second, 0);
  const silent = hosts.filter(({ state }) => state === "silent").length;
  const head = [
    `${status.host} ${status.role ?? "starting"}, up ${
      status.started === null ? "0s" : age(status.now - status.started)
    }` +
    (status.ready ? "" : `, NOT READY: ${status.problems.join(", ")}`),
    `${count(hosts.length)} hosts, ${silent} silent, ${watts(total)}, ${short(rate)} points/s`,
  ];
  for (const { name, pending_points, lag_seconds, target_away, dead_letters } of status.outputs) {
    head.push(
      `→ ${name}: ${
        pending_points === 0 ? "up to date" : `${short(pending_points)} wait, ${age(lag_seconds)}`
      }` +
        (target_away ? ", TARGET AWAY" : "") +
        (dead_letters > 0 ? `, ${short(dead_letters)} dead letters` : ""),
    );
  }
  const shown = COLUMNS.filter(({ from }) => from <= columns);
  const nameWidth = columns - 2 - shown.reduce((sum, { width }) => sum + width + 1, 0);
  const title = "  " + fit("host", nameWidth) +
    shown.map(({ title, width }) => " " + fit(title, width, true)).join("");
  const list = sorted(hosts, layout);
  if (layout.rows !== undefined && layout.rows < SMALL_ROWS) head.splice(Math.max(1, layout.rows - 3));
  else head.push("");
  const room = layout.rows === undefined ? Infinity : Math.max(1, layout.rows - head.length - 1);
  const rows = list.slice(layout.from, layout.from + room).map((host) => {
    const cells = shown.map((column) => " " + fit(column.cell(host), column.width, true)).join("");
    const text = `${host.state === "silent" ? "✗" : "●"} ${fit(host.name, nameWidth)}${cells}`;
    return host.state === "silent" ? paint("31", text) : text;
  });
  return [...head.map((text) => cut(text, columns)), paint("7", title), ...rows];
}
