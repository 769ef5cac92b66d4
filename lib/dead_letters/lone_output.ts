/** Runs an output that a command opens, without an agent around it, until it has what it is fed. */
import { SystemClock } from "../base/clock.ts";
import { Shared } from "../base/shared.ts";
import { onAbort } from "../base/waiting.ts";
import type { BatchReader, Journal } from "../journal.ts";
import type { OutputPlugin, PluginContext } from "../plugin.ts";
import { MetricRegistry } from "../points/registry.ts";

export interface LoneOptions
  extends Pick<PluginContext, "log" | "deadLetters" | "stateDirectory" | "keepsOnDisk"> {
  readonly plugin: OutputPlugin<unknown>;
  readonly config: unknown;
  readonly journal: Journal;
  /** Of this journal. */
  readonly reader: BatchReader;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Appends everything to the journal, and ends it, unless the signal is aborted. */
  feed(signal: AbortSignal): Promise<void>;
}

/** @throws errors of `feed`, and of the output when it is opened or runs. */
export async function runLoneOutput(options: LoneOptions): Promise<void> {
  const { plugin, config, journal, reader, signal, feed, log, deadLetters, stateDirectory, keepsOnDisk } =
    options;
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const ending = new AbortController();
  await using output = await plugin.open(config, {
    log,
    deadLetters,
    stateDirectory,
    keepsOnDisk,
    fail: failed.reject,
    stop: () => ending.abort(),
    registry: new MetricRegistry(),
    clock: new SystemClock(),
    clients: journal.clients,
    acknowledges: "durable",
    identity: journal,
    shared: new Shared(),
    untilDurable: () => journal.untilDurable(),
    drainMs: () => 0,
  });
  using _ending = onAbort(signal, () => ending.abort(signal.reason));
  const running = output.run(reader, ending.signal).catch((error) => {
    if (!signal.aborted) throw error;
  });
  const fed = feed(ending.signal);
  try {
    await Promise.race([Promise.all([fed, running]), running, failed.promise]);
  } finally {
    ending.abort();
    journal.unblock();
    await Promise.allSettled([running, fed]);
  }
}
