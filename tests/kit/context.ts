/** What plugins are given, for tests that open one by itself. */
import { ClientTable } from "../../lib/points/origins.ts";
import { SystemClock } from "../../lib/base/clock.ts";
import { Shared } from "../../lib/base/shared.ts";
import { DeadLetterBox, deadLetterDirectory, DEFAULT_MAX_BYTES } from "../../lib/dead_letters.ts";
import { newJournalId } from "../../lib/journal.ts";
import { createLogger } from "../../lib/base/log.ts";
import type { PluginContext } from "../../lib/plugin.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";

/** Longer than that of the default `shutdown_timeout`: a busy machine may need it. */
export const DRAIN_MS = 60_000;

/** A context that logs nowhere and throws what a plugin fails with, but for what is given. */
export function contextWith<T extends Partial<PluginContext>>(given: T): PluginContext & T {
  const log = given.log ?? createLogger("test", { write: () => {} });
  const directory = given.stateDirectory ?? null;
  return {
    log,
    registry: new MetricRegistry(),
    clock: new SystemClock(),
    fail: (error: Error) => {
      throw error;
    },
    stop: () => {},
    keepsOnDisk: false,
    clients: new ClientTable(),
    acknowledges: "durable",
    identity: { id: newJournalId(), renewId: () => Promise.resolve() },
    untilDurable: () => Promise.resolve(),
    drainMs: () => DRAIN_MS,
    stateDirectory: null,
    shared: new Shared(),
    deadLetters: new DeadLetterBox({
      directory: directory && deadLetterDirectory(directory, "test"),
      maxBytes: DEFAULT_MAX_BYTES,
      log,
    }),
    ...given,
  };
}
