/** Clients that do nothing wrong, and send numbered points the whole time. */
import { configOf, TestClient } from "../../tests/kit/client.ts";
import { metricOf } from "../../tests/kit/decode.ts";
import { Peer } from "../../tests/kit/peer.ts";
import { numbered } from "../../tests/kit/points.ts";
import { countingFrame } from "../../tests/kit/wire.ts";
import { seriesOf } from "../../lib/points/measurement.ts";
import { pause } from "../../tests/kit/waiting.ts";

const EVERY_MS = 20;
const POINTS = 5;
/** The metrics that they send. */
export const GOOD = ["good_acknowledged", "good_plain"] as const;

export class GoodClients implements AsyncDisposable {
  readonly #ours: TestClient;
  readonly #plain: Peer;
  readonly #series = seriesOf(metricOf(GOOD[0]));
  readonly #running: Promise<void>;
  #stopped = false;
  /** What went wrong with the plain one. */
  failure: unknown;
  /** Points that each of them has sent. */
  sent = 0;

  private constructor(port: number, plain: Peer) {
    this.#ours = new TestClient(configOf(port, { client_name: "good-1" }));
    this.#plain = plain;
    this.#running = this.#run();
  }

  static async start(port: number): Promise<GoodClients> {
    const metric = { id: 0, name: GOOD[1], type: "u64", unit: { base: "1", prefix: "" } } as const;
    return new GoodClients(port, await Peer.client(port, "good-2", [metric]));
  }

  /** Connections that our own client needed. */
  get connections(): number {
    return this.#ours.client.stats.connections;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopped) {
        this.#ours.push(numbered(POINTS, this.sent, this.#series));
        await this.#plain.send(countingFrame("good-2", this.sent, POINTS));
        this.sent += POINTS;
        await pause(EVERY_MS);
      }
    } catch (error) {
      this.failure = error;
    }
  }

  /** Sends no more, and waits until all is acknowledged. */
  async finish(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#ours.finish();
    this.failure ??= this.#ours.failure;
    await this.#plain[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish();
    await this.#ours[Symbol.asyncDispose]();
  }
}
