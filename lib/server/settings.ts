/** Turns the configuration into what the server needs: opened files, limits, and rules of admission. */
import type { AdmissionOptions } from "./admission/admission.ts";
import { Tokens } from "./admission/tokens.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { RelayServerConfig } from "./config.ts";
import type { Logger } from "../base/log.ts";
import { DEFAULT_LIMITS, type ServerLimits, type ServerShared } from "./shared.ts";
import { TlsTerminator } from "./tls.ts";

/** @throws {ExitError} if the files are not a certificate and its key. */
export async function openTls(config: RelayServerConfig["tls"], log: Logger): Promise<ServerShared["tls"]> {
  const { cert, key, client_ca, mode } = config;
  if (cert === "") return undefined;
  try {
    return { terminator: await TlsTerminator.open({ cert, key, client_ca }, log), mode };
  } catch (error) {
    const files = [cert, key, client_ca].filter((path) => path !== "").join(", ");
    throw new ExitError(
      EXIT.config,
      `Cannot use ${files} (plugins.relay-server.tls): ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** @throws {ExitError} if the file cannot be used. */
export function openTokens(path: string, log: Logger): Tokens | undefined {
  if (path === "") return undefined;
  try {
    return new Tokens(path, log);
  } catch (error) {
    throw new ExitError(
      EXIT.config,
      `Cannot use ${path} (plugins.relay-server.tokens): ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** How much of the server clients may use. */
export function limitsOf({ limits }: RelayServerConfig): ServerLimits {
  return {
    ...DEFAULT_LIMITS,
    handshakeMs: limits.handshake_timeout,
    idleMs: limits.idle_timeout || Infinity,
    bytesPerSecond: limits.bytes_per_second || Infinity,
    maxSeries: limits.series_per_client,
    maxMetrics: limits.metrics_per_client,
    maxNameBytes: limits.name_length,
  };
}

/** Which clients are accepted. */
export function admissionOf(options: RelayServerConfig, tokens: Tokens | undefined): AdmissionOptions {
  return {
    allow: options.allow,
    deny: options.deny,
    tokens,
    withoutToken: options.without_token,
    maxConnections: options.limits.connections,
    maxConnectionsPerAddress: options.limits.connections_per_address,
    maxNameLength: options.limits.name_length,
  };
}
