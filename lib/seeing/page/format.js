/** How numbers, units, times and names are written. No DOM: tests run these functions without a browser. */

const THIN = "\u202f";

/** At most `digits` digits that mean something, without zeros behind the point. */
export function digits(value, digits = 4) {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  const fixed = value.toFixed(Math.max(0, Math.min(9, digits - 1 - size)));
  const [whole, part] = fixed.split(".");
  const rest = part?.replace(/0+$/, "");
  return whole.replace(/\B(?=(\d{3})+(?!\d))/g, THIN) + (rest ? `.${rest}` : "");
}

const SI = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
const BINARY = [[2 ** 40, "Ti"], [2 ** 30, "Gi"], [2 ** 20, "Mi"], [2 ** 10, "Ki"], [1, ""]];
/** Units with prefixes, and what one of them is in the unit without. */
const PREFIXED = {
  ns: [1e-9, "s"],
  μs: [1e-6, "s"],
  ms: [1e-3, "s"],
  mW: [1e-3, "W"],
  μW: [1e-6, "W"],
  kW: [1e3, "W"],
  mV: [1e-3, "V"],
  mA: [1e-3, "A"],
  kB: [1e3, "B"],
};
const SCALED = ["W", "J", "V", "A", "Hz", "s"];

/** `1.25 kW`, `3.4 GiB`, `12 %`, `48 °C`; `–` for no value. */
export function quantity(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const [factor, base] = PREFIXED[unit] ?? [1, unit];
  const plain = value * factor;
  if (base === "") return digits(plain);
  const table = base === "B" ? BINARY : SCALED.includes(base) ? SI : null;
  if (!table || plain === 0) return `${digits(plain)} ${base}`;
  const [size, prefix] = table.find(([size]) => Math.abs(plain) >= size) ?? table[table.length - 1];
  // A long time in kiloseconds is nothing that people write.
  if (base === "s" && size > 1) return `${digits(plain)} s`;
  return `${digits(plain / size)} ${prefix}${base}`;
}

/** `12 s`, `3 min`, `2 h`, `5 d` */
export function age(seconds) {
  if (seconds === null) return "–";
  if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** A name from the network: control characters and those that turn the direction of writing are shown as escapes. */
export function shown(text, most = 200) {
  const plain = text.replace(CONTROL, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  return plain.length <= most ? plain : plain.slice(0, most - 1) + "…";
}

/** Steps of an axis from 0 (or the lowest value) to the highest: round numbers, about `count` of them. */
export function ticks(low, high, count) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / count;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((n) => n * size >= rough) * size;
  const first = Math.floor(low / step) * step;
  const list = [];
  for (let n = 0; n <= 2 * count + 4; n++) {
    list.push(Number((first + n * step).toPrecision(12)));
    if (list[n] >= high) break;
  }
  return list;
}

/** The same for values with a unit: round in the unit that people write, such as GiB. */
export function ticksOf(low, high, count, unit) {
  if (unit !== "B") return ticks(low, high, count);
  const most = Math.max(Math.abs(low), Math.abs(high));
  const [size] = BINARY.find(([size]) => most >= size) ?? [1];
  return ticks(low / size, high / size, count).map((tick) => tick * size);
}

/** A plot as CSV: a line for each time, a column for each series. */
export function csv({ series, newest, step }) {
  const cell = (text) => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  // A spreadsheet takes what begins like that for a formula.
  const name = (text) => cell(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const lines = [["time", ...series.map((one) => name(one.name))].join(",")];
  const length = Math.max(0, ...series.map(({ values }) => values.length));
  for (let i = 0; i < length; i++) {
    const time = new Date((newest - (length - 1 - i) * step) * 1000).toISOString();
    lines.push([time, ...series.map(({ values }) => values[i] ?? "")].join(","));
  }
  return lines.join("\n") + "\n";
}

const ORDERS = {
  state: (a, b) =>
    Number(b.state === "silent") - Number(a.state === "silent") ||
    (a.state === "silent" ? (a.silent_seconds ?? 0) - (b.silent_seconds ?? 0) : 0),
  name: () => 0,
  watts: (a, b) => (b.watts ?? -1) - (a.watts ?? -1),
  points_per_second: (a, b) => b.points_per_second - a.points_per_second,
  silent_seconds: (a, b) => (b.silent_seconds ?? -1) - (a.silent_seconds ?? -1),
  pending_points: (a, b) => b.pending_points - a.pending_points,
  version: (a, b) => (a.version ?? "").localeCompare(b.version ?? ""),
};
const COLLATOR = new Intl.Collator("en", { numeric: true });

/** The hosts that match, in order; those that fell silent last come first by default. */
export function sortHosts(hosts, { key, reverse }, wanted) {
  const text = wanted.toLowerCase();
  const list = hosts.filter(({ name }) => name.toLowerCase().includes(text));
  list.sort((a, b) => ORDERS[key](a, b) || COLLATOR.compare(a.name, b.name));
  return reverse ? list.reverse() : list;
}

const DAY_TEXT = new Intl.DateTimeFormat([], { month: "short", day: "numeric" });
const TIME_TEXT = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
/** Distances of marks on an axis of time, in seconds. */
const DISTANCES = [60, 120, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200];
const DAYS = [1, 2, 5, 10, 30, 60, 120];
const DAY = 86_400;

/** Marks of an axis of time, `most` at most: round by the clock on the wall. */
export function marksOfTime(first, last, most) {
  const span = last - first;
  const every = [...DISTANCES, ...DAYS.map((days) => days * DAY)].find((every) => span / every <= most) ??
    span;
  // Of the middle: at a change of the clock some marks are an hour off.
  const shift = new Date((first + span / 2) * 1000).getTimezoneOffset() * 60;
  const marks = [];
  for (let time = Math.ceil((first - shift) / every) * every + shift; time <= last; time += every) {
    const date = new Date(time * 1000);
    const text = (every >= DAY ? DAY_TEXT : TIME_TEXT).format(date);
    marks.push({ time, text });
  }
  return marks;
}

/** The groups of metrics on the page of a host, in their order. */
const KINDS = [
  ["Power and energy", (_, unit) => unit === "W" || unit === "J" || unit.endsWith("Wh")],
  ["Temperature", (_, unit) => unit === "°C" || unit === "°F"],
  ["Processor", (metric) => /cpu|^kernel_|^perf_|frequency/.test(metric)],
  ["Memory", (metric) => /mem|swap|page|slab|resident/.test(metric)],
  ["Network", (metric) => /^net|network/.test(metric)],
  ["Disk", (metric) => /disk|^io_|block|filesystem/.test(metric)],
  ["Others", () => true],
];
export const GROUPS = KINDS.map(([title]) => title);

/** The place of a metric's group in {@linkcode GROUPS}. */
export function groupOf(metric, unit) {
  return KINDS.findIndex(([, fits]) => fits(metric.toLowerCase(), unit));
}
