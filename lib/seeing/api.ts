/** The API `/api/v1`: what the page and the commands show, as JSON, and a stream of events. docs/seeing.md describes it. */
import { type HttpRequest, type HttpResponse, textResponse } from "../http/head.ts";
import type { LogEntry } from "../base/log_ring.ts";
import type { PartFigures } from "../agent/figures.ts";
import type { Live } from "./live/live.ts";
import { pastHost, pastOr, pastPower } from "./past.ts";
import { jsonPage, type Page } from "./pages.ts";
import { tapPage } from "./tap.ts";
import type { View } from "./view.ts";

/** Streams of events at the same time. */
const MAX_STREAMS = 32;
/** An event is sent every so many looks of {@linkcode Live}. */
const LOOKS_PER_EVENT = 2;
/** Hosts that the power of the last quarter of an hour is shown of, one by one. */
const MOST_HOSTS = 20;

const API = "/api/v1";

/** What the process says about itself. */
export interface Status {
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** `client`, `server`, `hop` or `local`; `null` while it starts. */
  readonly role: string | null;
  /** In seconds since the epoch. */
  readonly now: number;
  readonly started: number | null;
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly problems: readonly string[];
  /** Servers that it sends to. */
  readonly connected_to: readonly string[];
  /** Clients that are connected; `null` where it does not receive. */
  readonly clients: number | null;
  /** Whether an output stores values that the page can look back at. */
  readonly history: boolean;
  readonly refused_clients: number;
  readonly points: number;
  readonly dropped_points: number;
  readonly rejected_points: number;
  readonly duplicate_points: number;
  readonly pending_points: number;
  readonly journal: {
    readonly directory: string | null;
    readonly bytes: number;
    readonly limit_bytes: number;
    readonly full: boolean;
    readonly oldest_seconds: number;
  } | null;
  readonly outputs: readonly {
    readonly name: string;
    readonly pending_points: number;
    readonly lag_seconds: number;
    readonly target_away: boolean;
    readonly dropped_points: number;
    readonly dead_letters: number;
    readonly counters: Readonly<Record<string, number>>;
  }[];
  readonly inputs: readonly { readonly name: string; readonly counters: Readonly<Record<string, number>> }[];
  readonly memory_bytes: number | null;
  readonly cpu_seconds: number | null;
  readonly last_error: LogRow | null;
}

