import type { AttributeValue } from "../../../lib/points/measurement.ts";
import { PostgresOutput } from "../../../lib/outputs/postgresql/output.ts";
import { contract, type Expectation, type Instance, type Target } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { type Database, freshDatabase, Postgres } from "../../kit/postgres.ts";
import { postgres } from "../../kit/postgres_programs.ts";
import { configOf, settingsOf } from "../../kit/postgres_output.ts";

/** All there is, read by psql: text that says each point exactly. */
const POINTS = `
  SELECT json_build_array(metric, time_ns::text, coalesce(exact_value::text, value::text), exact_value IS NULL,
    resource_kind, resource_id, consumer_kind, consumer_id,
    (SELECT coalesce(json_agg(json_build_array(key, jsonb_typeof(value), value #>> '{}') ORDER BY key COLLATE "C"), '[]')
     FROM jsonb_each(attributes)))
  FROM alumet.measurements`;

const nul = (text: string) => text.replaceAll("\0", "␀");

function attributeText(value: AttributeValue): [type: string, text: string] {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? ["number", numberText(value)] : ["string", String(value)];
    case "bigint":
      return ["number", String(value)];
    case "boolean":
      return ["boolean", String(value)];
    case "string":
      return ["string", nul(value)];
    default:
      return ["array", `[${value.join(", ")}]`];
  }
}

/** A f64 has a point, unless it is so large that it must be one. */
function numberText(value: number): string {
  if (Number.isInteger(value)) return Math.abs(value) < 1e21 ? `${BigInt(value)}.0` : String(BigInt(value));
  return `f64 ${value}`;
}

function expectedText(point: Point): string {
  const { metric, value, seconds, nanos, resourceKind, resourceId, consumerKind, consumerId } = point;
  const bytes = (text: string) => new TextEncoder().encode(text).toHex();
  const attributes = point.attributes.map(([name, value]) => [nul(name), ...attributeText(value)])
    .sort(([a], [b]) => bytes(a) < bytes(b) ? -1 : 1);
  const f64 = typeof value === "number";
  return JSON.stringify([
    nul(metric.name),
    String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos)),
    f64 && Object.is(value, -0) ? "-0" : String(value),
    f64,
    ...[resourceKind, resourceId, consumerKind, consumerId].map(nul),
    attributes,
  ]);
}

function storedText(line: string): string {
  const row = JSON.parse(line);
  const [, , value, f64, , , , , attributes] = row;
  if (f64) row[2] = value === "-0" ? value : String(Number(value));
  for (const attribute of attributes) {
    const [, type, text] = attribute;
    if (type === "number" && /\./.test(text) && !text.endsWith(".0")) attribute[2] = `f64 ${Number(text)}`;
  }
  return JSON.stringify(row);
}

class DatabaseInstance implements Instance {
  constructor(readonly server: Database, readonly acknowledges: "durable" | "stored") {}

  open(context: Parameters<Instance["open"]>[0]) {
    const config = configOf(this.server, {
      sslmode: "disable",
      timeout: 1000,
      connect_timeout: 1000,
      flush_interval: 10,
    });
    const { acknowledges } = this;
    return Promise.resolve(
      new PostgresOutput(config, settingsOf(this.server, config), { ...context, acknowledges }),
    );
  }

  expected(points: readonly Point[]): Expectation {
    return { stored: points.map(expectedText) };
  }

  async stored(): Promise<string[]> {
    return (await this.server.sql(POINTS)).map(storedText);
  }

  /** The server, which is this instance's own. */
  get #own(): Postgres {
    if (!(this.server instanceof Postgres)) {
      throw new TypeError("The case has not said that it breaks its target");
    }
    return this.server;
  }

  async stop() {
    await this.#own.kill();
  }

  async start() {
    await this.#own.start();
  }

  async slow(on: boolean) {
    await this.#own.set({
      fsync: on ? "on" : null,
      commit_delay: on ? "100000" : null,
      commit_siblings: on ? "0" : null,
    });
  }

  async refuse(on: boolean) {
    await this.#own.set({ default_transaction_read_only: on ? "on" : null });
  }

  async hang(on: boolean) {
    await this.#own.freeze(on);
  }

  async [Symbol.asyncDispose]() {
    await this.server[Symbol.asyncDispose]();
  }
}

/** These do not depend on when clients are told. */
const SAME = Object.fromEntries(
  [
    "every type of value and attribute is stored",
    "odd names are stored unchanged, or refused and counted, and cost no other point",
    "NaN and infinities are stored, or refused and counted, and cost no other point",
    "times of the whole calendar are stored, or refused and counted, and cost no other point",
    "points of one series and one time are treated as the output declares",
    "attributes that first come after the first batch are stored",
    "metrics that first come after the first batch are stored",
    "10,000 series are stored",
    "a target that refuses for a while gets everything afterwards",
    "a slow target gets everything, and what waits for it is bounded",
    "what an output reads ahead of its target is bounded, however much there is",
  ].map((name) => [name, "is the same as with the other acknowledgement"]),
) as NonNullable<Target["except"]>;

for (const acknowledges of ["durable", "stored"] as const) {
  contract({
    name: `postgresql, acknowledged when ${acknowledges}`,
    delivers: "exactly_once",
    remembersClients: acknowledges === "stored",
    refusedStats: ["refusedPoints"],
    except: acknowledges === "stored" ? SAME : {},
    needs: [postgres],
    async fresh(breaks) {
      return new DatabaseInstance(breaks ? await Postgres.create() : await freshDatabase(), acknowledges);
    },
  });
}
