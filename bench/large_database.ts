/**
 * A database of the sqlite output with a month of points, as compaction and sums leave it: points of all but the last two
 * hours in blocks, the rest as rows, sums by minute and by hour.
 *
 * The values of one day are made, and encoded into blocks with the program's own encoder. The other days have the same
 * values at the same times of day, in blocks and sums of their own; a block counts its times from the start of its part,
 * so its bytes are those that compaction would make. Series of jobs exist for six hours: their blocks are encoded for
 * each day again.
 */
import { DatabaseSync } from "node:sqlite";
import { BlockWriter } from "../lib/outputs/sqlite/blocks/block.ts";
import { HELD_BACK } from "../lib/outputs/sqlite/point_inserter.ts";
import { RollupRows } from "../lib/outputs/sqlite/rollup_rows.ts";
import { ensureSchema, writeStatistics } from "../lib/outputs/sqlite/schema.ts";
import { unitDisplayName } from "../lib/points/units.ts";
import { Chance } from "../tests/kit/bytes.ts";

const DAY_S = 86_400;
const HOUR_S = 3600;
/** Each host is polled once in this time, in seconds. */
const POLL_S = 5;
/** What compaction makes one part of at this rate of points, in seconds, and points of a block. */
const UNIT_S = 900;
const UNITS = DAY_S / UNIT_S;
const UNIT_POLLS = UNIT_S / POLL_S;
const UNIT_MINUTES = UNIT_S / 60;
const BLOCK_POINTS = 32_768;
/** What is younger is in rows, in parts of a minute. */
const RAW_S = 2 * HOUR_S;
/** How long a job runs, in seconds. */
const JOB_S = 6 * HOUR_S;
const JOBS = DAY_S / JOB_S;
const ROLLUPS = [{ every: 60, keepMs: Infinity }, { every: HOUR_S, keepMs: Infinity }];
const SUMS = "points, sum, min, max, first, last, first_time, last_time";
const COLUMNS = 8;

interface Metric {
  readonly name: string;
  readonly type: "u64" | "f64";
  readonly base: string;
  readonly prefix: string;
  /** Attributes of its series; each is a series of each host. */
  readonly series: readonly Readonly<Record<string, string>>[];
  /** A value that moves like real ones. */
  readonly next: (before: number, chance: Chance) => number;
}

const wandering = (from: number, most: number, scale: number): Metric["next"] => (before, chance) =>
  Math.round((Math.max(0, before || from) + (chance.next() - 0.5) * most) * scale) / scale;
const between = (least: number, most: number, scale = 1): Metric["next"] => (_, chance) =>
  Math.round((least + chance.next() * (most - least)) * scale) / scale;
const some = (name: string, values: readonly string[]) => values.map((value) => ({ [name]: value }));

const METRICS: readonly Metric[] = [
  {
    ...{ name: "rapl_consumed_energy", type: "f64", base: "J", prefix: "" },
    series: some("domain", ["package_total", "dram_total", "pp0_total"]),
    next: between(150, 900, 1e6),
  },
  {
    ...{ name: "nvml_instant_power", type: "f64", base: "W", prefix: "milli" },
    series: [{ device: "0" }],
    next: wandering(70_000, 2000, 1),
  },
  {
    ...{ name: "memory_usage", type: "u64", base: "By", prefix: "" },
    series: some("kind", ["free", "available", "cached", "active"]),
    next: (before, chance) =>
      (before || 4096 * 5e6) + (chance.int(4) === 0 ? 4096 * (chance.int(65) - 32) : 0),
  },
  {
    ...{ name: "kernel_cpu_time", type: "u64", base: "s", prefix: "milli" },
    series: some("cpu_state", ["user", "system", "idle", "iowait"]),
    next: (_, chance) => 10 * chance.int(500),
  },
  {
    ...{ name: "hwmon_temperature", type: "f64", base: "Cel", prefix: "" },
    series: some("sensor", ["cpu", "board"]),
    next: wandering(45, 0.4, 1000),
  },
  {
    ...{ name: "network_bytes", type: "u64", base: "By", prefix: "" },
    series: some("direction", ["receive", "transmit"]),
    next: (_, chance) => chance.int(1 << (4 + chance.int(20))),
  },
  {
    ...{ name: "load_average", type: "f64", base: "1", prefix: "" },
    series: [{ minutes: "1" }],
    next: wandering(8, 0.2, 100),
  },
  {
    ...{ name: "cpu_percent", type: "f64", base: "%", prefix: "" },
    series: [{}],
    next: (_, chance) => 100 * chance.next(),
  },
];
const JOB_METRIC: Metric = {
  ...{ name: "attributed_energy", type: "f64", base: "J", prefix: "" },
  series: [],
  next: (_, chance) => 1000 * chance.next(),
};
const HOST_SERIES = METRICS.flatMap((metric, id) =>
  metric.series.map((attributes) => ({ metric, id: id + 1, attributes }))
);

