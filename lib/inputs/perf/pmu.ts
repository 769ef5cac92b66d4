/** Events of a PMU as its files describe them: /sys/bus/event_source/devices/PMU/{type,events,format}. */
import type { ProcFiles } from "../polling/files.ts";
import type { EventCode, PmuEvent } from "./event_names.ts";

type Configs = [config: bigint, config1: bigint, config2: bigint];

const ALL_BITS = 2n ** 64n - 1n;

/** The code of an event; a text says what is wrong. */
export function pmuCodeOf(files: ProcFiles, { pmu, terms }: PmuEvent): EventCode | string {
  const folder = `${files.sys}/bus/event_source/devices/${pmu}`;
  const type = files.text(`${folder}/type`)?.trim() ?? "";
  if (!/^\d{1,10}$/.test(type) || Number(type) >= 2 ** 32) return `there is no PMU ${pmu} on this machine`;
  const configs: Configs = [0n, 0n, 0n];
  for (const term of expanded(files, folder, terms)) {
    const [name, value = "1"] = term.split("=");
    if (!/^(?:\d{1,20}|0x[0-9a-fA-F]{1,16})$/.test(value)) return `${term} is not a term with a number`;
    const format = name === "config" || /^config[12]$/.test(name)
      ? `${name}:0-63`
      : files.text(`${folder}/format/${name}`)?.trim();
    if (format === undefined) return `the PMU ${pmu} has neither an event nor a term ${name}`;
    if (!place(configs, format, BigInt(value))) return `${term} does not fit into ${format}`;
  }
  const [config, config1, config2] = configs;
  return { type: Number(type), config, config1, config2 };
}

/** Terms, with the names of events replaced by what their files have. */
function expanded(files: ProcFiles, folder: string, terms: string): string[] {
  return terms.split(",").flatMap((term) => {
    const event = /^[\w.-]+$/.test(term) ? files.text(`${folder}/events/${term}`)?.trim() : undefined;
    return event === undefined ? [term] : event.split(",");
  });
}

/** Puts a value into the bits that a format names: `config:0-7,32-35`. False if it does not fit. */
function place(configs: Configs, format: string, value: bigint): boolean {
  const match = /^config([12]?):(\d{1,2}(?:-\d{1,2})?(?:,\d{1,2}(?:-\d{1,2})?)*)$/.exec(format);
  if (!match) return false;
  const index = Number(match[1] || 0);
  for (const range of match[2].split(",")) {
    const [first, last = first] = range.split("-").map(Number);
    if (last < first || last > 63) return false;
    const width = BigInt(last - first + 1);
    configs[index] |= (value & ((1n << width) - 1n)) << BigInt(first) & ALL_BITS;
    value >>= width;
  }
  return value === 0n;
}
