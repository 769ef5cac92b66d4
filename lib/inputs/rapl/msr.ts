/** Counters in the model-specific registers themselves, /dev/cpu/N/msr: the last way, for kernels without the others. */
import { cpusOf, placeOf } from "../polling/cpus.ts";
import { DENIED, type OpenFile, type ProcFiles } from "../polling/files.ts";
import type { Candidate } from "./candidate.ts";
import { type Processor, wideEnergyUnit } from "./processor.ts";
import type { Domain, EnergyRegister, Place } from "./register.ts";

interface Layout {
  /** Register with the unit of energy: 2^-(bits 12:8) joules. */
  readonly unit: number;
  readonly energy: readonly (readonly [domain: Domain, register: number])[];
}

const INTEL: Layout = {
  unit: 0x606,
  energy: [["package", 0x611], ["pp0", 0x639], ["pp1", 0x641], ["dram", 0x619], ["platform", 0x64d]],
};
const AMD: Layout = { unit: 0xc0010299, energy: [["package", 0xc001029b]] };

/** The low half of a register counts. */
const MAX_VALUE = 2 ** 32 - 1;

/** Registers of one CPU of each die. */
export function* msrCandidates(files: ProcFiles, processor: Processor): Generator<Candidate> {
  const layout = processor.vendor === "amd" ? AMD : processor.vendor === "intel" ? INTEL : null;
  const online = cpusOf(files.text(`${files.sys}/devices/system/cpu/online`) ?? "");
  if (!layout || !online) return;
  const seen = new Set<string>();
  for (const cpu of online) {
    const where = placeOf(files, cpu) ?? { socket: 0, die: 0 };
    const key = `${where.socket} ${where.die}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const file = `${files.dev}/cpu/${cpu}/msr`;
    for (const [domain, register] of layout.energy) {
      const place = { domain, ...(domain === "platform" ? { socket: 0, die: 0 } : where) };
      // A denial is not reported: the device also exists on machines without these registers.
      yield {
        ...place,
        file,
        allow: undefined,
        open: () => openRegister(files, file, layout, register, place, processor),
      };
    }
  }
}

function openRegister(
  files: ProcFiles,
  file: string,
  layout: Layout,
  register: number,
  place: Place,
  processor: Processor,
): ReturnType<Candidate["open"]> {
  let open: OpenFile | number;
  try {
    open = files.open(file);
  } catch {
    return "failed";
  }
  if (typeof open === "number") return open === DENIED ? "denied" : "gone";
  const unit = readRegister(open, layout.unit);
  const value = readRegister(open, register);
  // Registers that the processor does not have cannot be read, or are 0 for ever.
  if (unit === undefined || !value) {
    open.close();
    return "failed";
  }
  const joulesPerStep = wideEnergyUnit(processor, place.domain) ?? 2 ** -((unit >> 8) & 0x1f);
  return new MsrRegister(open, register, place, file, joulesPerStep);
}

/** The low 32 bits of a register. */
function readRegister(file: OpenFile, register: number): number | undefined {
  const bytes = new Uint8Array(8);
  try {
    file.seekSync(register, Deno.SeekMode.Start);
    if (file.readSync(bytes) !== 8) return undefined;
  } catch {
    return undefined;
  }
  return new DataView(bytes.buffer).getUint32(0, true);
}

class MsrRegister implements EnergyRegister {
  readonly domain: Domain;
  readonly socket: number;
  readonly die: number;
  readonly max = MAX_VALUE;
  readonly isGone = false;
  #open: OpenFile | null;

  constructor(
    open: OpenFile,
    readonly register: number,
    { domain, socket, die }: Place,
    readonly file: string,
    readonly joulesPerStep: number,
  ) {
    this.#open = open;
    this.domain = domain;
    this.socket = socket;
    this.die = die;
  }

  joules(steps: number): number {
    return steps * this.joulesPerStep;
  }

  read(): number | undefined {
    return this.#open ? readRegister(this.#open, this.register) : undefined;
  }

  close(): void {
    this.#open?.close();
    this.#open = null;
  }
}