export interface Size {
  readonly hosts: number;
  /** Whole days; the day of the last point is one more. */
  readonly days: number;
  /** After the last point, in seconds since the Unix epoch: whole quarters of an hour. */
  readonly endS: number;
}

/** Points of some series that follow each other, sorted by series and time. */
interface Rows {
  readonly series: Float64Array;
  /** Nanoseconds from the start of the unit. */
  readonly offsets: Float64Array;
  readonly values: Float64Array;
}

const newRows = (length: number): Rows => ({
  series: new Float64Array(length),
  offsets: new Float64Array(length),
  values: new Float64Array(length),
});

/** A quarter of an hour of the day that all days are like. */
interface Unit {
  /** Blocks of the series that exist all the time. */
  readonly blocks: readonly Encoded[];
  readonly jobs: Rows;
  /** Where its points stay rows on the last day: those of other series than jobs. */
  readonly rows: Rows | null;
}

interface Encoded {
  readonly firstSeries: number;
  readonly lastSeries: number;
  readonly points: number;
  readonly data: Uint8Array;
}

const dayText = (second: number) => new Date(second * 1000).toISOString().slice(0, 10);
const hostName = (host: number) => `node-${String(host).padStart(3, "0")}`;

class Builder {
  readonly #db: DatabaseSync;
  readonly #size: Size;
  readonly #firstDayS: number;
  readonly #writer = new BlockWriter();
  readonly #units: Unit[] = [];
  /** Sums of each series in each minute and hour of the day. */
  readonly #minutes: Float64Array;
  readonly #hours: Float64Array;
  /** Series of hosts, and then the jobs of the hosts. */
  readonly #slots: number;
  #parts = 0;
  #rollupParts = 0;
  points = 0;

  constructor(db: DatabaseSync, size: Size) {
    this.#db = db;
    this.#size = size;
    this.#firstDayS = Math.floor(size.endS / DAY_S) * DAY_S - size.days * DAY_S;
    this.#slots = size.hosts * (HOST_SERIES.length + 1);
    this.#minutes = new Float64Array(this.#slots * (DAY_S / 60) * COLUMNS);
    this.#hours = new Float64Array(this.#slots * (DAY_S / HOUR_S) * COLUMNS);
  }

