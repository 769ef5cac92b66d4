/** The contract of outputs, kept by the sqlite output. What it stores is read with Python. */
import { DatabaseSync } from "node:sqlite";
import type { Output, PluginContext } from "../../../lib/plugin.ts";
import { sqlite } from "../../../lib/outputs/sqlite.ts";
import { contract, type Expectation, type Instance } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { floatText, type PythonRow, pythonSqlite, readWithPython } from "../../kit/sqlite.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { pause } from "../../kit/waiting.ts";

const ROWS = `
  SELECT m.name, m.type, m.unit_prefix, m.unit_base, s.resource_kind, s.resource_id, s.consumer_kind, s.consumer_id,
    s.attributes, d.start, p.offset, d.day, p.value
  FROM points p JOIN parts d ON d.id = p.part JOIN series s ON s.id = p.series JOIN metrics m ON m.id = s.metric`;

const integer = (text: string | null) => BigInt(text!.slice("integer ".length));

/** A value as the tables have it, as text. */
function readValue(type: string, stored: string | null): string {
  if (stored === null) return "NaN";
  if (type === "u64") return stored.replace(/^integer /, "");
  return stored.startsWith("integer ") ? floatText(Number(integer(stored))) : stored;
}

function storedText(row: PythonRow): string {
  const [name, type, prefix, base, rk, ri, ck, ci, attributes, start, offset, day, value] = row;
  const time = integer(start) * 1_000_000_000n + integer(offset);
  return JSON.stringify(
    [name, type, prefix, base, rk, ri, ck, ci, attributes, String(time), day, readValue(type!, value)],
  );
}

/** JSON of an attribute's value, by the rules of docs/sqlite.md. */
function jsonOf(value: Point["attributes"][number][1]): string {
  if (typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "object") return `[${value.map(String).join(",")}]`;
  if (Number.isNaN(value)) return "null";
  if (Math.abs(value) === Infinity) return value < 0 ? "-9e999" : "9e999";
  if (Object.is(value, -0)) return "-0.0";
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : `${value}`;
}

function expectedText({ metric, seconds, nanos, value, ...rest }: Point): string {
  const { name, type, unit } = metric;
  const { resourceKind, resourceId, consumerKind, consumerId } = rest;
  const pairs = new Map(
    rest.attributes.map(([key, value]) => [key, `${JSON.stringify(key)}:${jsonOf(value)}`]),
  );
  const time = BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
  const day = new Date(seconds * 1000).toISOString().slice(0, 10);
  const text = typeof value === "bigint" ? String(value) : Number.isNaN(value) ? "NaN" : floatText(value);
  const attributes = `{${[...pairs.values()].join(",")}}`;
  return JSON.stringify(
    [name, type, unit.prefix, unit.base, resourceKind, resourceId, consumerKind, consumerId, attributes]
      .concat(
        [String(time), day, text],
      ),
  );
}

/** A file. Its target is away while another process holds its lock. */
class FileInstance implements Instance {
  readonly #directory = new TempDir();
  readonly #path = this.#directory.file("measurements.sqlite");
  #other: DatabaseSync | null = null;
  #isSlow = false;
  #slowing: Promise<void> = Promise.resolve();

  open(context: PluginContext): Promise<Output> {
    const config = { ...sqlite.config.defaultValue(), path: this.#path, flush_interval: 10 };
    return sqlite.open(config, context);
  }

  expected(points: readonly Point[]): Expectation {
    return { stored: points.map(expectedText) };
  }

  async stored(): Promise<string[]> {
    return (await readWithPython(this.#path, ROWS)).map(storedText);
  }

  stop(): Promise<void> {
    this.#lock();
    return Promise.resolve();
  }

  start(): Promise<void> {
    this.#unlock();
    return Promise.resolve();
  }

  refuse(on: boolean): void {
    if (on) this.#lock();
    else this.#unlock();
  }

  /** Another process writes most of the time. */
  async slow(on: boolean): Promise<void> {
    this.#isSlow = on;
    if (on) this.#slowing = this.#slowDown();
    else await this.#slowing;
  }

  async #slowDown(): Promise<void> {
    while (this.#isSlow) {
      this.#lock();
      await pause(100);
      this.#unlock();
      await pause(20);
    }
  }

  #lock(): void {
    this.#other = new DatabaseSync(this.#path);
    this.#other.exec("PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE");
  }

  #unlock(): void {
    this.#other?.close();
    this.#other = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.slow(false);
    this.#unlock();
    await this.#directory[Symbol.asyncDispose]();
  }
}

contract({
  name: "sqlite",
  delivers: "exactly_once",
  remembersClients: true,
  except: {
    "a target that stays silent for a while gets everything afterwards":
      "a disk that does not answer cannot be played without a device driver",
  },
  needs: [pythonSqlite],
  fresh: () => Promise.resolve(new FileInstance()),
});
