/** Which processes have a GPU open: their files are looked for a few at a time, and those of GPUs are then read. */
import type { MonotonicClock } from "../../base/clock.ts";
import { DENIED, ProcFile, type ProcFiles } from "../polling/files.ts";
import { difference, type U64 } from "../polling/scan.ts";
import { type FdInfo, parseFdInfo } from "./fdinfo.ts";

/** How often processes are listed, in ms. */
const LIST_MS = 2000;
/** Links that are looked at in one poll: 10 µs each. A listing of files counts as some of them. */
const LINKS_PER_POLL = 400;
const LISTING_LINKS = 5;
const MOST_CLIENTS = 16_384;

const MAX_NAME = 64;

/** What a process has used of a GPU. */
export interface ProcessUse {
  readonly pid: number;
  readonly name: string;
  readonly device: string;
  readonly memory: Record<keyof FdInfo["memory"], number>;
  /** Nanoseconds since the previous call, by engine, of those that were there then. */
  readonly engines: Map<string, number>;
}

/** A file of a GPU, by what the kernel numbers it. */
interface Client {
  readonly pid: number;
  readonly file: ProcFile;
  before: FdInfo | undefined;
}

export interface ClientsOptions {
  readonly files: ProcFiles;
  readonly clock: MonotonicClock;
  /** The most files of GPUs that are read. @default {16384} */
  readonly mostClients?: number;
  /** Told that the files of a process may not be looked at. */
  readonly onDenied: () => void;
}

export class DrmClients {
  readonly #options: ClientsOptions;
  /** The processes that there are, by the round in which they were seen last. */
  readonly #pids = new Map<number, number>();
  /** Those whose files are looked at next: a new one comes first. */
  #queue: number[] = [];
  /** By device and client. */
  readonly #clients = new Map<string, Client>();
  readonly #names = new Map<number, string>();
  #rounds = 0;
  #listedMs = -Infinity;
  #readMs = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** Files of GPUs that are read. */
  get size(): number {
    return this.#clients.size;
  }

  /** What each process has used of each GPU of these drivers, in the order of the processes. */
  use(drivers: readonly string[]): ProcessUse[] {
    this.#discover(drivers);
    const nowMs = this.#options.clock.monotonicMs();
    const elapsedNs = (nowMs - this.#readMs) * 1e6;
    this.#readMs = nowMs;
    const uses = new Map<string, ProcessUse>();
    for (const [key, client] of this.#clients) {
      const info = read(client.file);
      if (!info || keyOf(info) !== key) {
        this.#forget(key, client);
        continue;
      }
      const { pid, before } = client;
      const id = `${pid} ${info.device}`;
      let use = uses.get(id);
      if (!use) uses.set(id, use = this.#begin(pid, info.device));
      for (const kind of ["vram", "gtt", "cpu"] as const) use.memory[kind] += Number(info.memory[kind]);
      addTimes(use.engines, info, before, elapsedNs);
      client.before = info;
    }
    return [...uses.values()].sort((a, b) => a.pid - b.pid);
  }

  #begin(pid: number, device: string): ProcessUse {
    const name = this.nameOf(pid) ?? "";
    return { pid, name, device, memory: { vram: 0, gtt: 0, cpu: 0 }, engines: new Map() };
  }

  /** `undefined` where there is no such process. */
  nameOf(pid: number): string | undefined {
    let name = this.#names.get(pid);
    if (name === undefined) {
      const { files } = this.#options;
      name = files.text(`${files.proc}/${pid}/comm`)?.trim().slice(0, MAX_NAME).toWellFormed();
      if (name !== undefined && this.#pids.has(pid)) this.#names.set(pid, name);
    }
    return name;
  }

  /** Looks at the files of some processes. */
  #discover(drivers: readonly string[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#listedMs >= LIST_MS) {
      this.#listedMs = nowMs;
      this.#list();
    }
    const { size } = this.#pids;
    let links = LINKS_PER_POLL;
    for (let looked = 0; looked < size && links > 0; looked++) {
      const pid = this.#queue.shift();
      if (pid === undefined) break;
      if (!this.#pids.has(pid)) continue;
      const looks = this.#look(pid, drivers);
      // One that may not be looked at is left alone: trying costs more than looking.
      if (looks !== undefined) this.#queue.push(pid);
      links -= LISTING_LINKS + (looks ?? LISTING_LINKS);
    }
  }

  #list(): void {
    const { files } = this.#options;
    const round = ++this.#rounds;
    const begun: number[] = [];
    for (const name of files.list(files.proc)) {
      if (!/^[1-9]\d{0,9}$/.test(name)) continue;
      const pid = Number(name);
      if (!this.#pids.has(pid)) begun.push(pid);
      this.#pids.set(pid, round);
    }
    for (const [pid, seen] of this.#pids) {
      if (seen === round) continue;
      this.#pids.delete(pid);
      this.#names.delete(pid);
    }
    if (begun.length > 0) this.#queue = [...begun, ...this.#queue.filter((pid) => this.#pids.has(pid))];
  }

  /** @returns how many links it has looked at; `undefined` if it may not */
  #look(pid: number, drivers: readonly string[]): number | undefined {
    const { files, onDenied } = this.#options;
    const folder = `${files.proc}/${pid}/fd`;
    const names = files.names(folder);
    if (names === DENIED) {
      onDenied();
      return undefined;
    }
    if (!Array.isArray(names)) return 0;
    for (const name of names) {
      const target = files.link(`${folder}/${name}`);
      if (target === DENIED) {
        onDenied();
        return undefined;
      }
      if (typeof target === "string" && target.startsWith("/dev/dri/")) this.#meet(pid, name, drivers);
    }
    return names.length;
  }

