/** A relay client within the test's process. */
import type { IntervalClock } from "../../lib/base/clock.ts";
import { DEFAULT_LIMITS, RelayClient } from "../../lib/client.ts";
import type { Journal } from "../../lib/journal.ts";
import type { Batch } from "../../lib/points/measurement.ts";
import type { RelayClientConfig } from "../../lib/client/config.ts";
import { relayClient } from "../../lib/outputs/relay_client.ts";
import { journalOf } from "./journal.ts";
import { LogLines } from "./log_lines.ts";

type Overrides = Partial<Omit<RelayClientConfig, "retry">> & { retry?: Partial<RelayClientConfig["retry"]> };

export function configOf(port: number, { retry, ...rest }: Overrides = {}): RelayClientConfig {
  const defaults = relayClient.config.defaultValue();
  return {
    ...defaults,
    client_name: "node-1",
    relay_server: [`127.0.0.1:${port}`],
    buffer_max_length: 0,
    ...rest,
    retry: { ...defaults.retry, max_times: 3, initial_delay: 5, max_delay: 10, jitter: 0, ...retry },
  };
}

/** A client that runs, from a journal that a test fills. */
export class TestClient implements AsyncDisposable {
  readonly logs = new LogLines();
  readonly client: RelayClient;
  readonly done: Promise<void>;
  failure: Error | undefined;
  readonly abort = new AbortController();

  constructor(
    config: RelayClientConfig,
    readonly journal: Journal = journalOf(),
    limits = DEFAULT_LIMITS,
    keepsOnDisk = false,
    clock?: IntervalClock,
  ) {
    const fail = (error: Error) => void (this.failure = error);
    this.client = new RelayClient(
      config,
      { log: this.logs.log, clock, fail, keepsOnDisk, identity: journal, clients: journal.clients },
      limits,
    );
    this.done = this.client.run(journal.reader(undefined, this.client), this.abort.signal);
  }

  push(batch: Batch): void {
    void this.journal.append(batch);
  }

  /** Sends all and stops. */
  async finish(): Promise<void> {
    if (!this.journal.ended) this.journal.end();
    await this.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort.abort();
    await this.finish();
    await this.client[Symbol.asyncDispose]();
  }
}
