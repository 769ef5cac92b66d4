/** Turns the configuration into what the server needs: limits, and rules of admission. */
import type { AdmissionOptions } from "../intake/admission/admission.ts";
import type { Tokens } from "../intake/admission/tokens.ts";
import { MAX_CONNECTIONS, type RelayServerConfig } from "./config.ts";
import { available, type Descriptors } from "../net/descriptors.ts";
import type { Logger } from "../base/log.ts";
import { DEFAULT_LIMITS, type ServerLimits } from "./shared.ts";

/** How much of the server clients may use. */
export function limitsOf({ limits }: RelayServerConfig): ServerLimits {
  return {
    ...DEFAULT_LIMITS,
    handshakeMs: limits.handshake_timeout,
    idleMs: limits.idle_timeout || Infinity,
    bytesPerSecond: limits.bytes_per_second || Infinity,
    newSeriesPerSecond: limits.new_series_per_second,
    maxSeries: limits.series_per_client,
    maxMetrics: limits.metrics_per_client,
    maxNameBytes: limits.name_length,
  };
}

/** Sockets that the server takes for a connection: with TLS there is one within the process, which has two ends. */
const TLS_SOCKETS = 3;

/**
 * How many connections there may be, so that the process keeps descriptors for its own files and connections.
 *
 * @param open What the process has before it listens.
 */
export function connectionsFor(
  { limits, tls }: Pick<RelayServerConfig, "limits" | "tls">,
  open: Descriptors | null,
): { maxConnections: number; maxSockets: number } {
  const sockets = open ? available(open) : Infinity;
  const possible = Math.max(1, Math.floor(tls.cert === "" ? sockets : sockets / TLS_SOCKETS));
  return {
    maxConnections: Math.min(limits.connections ?? MAX_CONNECTIONS, possible),
    maxSockets: possible,
  };
}

/** Which clients are accepted. */
export function admissionOf(
  options: RelayServerConfig,
  tokens: Tokens | undefined,
  open: Descriptors | null,
): AdmissionOptions {
  return {
    allow: options.allow,
    deny: options.deny,
    tokens,
    withoutToken: options.without_token,
    ...connectionsFor(options, open),
    maxConnectionsPerAddress: options.limits.connections_per_address,
    maxNameLength: options.limits.name_length,
  };
}

/** Logs that fewer connections are possible than the configuration says. */
export function warnOfFewDescriptors(
  config: Pick<RelayServerConfig, "limits" | "tls">,
  open: Descriptors | null,
  log: Logger,
): void {
  const wanted = config.limits.connections ?? MAX_CONNECTIONS;
  const { maxConnections } = connectionsFor(config, open);
  if (maxConnections >= wanted) return;
  // Nobody asked for that many.
  const level = config.limits.connections === undefined ? "info" : "warn";
  log[level](
    "The limit of open files allows fewer connections than limits.connections (raise LimitNOFILE, or ulimit -n)",
    {
      connections: maxConnections,
      wanted,
      open_files: open?.limit,
    },
  );
}
