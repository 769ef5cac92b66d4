/** The metrics of the process itself: every family is declared here, and read from the figures when it is asked for. */
import { DELAY_BOUNDS } from "../agent/event_loop_delay.ts";
import type { Figures, PartFigures } from "../agent/figures.ts";
import type { ClientBooks } from "../agent/stats.ts";
import type { View } from "./view.ts";

/** The clients with the latest contact that have lines of their own. */
const MAX_CLIENTS = 10_000;

type Labels = Readonly<Record<string, string>>;

export interface Sample {
  /** Behind the name of the family: `_bucket`, `_sum`, `_count`. @default none */
  readonly suffix?: string;
  readonly labels: Labels;
  readonly value: number;
}

export interface Family {
  /** Without the `_total` of a counter. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NO_LABELS: Labels = {};

/** A family with one value. */
function single(type: "counter" | "gauge", name: string, help: string, value: number): Family {
  return { name, type, help, samples: [{ labels: NO_LABELS, value }] };
}

/** A family with a value for each item. */
function each<T>(
  type: "counter" | "gauge",
  name: string,
  help: string,
  items: readonly T[],
  labels: (item: T) => Labels,
  value: (item: T) => number,
): Family {
  return { name, type, help, samples: items.map((item) => ({ labels: labels(item), value: value(item) })) };
}

/** All families; before the agent runs only those of the process. */
export function familiesOf(view: View): Family[] {
  const { facts: { version, log }, agent, problems } = view;
  const families: Family[] = [
    each(
      "gauge",
      "build_info",
      "The version of the program; the value is always 1.",
      [{ version, deno: Deno.version.deno, role: agent?.figures.role ?? "" }],
      (labels) => labels,
      () => 1,
    ),
    single("gauge", "ready", "1 if the process can take points, else 0.", problems.length === 0 ? 1 : 0),
    each(
      "counter",
      "log_lines",
      "Lines in the log, by their level.",
      Object.entries(log.counts),
      ([level]) => ({ level }),
      ([, count]) => count,
    ),
  ];
  if (!agent) return families;
  const { figures } = agent;
  return [
    ...families,
    ...processFamilies(figures),
    ...journalFamilies(figures),
    ...outputFamilies(figures),
    ...partFamilies(figures.parts()),
    ...clientFamilies(figures),
  ];
}

function processFamilies(figures: Figures): Family[] {
  const { residentBytes, heapBytes, cpuSeconds } = figures.process();
  const { counts, sumSeconds } = figures.eventLoopDelay;
  let sum = 0;
  const buckets = counts.map((count, i): Sample => ({
    suffix: "_bucket",
    labels: { le: i < DELAY_BOUNDS.length ? String(DELAY_BOUNDS[i]) : "+Inf" },
    value: sum += count,
  }));
  return [
    single(
      "gauge",
      "start_time_seconds",
      "When the agent began to run, since the epoch.",
      figures.startedMs / 1000,
    ),
    single("gauge", "resident_memory_bytes", "Memory in use.", residentBytes),
    single("gauge", "heap_bytes", "Memory of the heap in use.", heapBytes),
    single("counter", "cpu_seconds", "CPU time since the start of the process.", cpuSeconds),
    {
      name: "event_loop_delay_seconds",
      type: "histogram",
      help: "How late timers fire.",
      samples: [
        ...buckets,
        { suffix: "_sum", labels: NO_LABELS, value: sumSeconds },
        { suffix: "_count", labels: NO_LABELS, value: sum },
      ],
    },
  ];
}

/** Counters of the journal that have families with better names. */
const SHOWN_OTHERWISE = ["appendedPoints", "droppedPoints", "diskBytes"];

function journalFamilies(figures: Figures): Family[] {
  const journal = figures.journal();
  const others = Object.entries(figures.counters().journal).filter(([name]) =>
    !SHOWN_OTHERWISE.includes(name)
  );
  return [
    single("counter", "points", "Points that came into the journal.", journal.appendedPoints),
    single("counter", "dropped_points", "Points that a full journal dropped.", journal.droppedPoints),
    single("gauge", "pending_points", "Points that wait for at least one output.", journal.pendingPoints),
    single("gauge", "journal_bytes", "What the journal takes, on disk or in memory.", journal.bytes),
    single("gauge", "journal_limit_bytes", "What the journal may take.", journal.limitBytes),
    single("gauge", "journal_full", "1 if the journal takes no more, else 0.", journal.isFull ? 1 : 0),
    single(
      "gauge",
      "journal_oldest_seconds",
      "How long the oldest point has waited for an output; after a restart at least since then.",
      journal.oldestSeconds,
    ),
    ...others.map(([name, value]) =>
      single("counter", `journal_${snakeCase(name)}`, `Counter ${name} of the journal.`, value)
    ),
  ];
}

function outputFamilies(figures: Figures): Family[] {
  const outputs = figures.outputs();
  const of = (
    type: "counter" | "gauge",
    name: string,
    help: string,
    value: (output: typeof outputs[number]) => number,
  ) => each(type, `output_${name}`, help, outputs, ({ name }) => ({ output: name }), value);
  return [
    of("gauge", "pending_points", "Points that wait for the output.", ({ pendingPoints }) => pendingPoints),
    of(
      "gauge",
      "lag_seconds",
      "How long the oldest point has waited for the output; after a restart at least since then.",
      ({ lagSeconds }) => lagSeconds,
    ),
    of(
      "gauge",
      "target_away",
      "1 if the target takes nothing at present, else 0.",
      ({ isTargetAway }) => isTargetAway ? 1 : 0,
    ),
    of(
      "counter",
      "dropped_points",
      "Points that a full journal dropped before the output had them.",
      ({ droppedPoints }) => droppedPoints,
    ),
    of(
      "counter",
      "dead_letters",
      "Points that the target permanently refused.",
      ({ deadLetters }) => deadLetters,
    ),
    of(
      "counter",
      "dropped_dead_letters",
      "Refused points that are lost, because there was no room for them.",
      ({ droppedDeadLetters }) => droppedDeadLetters,
    ),
  ];
}

/** `missedPolls` becomes `missed_polls`, and milliseconds become seconds. */
function snakeCase(name: string): string {
  return name.replace(/Ms$/, "Seconds").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The counters of plugins: `alumet_relay_input_missed_polls_total{input="rapl"}`. */
function partFamilies(parts: readonly PartFigures[]): Family[] {
  const families = new Map<string, { family: Family; samples: Sample[] }>();
  for (const { name: part, kind, counters, gauges } of parts) {
    for (const [name, value] of Object.entries(counters)) {
      const isGauge = gauges.includes(name);
      const own = `${kind}_${isGauge ? "current_" : ""}${snakeCase(name)}`;
      let known = families.get(own);
      if (!known) {
        const samples: Sample[] = [];
        const help = isGauge ? `What ${kind}s have now: ${name}.` : `Counter ${name} of ${kind}s.`;
        const family: Family = { name: own, type: isGauge ? "gauge" : "counter", help, samples };
        families.set(own, known = { family, samples });
      }
      known.samples.push({ labels: { [kind]: part }, value: name.endsWith("Ms") ? value / 1000 : value });
    }
  }
  return [...families.values()].map(({ family }) => family);
}

/** What is summed over the instances of a client. */
export interface ClientTotals {
  readonly client: string;
  lastContactMs: number;
  received: number;
  rejected: number;
  duplicates: number;
  /** Points that wait here for some output. */
  kept: number;
}

/** The books by the names of clients: a name may have several instances. */
export function clientTotals(books: Iterable<ClientBooks>): Map<string, ClientTotals> {
  const totals = new Map<string, ClientTotals>();
  for (const { client, lastContactMs, received, rejected, duplicates, outputs } of books) {
    let total = totals.get(client);
    if (!total) {
      total = { client, lastContactMs: 0, received: 0, rejected: 0, duplicates: 0, kept: 0 };
      totals.set(client, total);
    }
    total.lastContactMs = Math.max(total.lastContactMs, lastContactMs);
    total.received += received;
    total.rejected += rejected;
    total.duplicates += duplicates;
    let kept = 0;
    for (const name in outputs) kept = Math.max(kept, outputs[name].kept);
    total.kept += kept;
  }
  return totals;
}

function clientFamilies(figures: Figures): Family[] {
  const totals = clientTotals(figures.clients());
  const sum = (value: (client: ClientTotals) => number) => {
    let all = 0;
    for (const client of totals.values()) all += value(client);
    return all;
  };
  const families: Family[] = [
    single(
      "counter",
      "received_points",
      "Points that came from clients and inputs.",
      sum(({ received }) => received),
    ),
    single(
      "counter",
      "rejected_points",
      "Points of clients that were not valid.",
      sum(({ rejected }) => rejected),
    ),
    single(
      "counter",
      "duplicate_points",
      "Points that clients sent again although they had been taken before.",
      sum(({ duplicates }) => duplicates),
    ),
  ];
  if (figures.connectedClients === undefined) return families;
  totals.delete("");
  const shown = [...totals.values()].sort((a, b) => b.lastContactMs - a.lastContactMs).slice(0, MAX_CLIENTS);
  const of = (
    type: "counter" | "gauge",
    name: string,
    help: string,
    value: (client: ClientTotals) => number,
  ) => each(type, `client_${name}`, help, shown, ({ client }) => ({ client }), value);
  return [
    ...families,
    single("gauge", "connected_clients", "Clients that are connected now.", figures.connectedClients),
    single("gauge", "known_clients", "Names of clients that have sent something.", totals.size),
    of(
      "gauge",
      "connected",
      "1 if the client is connected now, else 0.",
      ({ client }) => figures.connectionOf(client) ? 1 : 0,
    ),
    of(
      "gauge",
      "last_contact_timestamp_seconds",
      "When the client last sent something, since the epoch.",
      ({ lastContactMs }) => lastContactMs / 1000,
    ),
    of("counter", "received_points", "Points that came from the client.", ({ received }) => received),
    of("counter", "rejected_points", "Points of the client that were not valid.", ({ rejected }) => rejected),
    of(
      "counter",
      "duplicate_points",
      "Points that the client sent again although they had been taken before.",
      ({ duplicates }) => duplicates,
    ),
  ];
}
