/** What the kernel says of a process's use of a GPU: https://docs.kernel.org/gpu/drm-usage-stats.html */
import { sum, type U64 } from "../polling/scan.ts";

/** One open file of a process on a GPU. */
export interface FdInfo {
  readonly driver: string;
  /** The PCI address of the GPU. */
  readonly device: string;
  /** The same for all files that are one: copies, and those that a child has inherited. */
  readonly client: string;
  /** Counters of nanoseconds, by engine. */
  readonly engines: ReadonlyMap<string, U64>;
  /** Counters of cycles, of the client and of the engine, where the driver counts those instead. */
  readonly cycles: ReadonlyMap<string, { readonly used: U64; readonly total: U64 }>;
  /** Bytes. */
  readonly memory: Readonly<Record<MemoryKind, U64>>;
}

export type MemoryKind = "vram" | "gtt" | "cpu";

const UNITS: Readonly<Record<string, number>> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** What each driver calls a kind of memory. Others, such as `gds`, are not memory for buffers. */
const REGIONS: readonly (readonly [RegExp, MemoryKind])[] = [
  [/^(?:vram|local)\d*$/, "vram"],
  [/^gtt\d*$/, "gtt"],
  [/^(?:cpu|system\d*)$/, "cpu"],
];
/** How a kind of memory is given, the best first: what is resident, its older name, and what is reserved. */
const WAYS = ["resident", "memory", "total"] as const;

/** `undefined` where the file is not one of a GPU. */
export function parseFdInfo(text: string): FdInfo | undefined {
  const fields = new Map<string, string>();
  for (const [, key, value] of text.matchAll(/^drm-([^:\s]+):[ \t]*(.*)$/gm)) fields.set(key, value.trim());
  const driver = fields.get("driver");
  const device = fields.get("pdev");
  const client = fields.get("client-id");
  if (driver === undefined || device === undefined || client === undefined) return undefined;
  if (!/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(device)) return undefined;
  return { driver, device, client, ...enginesOf(fields), memory: memoryOf(fields) };
}

function enginesOf(fields: ReadonlyMap<string, string>): Pick<FdInfo, "engines" | "cycles"> {
  const engines = new Map<string, U64>();
  const cycles = new Map<string, { used: U64; total: U64 }>();
  for (const [key, value] of fields) {
    const engine = /^engine-(?!capacity-)([\w-]+)$/.exec(key)?.[1];
    const time = engine && /^(\d+) ns$/.exec(value);
    if (time) {
      const counted = u64(time[1]);
      if (counted !== undefined) engines.set(engine, counted);
    }
    const cycled = /^cycles-([\w-]+)$/.exec(key)?.[1];
    if (cycled === undefined) continue;
    const [used, total] = [u64(value), u64(fields.get(`total-cycles-${cycled}`) ?? "")];
    if (used !== undefined && total !== undefined) cycles.set(cycled, { used, total });
  }
  return { engines, cycles };
}

function memoryOf(fields: ReadonlyMap<string, string>): FdInfo["memory"] {
  const memory: Record<MemoryKind, U64> = { vram: 0, gtt: 0, cpu: 0 };
  const seen = new Set<string>();
  for (const way of WAYS) {
    for (const [key, value] of fields) {
      if (!key.startsWith(`${way}-`)) continue;
      const region = key.slice(way.length + 1);
      const kind = REGIONS.find(([pattern]) => pattern.test(region))?.[1];
      const bytes = kind && bytesOf(value);
      if (bytes === undefined || seen.has(region)) continue;
      seen.add(region);
      memory[kind!] = sum(memory[kind!], bytes);
    }
  }
  return memory;
}

function bytesOf(text: string): number | undefined {
  const match = /^(\d{1,15})(?: ([KMG]iB))?$/.exec(text);
  return match ? Number(match[1]) * (UNITS[match[2]] ?? 1) : undefined;
}

/** A number without a sign; `undefined` above 2^64 - 1. */
function u64(text: string): U64 | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  if (text.length <= 15) return Number(text);
  const value = BigInt(text);
  return value < 2n ** 64n ? value : undefined;
}