/** A line of the log. */
export interface LogRow {
  /** In seconds since the epoch. */
  readonly time: number;
  readonly level: string;
  readonly part: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

const logRow = ({ timeMs, ...rest }: LogEntry): LogRow => ({ time: timeMs / 1000, ...rest });

function statusOf({ agent, facts, problems }: View): Status {
  const base = {
    version: facts.version,
    host: facts.host,
    pid: Deno.pid,
    now: Date.now() / 1000,
    ready: problems.length === 0,
    problems,
    last_error: facts.log.lastError && logRow(facts.log.lastError),
  };
  if (!agent) {
    return {
      ...base,
      ...{ role: null, started: null, connected_to: [], clients: null, history: false },
      ...{ refused_clients: 0, points: 0 },
      ...{ dropped_points: 0, rejected_points: 0, duplicate_points: 0, pending_points: 0, journal: null },
      ...{ outputs: [], inputs: [], memory_bytes: null, cpu_seconds: null },
    };
  }
  const { figures } = agent;
  const { directory, bytes, limitBytes, isFull, oldestSeconds, ...journal } = figures.journal();
  const { residentBytes, cpuSeconds } = figures.process();
  const parts = figures.parts();
  const countersOf = (kind: PartFigures["kind"], name: string) =>
    parts.find((part) => part.kind === kind && part.name === name)?.counters ?? {};
  const sum = (counter: string) =>
    parts.reduce((sum, { kind, counters }) => sum + (kind === "input" ? counters[counter] ?? 0 : 0), 0);
  return {
    ...base,
    role: figures.role,
    started: figures.startedMs / 1000,
    connected_to: figures.servers(),
    clients: figures.connectedClients ?? null,
    history: agent.history !== undefined,
    refused_clients: sum("refusedClients"),
    points: journal.appendedPoints,
    dropped_points: journal.droppedPoints,
    rejected_points: sum("rejectedPoints"),
    duplicate_points: sum("duplicatePoints"),
    pending_points: journal.pendingPoints,
    journal: { directory, bytes, limit_bytes: limitBytes, full: isFull, oldest_seconds: oldestSeconds },
    outputs: figures.outputs().map((output) => ({
      name: output.name,
      pending_points: output.pendingPoints,
      lag_seconds: output.lagSeconds,
      target_away: output.isTargetAway,
      dropped_points: output.droppedPoints,
      dead_letters: output.deadLetters,
      counters: countersOf("output", output.name),
    })),
    inputs: parts.filter(({ kind }) => kind === "input").map(({ name, counters }) => ({ name, counters })),
    memory_bytes: residentBytes,
    cpu_seconds: Number.isNaN(cpuSeconds) ? null : cpuSeconds,
  };
}

/** @param live Starts looking at what is happening now, if nobody does; `null` before the agent runs. */
export function apiPages(view: View, live: () => Live | null): Record<string, Page> {
  const pages: Record<string, Page> = {
    [`${API}/status`]: jsonPage(() => statusOf(view)),
    [`${API}/log`]: jsonPage(() => view.facts.log.entries.map(logRow)),
    [`${API}/hosts`]: jsonPage(() => live()?.rows() ?? []),
    [`${API}/power`]: pastOr(
      jsonPage(() => {
        const now = live();
        return now && { ...now.axis, hosts: now.power(MOST_HOSTS) };
      }),
      jsonPage((query) => pastPower(view, live, query)),
    ),
    [`${API}/consumers`]: jsonPage(() => live()?.consumers() ?? []),
    [`${API}/events`]: eventsPage(view, live),
    [`${API}/tap`]: tapPage(view),
  };
  const host = jsonPage((query) => {
    const now = live()!;
    return { ...now.axis, refused_series: now.ring.refused, series: now.seriesOf(query.get("name")!) };
  });
  return {
    [API]: jsonPage(() => [...Object.keys(pages), `${API}/host?name=`]),
    ...pages,
    [`${API}/host`]: pastOr((request) => {
      const name = new URLSearchParams(request.query).get("name");
      if (name === null || live()?.hosts.find(name) === undefined) {
        return textResponse(404, "There is no such host: say ?name=NAME, as /api/v1/hosts has it.");
      }
      return host(request);
    }, jsonPage((query) => pastHost(view, live, query))),
  };
}

/** What is sent again and again, in the form of server-sent events. */
function eventsPage(view: View, live: () => Live | null): Page {
  let streams = 0;
  let looks = 0;
  /** The event of this look, which all streams share. */
  let event = { look: -1, text: "" };
  let counting: Live | null = null;
  const make = (live: Live): string => {
    const data = JSON.stringify({ status: statusOf(view), hosts: live.rows() });
    return `event: tick\ndata: ${data}\n\n`;
  };
  return (_request: HttpRequest): HttpResponse => {
    const now = live();
    if (!now || streams >= MAX_STREAMS) {
      return textResponse(503, now ? "Too many streams of events; try again." : "The process is starting.", {
        "retry-after": "1",
      });
    }
    if (counting !== now) {
      counting = now;
      now.onLook(() => looks++);
    }
    streams++;
    return {
      status: 200,
      headers: { "content-type": "text/event-stream; charset=utf-8" },
      body: new Uint8Array(),
      async stream(writer) {
        await writer.write(`retry: 2000\n\n${make(now)}`);
        while (!writer.signal.aborted) {
          for (let i = 0; i < LOOKS_PER_EVENT; i++) await now.next(writer.signal);
          if (writer.signal.aborted) return;
          // A peer that reads slowly misses what happens meanwhile, and gets what is then.
          if (event.look !== looks) event = { look: looks, text: make(now) };
          await writer.write(event.text);
        }
      },
      release: () => void streams--,
    };
  };
}
