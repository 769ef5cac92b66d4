/** Traffic of the network interfaces, from /proc/net/dev (man 5 proc_pid_net). */
import type { Logger } from "../../base/log.ts";
import { ProcFile } from "../polling/files.ts";
import {
  BYTE,
  type Metric,
  type Points,
  type Series,
  seriesOf,
  u64Metric,
  UNITY,
} from "../polling/points.ts";
import { difference, type Scanner, textOf, type U64 } from "../polling/scan.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";

/** Columns after the name, in the order of the points: rx bytes, packets, drops, errors, then the same of tx. */
const COLUMNS = [0, 1, 3, 2, 8, 9, 11, 10];
const COLUMN_COUNT = 12;

interface Interface {
  readonly series: readonly Series[];
  /** Counters at the poll before, in the order of the points. */
  before: U64[];
  /** The poll that saw it last. */
  seen: number;
}

const NEWLINE = 10;
const COLON = 58;

/**
 * Deltas since the poll before, in the order of the file. Nothing at the first poll; an interface that appears later
 * is measured from 0.
 */
export class NetworkSource implements PolledSource {
  readonly name = "network";
  readonly #file: ProcFile;
  readonly #scanner: Scanner;
  readonly #log: Logger;
  readonly #metrics: readonly Metric[];
  readonly #interfaces = new Map<string, Interface>();
  #polls = 0;
  #saidNoData = false;

  /** Registers the metrics. */
  constructor({ files, registry, log, findings }: Measuring) {
    this.#file = new ProcFile(files, `${files.proc}/net/dev`);
    this.#scanner = files.scanner;
    this.#log = log;
    this.#metrics = [
      u64Metric("network_bytes", BYTE, "Number of bytes (rx/tx) per interface"),
      u64Metric("network_packets", UNITY, "Number of packets (rx/tx) per interface"),
      u64Metric("network_packet_drops", UNITY, "Number of dropped packets (rx/tx) per interface"),
      u64Metric("network_errors", UNITY, "Number of errors (rx/tx) per interface"),
    ].map((definition) => registry.register(definition));
    findings.usual("network interfaces", this.#file.path);
  }

  poll(points: Points): void {
    const length = this.#file.read(true);
    if (length <= 0) {
      if (!this.#saidNoData) this.#log.debug("No data", { file: this.#file.path });
      this.#saidNoData = true;
      return;
    }
    const first = this.#polls++ === 0;
    const scanner = this.#scanner;
    const columns: U64[] = new Array(COLUMN_COUNT);
    do {
      const name = this.#name();
      if (name === undefined) continue;
      let count = 0;
      for (let value; count < COLUMN_COUNT && (value = scanner.number()) !== undefined;) {
        columns[count++] = value;
      }
      if (count === COLUMN_COUNT) {
        this.#counters(points, name, COLUMNS.map((column) => columns[column]), first);
      }
    } while (scanner.nextLine());
    for (const [name, { seen }] of this.#interfaces) {
      if (seen !== this.#polls) this.#interfaces.delete(name);
    }
  }

  /** Passes `name:`; a name may be followed by its first number without a blank, and contain colons. */
  #name(): string | undefined {
    const scanner = this.#scanner;
    const { bytes, end, position } = scanner;
    let newline = bytes.indexOf(NEWLINE, position);
    if (newline < 0 || newline > end) newline = end;
    const line = bytes.subarray(position, newline);
    const colon = line.lastIndexOf(COLON);
    if (colon < 0) return undefined;
    scanner.position = position + colon + 1;
    return textOf(line.subarray(0, colon)).trim();
  }

  #counters(points: Points, name: string, now: U64[], first: boolean): void {
    let known = this.#interfaces.get(name);
    if (!known) {
      this.#interfaces.set(name, known = { series: this.#series(name), before: now.map(() => 0), seen: 0 });
    }
    const { before } = known;
    known.seen = this.#polls;
    known.before = now;
    // Where a counter went back, the interface was created again, and all its counters have a new baseline.
    if (first || now.some((value, i) => value < before[i])) return;
    now.forEach((value, i) => points.u64(known.series[i], difference(value, before[i])!));
  }

  #series(name: string): Series[] {
    return ["rx", "tx"].flatMap((direction) =>
      this.#metrics.map((metric) =>
        seriesOf(metric, { attributes: [["interface", name], ["direction", direction]] })
      )
    );
  }

  close(): void {
    this.#file.close();
  }
}
