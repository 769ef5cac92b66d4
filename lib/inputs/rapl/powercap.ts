/** Counters in /sys/class/powercap (https://docs.kernel.org/power/powercap/powercap.html). */
import type { ProcFiles } from "../polling/files.ts";
import { NumberFile } from "../polling/number_file.ts";
import type { U64 } from "../polling/scan.ts";
import type { Candidate } from "./candidate.ts";
import type { Domain, EnergyRegister, Place } from "./register.ts";

const CHILDREN: Readonly<Record<string, Domain>> = { core: "pp0", uncore: "pp1", dram: "dram" };

/** Zones are nested twice in what is known; deeper ones are looked for, but not for ever. */
const MOST_DEPTH = 4;

/** Every zone below the control type `intel-rapl`, which AMD's processors use, too. */
export function* powercapCandidates(
  files: ProcFiles,
  skip: (name: string, file: string) => void,
): Generator<Candidate> {
  const roots = [`${files.sys}/devices/virtual/powercap/intel-rapl`, `${files.sys}/class/powercap`];
  const root = roots.find((root) => files.list(root).some(isZone));
  if (root) yield* zonesIn(files, root, null, MOST_DEPTH, skip);
}

/** `intel-rapl:0`, `intel-rapl:0:1`; `intel-rapl-mmio:0` is another way to the registers of a package. */
function isZone(name: string): boolean {
  return name.startsWith("intel-rapl:");
}

function* zonesIn(
  files: ProcFiles,
  folder: string,
  parent: Place | null,
  depth: number,
  skip: (name: string, file: string) => void,
): Generator<Candidate> {
  for (const entry of files.list(folder).filter(isZone)) {
    // /sys/class/powercap lists all zones side by side, and each of them again below its parent.
    if (!parent && entry.split(":").length > 2) continue;
    const zone = `${folder}/${entry}`;
    const name = files.text(`${zone}/name`)?.trim();
    if (name === undefined) continue;
    const place = placeOf(name, parent);
    if (!place) {
      skip(name, `${zone}/name`);
      continue;
    }
    yield candidate(files, zone, place);
    if (depth > 0) yield* zonesIn(files, zone, place, depth - 1, skip);
  }
}

function placeOf(name: string, parent: Place | null): Place | undefined {
  const match = /^package-(\d{1,5})(?:-die-(\d{1,5}))?$/.exec(name);
  if (match) return { domain: "package", socket: Number(match[1]), die: Number(match[2] ?? 0) };
  if (name === "psys") return { domain: "platform", socket: 0, die: 0 };
  const domain = Object.hasOwn(CHILDREN, name) ? CHILDREN[name] : undefined;
  return domain && { domain, socket: parent?.socket ?? 0, die: parent?.die ?? 0 };
}

function candidate(files: ProcFiles, zone: string, place: Place): Candidate {
  const path = `${zone}/energy_uj`;
  return {
    ...place,
    file: path,
    allow: `sudo chmod o+r ${path}`,
    open() {
      const energy = new NumberFile(files, path);
      if (energy.count() === undefined) {
        const { failure } = energy;
        energy.close();
        return failure ?? "failed";
      }
      const range = new NumberFile(files, `${zone}/max_energy_range_uj`);
      const max = range.count();
      range.close();
      return new PowercapRegister(energy, place, max !== undefined && max > 0 ? max : undefined);
    },
  };
}

class PowercapRegister implements EnergyRegister {
  readonly domain: Domain;
  readonly socket: number;
  readonly die: number;
  readonly #file: NumberFile;

  constructor(file: NumberFile, { domain, socket, die }: Place, readonly max: U64 | undefined) {
    this.#file = file;
    this.domain = domain;
    this.socket = socket;
    this.die = die;
  }

  get file(): string {
    return this.#file.path;
  }

  joules(steps: number): number {
    return steps / 1e6;
  }

  read(): U64 | undefined {
    return this.#file.count();
  }

  get isGone(): boolean {
    return this.#file.failure === "gone";
  }

  close(): void {
    this.#file.close();
  }
}
