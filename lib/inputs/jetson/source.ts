/** Measures current, power and voltage of each rail. */
import { Complaint } from "../../base/complaint.ts";
import { Devices } from "../polling/devices.ts";
import { NumberFile } from "../polling/number_file.ts";
import {
  type Attribute,
  type Metric,
  type Points,
  type Series,
  seriesOf,
  u64Metric,
} from "../polling/points.ts";
import { product, type U64 } from "../polling/scan.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { type Rail, railsOf } from "./rails.ts";

const QUANTITIES = ["current", "power", "voltage"] as const;
type Quantity = typeof QUANTITIES[number];

interface OpenRail {
  readonly files: Readonly<Record<Quantity, NumberFile>>;
  readonly series: Readonly<Record<Quantity, Series>>;
  close(): void;
}

export class JetsonSource implements PolledSource {
  readonly name = "jetson";
  readonly #measuring: Measuring;
  readonly #metrics: Readonly<Record<Quantity, Metric>>;
  readonly #rails: Devices<OpenRail>;
  readonly #complaint: Complaint;

  /** Registers the metrics. */
  constructor(measuring: Measuring) {
    const { registry, clock } = measuring;
    this.#measuring = measuring;
    const metric = (quantity: Quantity, base: string) =>
      registry.register(
        u64Metric(`input_${quantity}`, { base, prefix: "milli" }, `${quantity} of a rail of the board`),
      );
    this.#metrics = {
      current: metric("current", "A"),
      voltage: metric("voltage", "V"),
      power: metric("power", "W"),
    };
    this.#complaint = new Complaint(clock);
    this.#rails = new Devices(clock, () =>
      railsOf(measuring.files).map((rail) => ({
        key: `${rail.folder} ${rail.channel} ${rail.label}`,
        open: () => this.#open(rail),
      })));
  }

  #open(rail: Rail): OpenRail | undefined {
    const { files, findings } = this.#measuring;
    const attributes: Attribute[] = [
      ["ina_device_number", BigInt(rail.device)],
      ["ina_i2c_address", BigInt(rail.address)],
      ["ina_channel_id", BigInt(rail.channel)],
      ["ina_channel_label", rail.label],
    ];
    const each = <T>(make: (quantity: Quantity) => T) =>
      Object.fromEntries(QUANTITIES.map((quantity) => [quantity, make(quantity)])) as Record<Quantity, T>;
    const open = each((quantity) => new NumberFile(files, `${rail.folder}/${rail[quantity]}`));
    const series = each((quantity) => seriesOf(this.#metrics[quantity], { attributes }));
    const what = `rail ${rail.label}`;
    const close = () => QUANTITIES.forEach((quantity) => open[quantity].close());
    if (open.voltage.count() === undefined && open.voltage.failure === "denied") {
      findings.denied(what, open.voltage.path, `sudo chmod o+r ${open.voltage.path}`);
      close();
      return undefined;
    }
    findings.measured(what, open.voltage.path, series.power);
    return { files: open, series, close };
  }

  get isIdle(): boolean {
    return this.#rails.size === 0;
  }

  poll(points: Points): void {
    this.#rails.refresh();
    for (const { files, series } of this.#rails) {
      const current = this.#read(files.current);
      const voltage = this.#read(files.voltage);
      // Only some drivers have a file for the power.
      const power = files.power.count() ?? powerOf(current, voltage);
      if (current !== undefined) points.u64(series.current, current);
      if (power !== undefined) points.u64(series.power, power);
      if (voltage !== undefined) points.u64(series.voltage, voltage);
    }
  }

  #read(file: NumberFile): U64 | undefined {
    const value = file.count();
    if (value === undefined) {
      this.#complaint.add((failed) =>
        this.#measuring.log.warn("Cannot read a sensor", { file: file.path, failed })
      );
    }
    return value;
  }

  close(): void {
    this.#rails.close();
  }
}

/** mA × mV, in mW. */
function powerOf(current: U64 | undefined, voltage: U64 | undefined): U64 | undefined {
  if (current === undefined || voltage === undefined) return undefined;
  const microwatts = Number(product(current, Number(voltage)));
  return Math.round(microwatts / 1000);
}
