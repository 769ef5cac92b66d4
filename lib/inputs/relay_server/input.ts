/** Opens a {@linkcode RelayServer} as its configuration says. */
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import { AdoptedListener } from "../../net/activation.ts";
import { formatAddress, parseAddress } from "../../net/address.ts";
import { listenOrAdopt } from "../../net/listen.ts";
import type { PluginContext } from "../../plugin.ts";
import { DEFAULT_LIMITS, RelayServer, type ServerLimits, type ServerShared } from "../../server.ts";
import type { AdmissionOptions } from "../../server/admission/admission.ts";
import { Tokens } from "../../server/admission/tokens.ts";
import { ADDRESS_KEY, type RelayServerConfig } from "../../server/config.ts";
import { TlsTerminator } from "../../server/tls.ts";

/** The relay server of a configuration. */
export class RelayServerInput extends RelayServer {
  readonly #tokens: Tokens | undefined;

  private constructor(
    listener: Deno.TcpListener,
    config: RelayServerConfig,
    context: PluginContext,
    tokens: Tokens | undefined,
    tls: ServerShared["tls"],
  ) {
    super(listener, context, limitsOf(config), {
      safety: config.acknowledge === "stored" ? "stored" : "durable",
      scope: parseAddress(config.address, { listen: true }).scope,
      admission: admissionOf(config, tokens),
      tls,
    });
    this.#tokens = tokens;
  }

  /** @throws {ExitError} if it cannot listen, or if a file of tokens or certificates cannot be used. */
  static async open(config: RelayServerConfig, context: PluginContext): Promise<RelayServerInput> {
    const tokens = openTokens(config.tokens, context.log);
    const tls = await openTls(config.tls, context.log);
    const address = parseAddress(config.address, { listen: true });
    const listener = await listenOrAdopt(address, ADDRESS_KEY, context.log);
    const server = new RelayServerInput(listener, config, context, tokens, tls);
    const { hostname, port } = server.address;
    // The address of systemd's socket is not that of the configuration; of ours, only the configuration has the scope.
    const adopted = listener instanceof AdoptedListener;
    context.log.info("Listening for relay clients", {
      address: formatAddress(adopted ? { hostname, port } : { ...address, port }),
      socket: adopted ? "systemd" : undefined,
    });
    return server;
  }

  reconfigure(config: RelayServerConfig): void {
    this.change(limitsOf(config), admissionOf(config, this.#tokens));
  }
}

/** @throws {ExitError} if the files are no certificate and its key. */
async function openTls(config: RelayServerConfig["tls"], log: Logger): Promise<ServerShared["tls"]> {
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

/** @throws {ExitError} if there is a file that cannot be used. */
function openTokens(path: string, log: Logger): Tokens | undefined {
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

function limitsOf({ limits }: RelayServerConfig): ServerLimits {
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

function admissionOf(options: RelayServerConfig, tokens: Tokens | undefined): AdmissionOptions {
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
