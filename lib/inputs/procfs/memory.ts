/** Memory of the whole system, from /proc/meminfo (man 5 proc_meminfo). */
import type { Logger } from "../../base/log.ts";
import { ProcFile } from "../polling/files.ts";
import { BYTE, type Points, type Series, seriesOf, u64Metric } from "../polling/points.ts";
import { bytesOf, eachLabelled, type Scanner } from "../polling/scan.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { snakeCase } from "./meminfo_entries.ts";

/** The values of some entries, in bytes, in the order of the file. */
export class MemorySource implements PolledSource {
  readonly name = "memory";
  readonly #file: ProcFile;
  readonly #scanner: Scanner;
  readonly #log: Logger;
  readonly #entries: readonly string[];
  readonly #labels: readonly Uint8Array[];
  readonly #series: readonly Series[];
  #first = true;

  /** Registers the metrics, in the order of the entries. */
  constructor({ files, registry, log, findings }: Measuring, entries: readonly string[]) {
    this.#file = new ProcFile(files, `${files.proc}/meminfo`);
    this.#scanner = files.scanner;
    this.#log = log;
    this.#entries = [...new Set(entries)];
    this.#labels = this.#entries.map((entry) => bytesOf(`${entry}:`));
    this.#series = this.#entries.map((entry) => {
      const description = `${entry} entry in /proc/meminfo, converted to bytes`;
      return seriesOf(registry.register(u64Metric(snakeCase(entry), BYTE, description)));
    });
    findings.usual("memory of the system", this.#file.path, this.#series[0]);
  }

  poll(points: Points): void {
    const missing = this.#first ? new Set(this.#entries) : null;
    this.#first = false;
    this.#file.read(true);
    eachLabelled(this.#scanner, this.#labels, (i, value) => {
      points.u64(this.#series[i], value);
      missing?.delete(this.#entries[i]);
    });
    for (const entry of missing ?? []) this.#log.debug("No data", { file: this.#file.path, entry });
  }

  close(): void {
    this.#file.close();
  }
}