  #meet(pid: number, descriptor: string, drivers: readonly string[]): void {
    const { files, mostClients = MOST_CLIENTS } = this.#options;
    if (this.#clients.size >= mostClients) return;
    const file = new ProcFile(files, `${files.proc}/${pid}/fdinfo/${descriptor}`);
    const info = read(file);
    const key = info && drivers.includes(info.driver) ? keyOf(info) : undefined;
    if (key === undefined || this.#clients.has(key)) return file.close();
    this.#clients.set(key, { pid, file, before: undefined });
  }

  #forget(key: string, { file }: Client): void {
    file.close();
    this.#clients.delete(key);
  }

  close(): void {
    for (const [key, client] of this.#clients) this.#forget(key, client);
    this.#pids.clear();
    this.#names.clear();
    this.#queue = [];
  }
}

function keyOf({ device, client }: FdInfo): string {
  return `${device} ${client}`;
}

function read(file: ProcFile): FdInfo | undefined {
  const text = file.text();
  return text === undefined ? undefined : parseFdInfo(text);
}

/** Adds the times since the previous reading. A counter that went back has no value. */
function addTimes(
  engines: Map<string, number>,
  { engines: now, cycles }: FdInfo,
  before: FdInfo | undefined,
  elapsedNs: number,
): void {
  if (!before) return;
  const add = (engine: string, ns: number) => engines.set(engine, (engines.get(engine) ?? 0) + ns);
  for (const [engine, time] of now) {
    const ns = since(time, before.engines.get(engine));
    if (ns !== undefined) add(engine, ns);
  }
  for (const [engine, { used, total }] of cycles) {
    const earlier = before.cycles.get(engine);
    const [mine, all] = [since(used, earlier?.used), since(total, earlier?.total)];
    // Cycles pass at a pace that changes: the share of them is the share of the time.
    if (mine !== undefined && all !== undefined && mine <= all) {
      add(engine, all === 0 ? 0 : Math.round(mine / all * elapsedNs));
    }
  }
}

function since(now: U64, before: U64 | undefined): number | undefined {
  const steps = before === undefined ? undefined : difference(now, before);
  return steps === undefined ? undefined : Number(steps);
}
