/**
 * Where the database is and who we are there: from the keys of the configuration, else from the URL, else from the
 * environment as libpq reads it (https://www.postgresql.org/docs/current/libpq-envars.html), else libpq's defaults.
 */
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import { Secret } from "../../base/secrets.ts";
import { certificateProblem } from "./client_certificate.ts";
import type { PostgresConfig } from "./config.ts";
import { type Environment, type Host, SOCKET_DIRECTORIES, systemEnvironment } from "./environment.ts";
import { findPassword } from "./passfile.ts";
export type { Environment, Host };
import { parseUrl, portProblem, SSL_MODES, type SslMode, type UrlParts } from "./url.ts";

/** How to encrypt. Texts are PEM. */
export interface Encryption {
  readonly mode: SslMode;
  /** `null`: those that the system trusts. */
  readonly authorities: string | null;
  readonly certificate: string | null;
  readonly key: string | null;
}

export interface Settings {
  /** At least one. */
  readonly hosts: readonly Host[];
  readonly user: string;
  readonly database: string;
  /**
   * Read again for each connection: certificates are replaced.
   *
   * @throws {ExitError} when a file cannot be used.
   */
  encryption(): Encryption;
  readonly connectTimeoutMs: number;
  readonly applicationName: string;
  /** Command-line options for the server's session. */
  readonly options: string | undefined;
  /** Asked again for each connection; `undefined` where there is none. */
  password(host: Host): string | undefined;
}

const SECTION = "plugins.postgresql";
const DEFAULT_PORT = "5432";
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

function wrong(message: string): ExitError {
  return new ExitError(EXIT.config, message);
}

/** Each host with its port: one for all, or one each. */
function hostsOf(hosts: string, ports: string): Host[] {
  const names = hosts.split(",");
  const numbers = ports.split(",");
  if (numbers.length > 1 && numbers.length !== names.length) {
    throw wrong(
      `Cannot tell which port belongs to which host: ${names.length} hosts, ${numbers.length} ports`,
    );
  }
  return names.map((host, i) => ({
    host: host || "localhost",
    port: Number((numbers.length > 1 ? numbers[i] : numbers[0]) || DEFAULT_PORT),
  }));
}

function defaultHost(port: string, mode: Environment["mode"]): string {
  const first = port.split(",")[0] || DEFAULT_PORT;
  return SOCKET_DIRECTORIES.find((path) => mode(`${path}/.s.PGSQL.${first}`) !== null) ?? "localhost";
}

function pem(path: string | undefined, what: string, readFile: Environment["readFile"]): string | null {
  // libpq's word for what the system trusts.
  if (!path || path === "system") return null;
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    throw wrong(`Cannot read ${path} (${what}): ${messageOf(error)}`);
  }
  if (!text.includes("-----BEGIN ")) throw wrong(`Cannot use ${path} (${what}): it has no PEM block`);
  return text;
}

/** @throws {ExitError} 78 if a setting is not possible. No message has a password in it. */
export function resolveSettings(
  config: PostgresConfig,
  environment: Environment = systemEnvironment,
): Settings {
  const { env, readFile, mode } = environment;
  const url: UrlParts = config.url === undefined ? {} : parseUrl(config.url);
  const get = (name: string) => env(name) || undefined;

  const ports = config.port?.toString() ?? url.port ?? get("PGPORT") ?? "";
  const problem = portProblem(ports);
  if (problem) throw wrong(`Cannot use PGPORT: ${problem}`);
  const hosts = config.host || url.host || get("PGHOST") || defaultHost(ports, mode);
  const user = config.user || url.user || get("PGUSER") || environment.userName();
  if (!user) throw wrong(`Cannot tell who to be in the database: set user in [${SECTION}], or PGUSER`);
  const database = config.database || url.dbname || get("PGDATABASE") || user;

  const sslmode = config.sslmode ?? url.sslmode ?? get("PGSSLMODE") ?? "prefer";
  if (!(SSL_MODES as readonly string[]).includes(sslmode)) {
    throw wrong(`Cannot use PGSSLMODE: expected one of ${SSL_MODES.join(", ")}`);
  }
  const encryption = (): Encryption => {
    const authorities = pem(
      config.ca_file ?? url.sslrootcert ?? get("PGSSLROOTCERT"),
      "ca_file, sslrootcert or PGSSLROOTCERT",
      readFile,
    );
    const certificate = pem(
      config.cert_file ?? url.sslcert ?? get("PGSSLCERT"),
      "cert_file, sslcert or PGSSLCERT",
      readFile,
    );
    const key = pem(
      config.key_file ?? url.sslkey ?? get("PGSSLKEY"),
      "key_file, sslkey or PGSSLKEY",
      readFile,
    );
    if ((certificate === null) !== (key === null)) {
      throw wrong("Cannot log in with a certificate: it and its key belong together (cert_file, key_file)");
    }
    const problem = certificate && certificateProblem(certificate, key!);
    if (problem) throw wrong(`Cannot log in with a certificate (cert_file, key_file): ${problem}`);
    // As with libpq: an authority that is named is checked.
    const mode = sslmode === "require" && authorities !== null ? "verify-ca" : sslmode as SslMode;
    return { mode, authorities, certificate, key };
  };
  // Errors that are known now are reported now.
  encryption();

  const seconds = url.connect_timeout ?? get("PGCONNECT_TIMEOUT");
  const given = config.connect_timeout ?? (seconds === undefined ? undefined : Number(seconds) * 1000);
  const secret = new Secret("", config.password_file ?? "", `${SECTION}.password_file`);
  const password = config.password || (config.password_file ? undefined : url.password || get("PGPASSWORD"));
  const passfile = url.passfile ?? get("PGPASSFILE") ?? (get("HOME") && `${get("HOME")}/.pgpass`);

  return {
    hosts: hostsOf(hosts, ports),
    user,
    database,
    encryption,
    connectTimeoutMs: given !== undefined && given > 0 ? given : DEFAULT_CONNECT_TIMEOUT_MS,
    applicationName: url.application_name ?? get("PGAPPNAME") ?? "alumet-relay",
    options: url.options ?? get("PGOPTIONS"),
    password(host) {
      secret.refresh();
      if (password !== undefined) return password;
      if (secret.value !== "") return secret.value;
      if (!passfile) return undefined;
      return findPassword(passfile, { ...host, user, database }, { readFile, mode });
    },
  };
}
