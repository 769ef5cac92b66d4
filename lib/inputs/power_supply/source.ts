/** Measures each supply (https://docs.kernel.org/power/power_supply_class.html). */
import { Complaint } from "../../base/complaint.ts";
import { Devices } from "../polling/devices.ts";
import { ProcFile } from "../polling/files.ts";
import { NumberFile } from "../polling/number_file.ts";
import {
  type Attribute,
  f64Metric,
  type Metric,
  type Points,
  type Series,
  seriesOf,
  u64Metric,
  UNITY,
  WATT,
} from "../polling/points.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";

/** The states that the kernel documents; any other is reported as `Unknown`, so that there are few series. */
const STATUSES = new Set(["Unknown", "Charging", "Discharging", "Not charging", "Full"]);

const MICRO = 1e6;

interface Metrics {
  readonly power: Metric;
  readonly energy: Metric;
  readonly cycles: Metric;
  readonly online: Metric;
}

/** A supply that is read: each of its quantities as far as it has files for it. */
class Supply {
  readonly #status: ProcFile;
  readonly #files: ReadonlyMap<string, NumberFile>;
  readonly #metrics: Metrics;
  readonly #attributes: readonly Attribute[];
  readonly #power = new Map<string, Series>();
  readonly #energy: Series;
  readonly #cycles: Series;
  readonly #online: Series;

  constructor(
    { files }: Measuring,
    readonly path: string,
    attributes: readonly Attribute[],
    metrics: Metrics,
  ) {
    const names = new Set(files.list(path));
    const used = [
      "power_now",
      "current_now",
      "voltage_now",
      "energy_now",
      "charge_now",
      "cycle_count",
      "online",
    ];
    this.#status = new ProcFile(files, `${path}/status`);
    this.#files = new Map(
      used.filter((name) => names.has(name)).map((name) => [name, new NumberFile(files, `${path}/${name}`)]),
    );
    this.#metrics = metrics;
    this.#attributes = attributes;
    this.#energy = seriesOf(metrics.energy, { attributes });
    this.#cycles = seriesOf(metrics.cycles, { attributes });
    this.#online = seriesOf(metrics.online, { attributes });
  }

  /** Whether there is nothing to measure: a mouse says how full its battery is, and no power. */
  get isEmpty(): boolean {
    return this.#files.size === 0 || (this.#files.size === 1 && this.#files.has("voltage_now"));
  }

  /** The series of its first quantity. */
  get series(): Series {
    return this.#hasPower ? this.#powerSeries() : this.#online;
  }

  get #hasPower(): boolean {
    return this.#files.has("power_now") || (this.#files.has("current_now") && this.#files.has("voltage_now"));
  }

  /** @param onFailure Told of a file that cannot be read. */
  push(points: Points, onFailure: (file: NumberFile) => void): void {
    const read = (name: string): number | undefined => {
      const file = this.#files.get(name);
      const value = file?.number();
      if (file && value === undefined) onFailure(file);
      return value;
    };
    const voltage = read("voltage_now");
    const times = (amount: number | undefined) =>
      amount === undefined || voltage === undefined ? undefined : amount * (voltage / MICRO);
    const power = this.#files.has("power_now") ? read("power_now") : times(read("current_now"));
    // Drivers do not agree on the sign of what leaves a battery: its status says the direction.
    if (power !== undefined) points.f64(this.#powerSeries(), Math.abs(power) / MICRO);
    const energy = this.#files.has("energy_now") ? read("energy_now") : times(read("charge_now"));
    if (energy !== undefined) points.f64(this.#energy, energy / MICRO);
    const cycles = read("cycle_count");
    // Batteries that do not count say 0, or -1.
    if (cycles !== undefined && cycles > 0) points.u64(this.#cycles, cycles);
    const online = read("online");
    if (online !== undefined) points.u64(this.#online, online);
  }

  #powerSeries(): Series {
    const text = this.#status.text()?.trim() ?? "";
    const status = STATUSES.has(text) ? text : "Unknown";
    let series = this.#power.get(status);
    if (!series) {
      const attributes: Attribute[] = [...this.#attributes, ["status", status]];
      this.#power.set(status, series = seriesOf(this.#metrics.power, { attributes }));
    }
    return series;
  }

  close(): void {
    this.#status.close();
    for (const file of this.#files.values()) file.close();
  }
}

export class PowerSupplySource implements PolledSource {
  readonly name = "power-supply";
  readonly #measuring: Measuring;
  readonly #supplies: Devices<Supply>;
  readonly #complaint: Complaint;

  /** Registers the metrics. */
  constructor(measuring: Measuring) {
    const { registry, clock } = measuring;
    this.#measuring = measuring;
    const metrics: Metrics = {
      power: registry.register(
        f64Metric("power_supply_power", WATT, "Power that flows into or out of a supply"),
      ),
      energy: registry.register(
        f64Metric("power_supply_energy", { base: "W.h", prefix: "" }, "Energy that is left in a battery"),
      ),
      cycles: registry.register(
        u64Metric("power_supply_cycles", UNITY, "Number of times that a battery was charged"),
      ),
      online: registry.register(
        u64Metric("power_supply_online", UNITY, "Whether a supply is connected: 1, else 0"),
      ),
    };
    this.#complaint = new Complaint(clock);
    this.#supplies = new Devices(clock, () => this.#find(metrics));
  }

  *#find(metrics: Metrics) {
    const { files, findings } = this.#measuring;
    const root = `${files.sys}/class/power_supply`;
    for (const name of files.list(root)) {
      const path = `${root}/${name}`;
      const type = files.text(`${path}/type`)?.trim() ?? "";
      yield {
        key: `${name} ${type} ${files.list(path).join()}`,
        open: () => {
          const supply = new Supply(this.#measuring, path, [["supply", name], ["type", type]], metrics);
          if (supply.isEmpty) return undefined;
          findings.measured(`${type || "supply"} ${name}`, path, supply.series);
          return supply;
        },
      };
    }
  }

  get isIdle(): boolean {
    return this.#supplies.size === 0;
  }

  poll(points: Points): void {
    this.#supplies.refresh();
    for (const supply of this.#supplies) {
      supply.push(points, ({ path }) => {
        this.#complaint.add((failed) => {
          this.#measuring.log.warn("Cannot read a file of a supply", { file: path, failed });
        });
      });
    }
  }

  close(): void {
    this.#supplies.close();
  }
}
