/** A relay server within the test's process. */
import { type AdmissionOptions, OPEN } from "../../lib/intake/admission/admission.ts";
import { newJournalId } from "../../lib/journal.ts";
import type { MonotonicClock } from "../../lib/base/clock.ts";
import { ClientTable } from "../../lib/points/origins.ts";
import type { Safety } from "../../lib/server/acknowledged.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { DEFAULT_LIMITS, RelayServer, type ServerLimits, type ServerShared } from "../../lib/server.ts";
import { Collector, type Point } from "./collector.ts";
import { DRAIN_MS } from "./context.ts";
import { LogLines } from "./log_lines.ts";
import { freePort } from "./ports.ts";

export interface TestServerOptions {
  port?: number;
  sink?: Collector;
  clients?: ClientTable;
  /** @default a new id */
  identity?: { readonly id: string };
  stateDirectory?: string;
  registry?: MetricRegistry;
  safety?: Safety;
  admission?: Partial<AdmissionOptions>;
  scope?: string;
  tls?: ServerShared["tls"];
  clock?: MonotonicClock;
  drainMs?: number;
}

/** A relay server on a port of 127.0.0.1, into a collector. */
export class TestServer implements AsyncDisposable {
  readonly collector: Collector;
  readonly logs = new LogLines();
  readonly registry: MetricRegistry;
  readonly clients: ClientTable;
  readonly server: RelayServer;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: Partial<ServerLimits> & TestServerOptions = {}) {
    const {
      // Another one may listen there later, when this one has stopped.
      port = freePort(),
      sink = new Collector(),
      clients = new ClientTable(),
      identity = { id: newJournalId() },
      stateDirectory = null,
      registry,
      safety,
      tls,
      admission,
      scope,
      clock,
      drainMs = DRAIN_MS,
      ...limits
    } = options;
    this.registry = registry ?? new MetricRegistry();
    this.collector = sink;
    this.clients = sink.clients = clients;
    const listener = Deno.listen({ hostname: "127.0.0.1", port });
    const context = {
      log: this.logs.log,
      registry: this.registry,
      clients,
      stateDirectory,
      drainMs: () => drainMs,
      identity: {
        get id() {
          return identity.id;
        },
        renewId: () => Promise.resolve(),
      },
    };
    this.server = new RelayServer(listener, context, { ...DEFAULT_LIMITS, ...limits }, {
      safety,
      admission: { ...OPEN, ...admission },
      scope,
      tls,
      clock,
    });
    this.#running = this.server.run(this.collector, this.#stop.signal);
  }

  get port(): number {
    return this.server.address.port;
  }

  get points(): Point[] {
    return this.collector.points;
  }

  /** Stops in good order. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.server[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