  /** The first id of jobs' series. */
  get #firstJob(): number {
    return this.#size.hosts * HOST_SERIES.length + 1;
  }

  #jobId(host: number, unit: number): number {
    return this.#firstJob + Math.floor(unit * UNIT_S / JOB_S) * this.#size.hosts + host;
  }

  get #jobsOfDay(): number {
    return this.#size.hosts * JOBS;
  }

  storeSeries(): void {
    const { hosts, days, endS } = this.#size;
    const addMetric = this.#db.prepare("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, '')");
    for (const [i, { name, type, base, prefix }] of [...METRICS, JOB_METRIC].entries()) {
      addMetric.run(i + 1, name, type, base, prefix, unitDisplayName({ base, prefix }));
    }
    const addSeries = this.#db.prepare(
      "INSERT INTO series (metric, relay_client, resource_kind, resource_id, consumer_kind, consumer_id, attributes, hash, " +
        "seen) VALUES (?, ?, 'local_machine', '', ?, ?, ?, ?, ?)",
    );
    let hash = 0;
    for (let host = 0; host < hosts; host++) {
      for (const { id, attributes } of HOST_SERIES) {
        const seen = Math.floor(endS / DAY_S);
        addSeries.run(id, hostName(host), "local_machine", "", JSON.stringify(attributes), hash++, seen);
      }
    }
    for (let job = 0; job <= days * this.#jobsOfDay + this.#jobsOfDay - 1; job++) {
      const day = Math.floor(job / this.#jobsOfDay);
      const attributes = JSON.stringify({ job_id: String(100_000 + job), user: `user${job % 37}` });
      const id = METRICS.length + 1;
      const seen = this.#firstDayS / DAY_S + day;
      addSeries.run(id, hostName(job % hosts), "control_group", `/job_${job}`, attributes, hash++, seen);
    }
    const addHost = this.#db.prepare("INSERT INTO host_times VALUES (?, ?, ?, ?)");
    for (let host = 0; host < hosts; host++) {
      const [first, last] = [this.#firstDayS, endS - 1].map((second) => BigInt(second) * 1_000_000_000n);
      addHost.run(hostName(host), first, last, endS);
    }
  }

  /** Makes the values of the day that all days are like. */
  makeDay(): void {
    const { hosts } = this.#size;
    const chance = new Chance(1);
    const last = new Float64Array(this.#slots);
    const rows = newRows(hosts * HOST_SERIES.length * UNIT_POLLS);
    const times = new Float64Array(UNIT_POLLS);
    for (let unit = 0; unit < UNITS; unit++) {
      const jobs = newRows(hosts * UNIT_POLLS);
      for (let host = 0; host < hosts; host++) {
        for (let poll = 0; poll < UNIT_POLLS; poll++) {
          times[poll] = (poll * POLL_S + host % POLL_S) * 1e9 + 3e8 + host * 1000 + chance.int(400_000);
        }
        for (const [k, { metric }] of HOST_SERIES.entries()) {
          const slot = host * HOST_SERIES.length + k;
          this.#fill(rows, slot * UNIT_POLLS, slot + 1, slot, unit, { times, metric, last, chance });
        }
        const [id, slot] = [this.#jobId(host, unit), this.#firstJob - 1 + host];
        this.#fill(jobs, host * UNIT_POLLS, id, slot, unit, { times, metric: JOB_METRIC, last, chance });
      }
      const isRaw = this.#rawUnits.has(unit);
      this.#units.push({ blocks: this.#encode(rows), jobs, rows: isRaw ? structuredClone(rows) : null });
    }
  }

  /** Units of the last day whose points are rows. */
  get #rawUnits(): Set<number> {
    const { days, endS } = this.#size;
    const from = endS - this.#firstDayS - days * DAY_S;
    return new Set(Array.from({ length: RAW_S / UNIT_S }, (_, k) => Math.floor(from / UNIT_S) - 1 - k));
  }

  #fill(
    rows: Rows,
    from: number,
    id: number,
    slot: number,
    unit: number,
    { times, metric, last, chance }: {
      times: Float64Array;
      metric: Metric;
      last: Float64Array;
      chance: Chance;
    },
  ): void {
    for (let poll = 0; poll < UNIT_POLLS; poll++) {
      const value = metric.next(last[slot], chance);
      last[slot] = value;
      rows.series[from + poll] = id;
      rows.offsets[from + poll] = times[poll];
      rows.values[from + poll] = value;
      const second = unit * UNIT_S + times[poll] / 1e9;
      for (const [sums, every] of [[this.#minutes, 60], [this.#hours, HOUR_S]] as const) {
        const interval = Math.floor(second / every);
        const at = (slot * (DAY_S / every) + interval) * COLUMNS;
        addTo(sums, at, times[poll] + (unit * UNIT_S - interval * every) * 1e9, value);
      }
    }
  }

  #encode(rows: Rows): Encoded[] {
    const blocks: Encoded[] = [];
    const { length } = rows.series;
    const step = Math.floor(BLOCK_POINTS / UNIT_POLLS) * UNIT_POLLS;
    for (let from = 0; from < length; from += step) {
      const to = Math.min(length, from + step);
      const piece = {
        series: rows.series.subarray(from, to),
        offsets: rows.offsets.subarray(from, to),
        values: rows.values.subarray(from, to),
      };
      const data = this.#writer.write({ length: to - from, ...piece, exact: null })!;
      blocks.push({
        firstSeries: piece.series[0],
        lastSeries: piece.series[to - from - 1],
        points: to - from,
        data,
      });
    }
    return blocks;
  }

  /** Stores the points of a day. */
  storePoints(day: number): void {
    const { endS } = this.#size;
    const addBlock = this.#db.prepare("INSERT INTO blocks VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)");
    const dayS = this.#firstDayS + day * DAY_S;
    for (const [unit, { blocks, jobs, rows }] of this.#units.entries()) {
      const start = dayS + unit * UNIT_S;
      if (start >= endS) break;
      const ofDay = jobs.series.map((id) => id + day * this.#jobsOfDay);
      if (start >= endS - RAW_S) {
        this.#rows(start, [rows!, { ...jobs, series: ofDay }]);
        continue;
      }
      const all = [...blocks, ...this.#encode({ ...jobs, series: ofDay })];
      const points = all.reduce((sum, block) => sum + block.points, 0);
      this.#part(start, UNIT_S, points, true);
      for (const { firstSeries, lastSeries, points, data } of all) {
        addBlock.run(this.#parts, firstSeries, lastSeries, start, start + UNIT_S - 1, points, data);
      }
    }
  }

  #part(start: number, seconds: number, points: number, isCompacted: boolean): void {
    this.#db.prepare(
      "INSERT INTO parts (id, day, start, first, last, points, repeats, written, rolled, stored, compacted) " +
        "VALUES (?, ?, ?, ?, ?, ?, 0, ?, 1, ?, ?)",
    ).run(
      ...[++this.#parts, dayText(start), start, start, start + seconds - 1, points],
      ...[Math.floor(start / DAY_S), start + seconds, Number(isCompacted)],
    );
    this.points += points;
  }

  /** Points as rows, in parts of a minute. */
  #rows(start: number, all: readonly Rows[]): void {
    const add = this.#db.prepare("INSERT INTO points VALUES (?, ?, ?, ?)");
    for (let minute = 0; minute < UNIT_MINUTES; minute++) {
      const [from, to] = [minute * 60e9, (minute + 1) * 60e9];
      this.#part(start + minute * 60, 60, 0, false);
      let points = 0;
      for (const { series, offsets, values } of all) {
        for (let row = 0; row < series.length; row++) {
          if (offsets[row] < from || offsets[row] >= to) continue;
          const value = Number.isSafeInteger(values[row]) ? BigInt(values[row]) : values[row];
          add.run(this.#parts, series[row], offsets[row] - from, value);
          points++;
        }
      }
      this.#db.prepare("UPDATE parts SET points = ? WHERE id = ?").run(points, this.#parts);
      this.points += points;
    }
  }

  #rollupPart(every: number, start: number, seconds: number): void {
    this.#db.prepare("INSERT INTO rollup_parts VALUES (?, ?, ?, ?, ?, NULL)").run(
      ...[++this.#rollupParts, every, dayText(start), start, seconds],
    );
  }

  /** Stores the sums of the first day. */
  storeFirstSums(): void {
    for (let hour = 0; hour < DAY_S / HOUR_S; hour++) {
      this.#rollupPart(60, this.#firstDayS + hour * HOUR_S, HOUR_S);
      this.#sums(60, this.#minutes, hour * 60, 60);
    }
    this.#rollupPart(HOUR_S, this.#firstDayS, DAY_S);
    this.#sums(HOUR_S, this.#hours, 0, DAY_S / HOUR_S);
  }

  #sums(every: number, sums: Float64Array, from: number, count: number): void {
    const rows = new RollupRows(this.#db, every === 60 ? "rollup_1m" : "rollup_1h", every);
    const perDay = DAY_S / every;
    const firstJob = this.#firstJob;
    const store = (slot: number, id: number, begin: number, end: number) => {
      for (let interval = begin; interval < end; interval++) {
        const at = (slot * perDay + interval) * COLUMNS;
        if (sums[at] > 0) {
          const [points, sum, min, max, first, last, firstTime, lastTime] = sums.subarray(at, at + COLUMNS);
          rows.add(this.#rollupParts, id, interval - from, {
            points,
            sum,
            min,
            max,
            first,
            last,
            firstTime,
            lastTime,
          });
        }
      }
    };
    for (let slot = 0; slot < firstJob - 1; slot++) store(slot, slot + 1, from, from + count);
    const perJob = perDay / JOBS;
    for (let wave = 0; wave < JOBS; wave++) {
      const [begin, end] = [Math.max(from, wave * perJob), Math.min(from + count, (wave + 1) * perJob)];
      if (begin >= end) continue;
      for (let host = 0; host < this.#size.hosts; host++) {
        store(firstJob - 1 + host, firstJob + wave * this.#size.hosts + host, begin, end);
      }
    }
    rows.flush();
  }

  /** Stores the sums of a later day: those of the first one, with the series of other jobs. */
  storeSums(day: number): void {
    const { endS } = this.#size;
    const shift = day * this.#jobsOfDay;
    const copy = (table: string, from: number, interval = "interval", where = "") =>
      this.#db.prepare(
        `INSERT INTO ${table} SELECT ${this.#rollupParts}, iif(series < ${this.#firstJob}, series, series + ${shift}), ` +
          `${interval}, ${SUMS} FROM ${table} WHERE part = ${from} ${where} ` +
          `ORDER BY (series + interval) % ${HELD_BACK} = 0, series, interval`,
      ).run();
    const dayS = this.#firstDayS + day * DAY_S;
    const hours = DAY_S / HOUR_S;
    for (let hour = 0; hour < hours; hour++) {
      const start = dayS + hour * HOUR_S;
      if (start + HOUR_S <= endS) {
        this.#rollupPart(60, start, HOUR_S);
        copy("rollup_1m", hour + 1);
        continue;
      }
      // Minutes of an hour that is not over are parts of their own.
      for (let minute = 0; start + minute * 60 < endS; minute++) {
        this.#rollupPart(60, start + minute * 60, 60);
        copy("rollup_1m", hour + 1, "0", `AND interval = ${minute}`);
      }
    }
    if (dayS + DAY_S <= endS) {
      this.#rollupPart(HOUR_S, dayS, DAY_S);
      copy("rollup_1h", hours + 1);
      return;
    }
    for (let hour = 0; dayS + (hour + 1) * HOUR_S <= endS; hour++) {
      this.#rollupPart(HOUR_S, dayS + hour * HOUR_S, HOUR_S);
      copy("rollup_1h", hours + 1, "0", `AND interval = ${hour}`);
    }
  }
}

/** Adds a value to the sums at a place; the columns are those of the table. */
function addTo(sums: Float64Array, at: number, time: number, value: number): void {
  const isFirst = sums[at]++ === 0;
  sums[at + 1] += value;
  if (isFirst || value < sums[at + 2]) sums[at + 2] = value;
  if (isFirst || value > sums[at + 3]) sums[at + 3] = value;
  if (isFirst) {
    sums[at + 4] = value;
    sums[at + 6] = time;
  }
  sums[at + 5] = value;
  sums[at + 7] = time;
}

/** @returns the number of points. */
export function buildDatabase(path: string, size: Size, say: (text: string) => void): number {
  using db = new DatabaseSync(path);
  for (const pragma of ["journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"]) {
    db.prepare(`PRAGMA ${pragma}`).get();
  }
  const transaction = (what: string, work: () => void) => {
    const beganMs = performance.now();
    db.exec("BEGIN");
    work();
    db.exec("COMMIT");
    say(`${what}: ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
  };
  const builder = new Builder(db, size);
  transaction("series", () => {
    ensureSchema(db, ROLLUPS);
    builder.storeSeries();
  });
  transaction("values of a day", () => builder.makeDay());
  for (let day = 0; day <= size.days; day++) {
    transaction(`day ${day + 1}`, () => {
      builder.storePoints(day);
      if (day === 0) builder.storeFirstSums();
      else builder.storeSums(day);
    });
  }
  transaction("statistics", () => writeStatistics(db));
  db.prepare("PRAGMA journal_mode = WAL").get();
  return builder.points;
}
