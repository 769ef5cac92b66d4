/**
 * Connection URLs as libpq has them:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 */

export const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = typeof SSL_MODES[number];

/** What a URL says; absent where it does not. Names are those of libpq's parameters. */
export interface UrlParts {
  /** One or more, separated by commas. */
  host?: string;
  port?: string;
  dbname?: string;
  user?: string;
  password?: string;
  passfile?: string;
  sslmode?: SslMode;
  sslrootcert?: string;
  sslcert?: string;
  sslkey?: string;
  /** In seconds. */
  connect_timeout?: string;
  application_name?: string;
  options?: string;
}

/** A text is not a URL of a database. The message does not repeat it: it may have a password in it. */
export class UrlError extends SyntaxError {
  override readonly name = "UrlError";
}

const PARAMETERS: readonly (keyof UrlParts)[] = [
  "host",
  "port",
  "dbname",
  "user",
  "password",
  "passfile",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "connect_timeout",
  "application_name",
  "options",
];
/** What libpq knows and what has no meaning here, or goes without saying. */
const IGNORED = [
  "channel_binding",
  "client_encoding",
  "fallback_application_name",
  "gssencmode",
  "hostaddr",
  "keepalives",
  "keepalives_count",
  "keepalives_idle",
  "keepalives_interval",
  "load_balance_hosts",
  "target_session_attrs",
  "tcp_user_timeout",
];

function decoded(text: string, what: string): string {
  try {
    const result = decodeURIComponent(text);
    if (!result.includes("\0")) return result;
  } catch { /* said below */ }
  throw new UrlError(`the ${what} in it is not valid percent-encoding`);
}

/** `host:port`, `[::1]:port`, `host`, `:port` or nothing. */
function hostAndPort(text: string): [host: string, port: string] {
  const match = /^(\[[^\]]*\]|[^:[\]]*)(?::([^:]*))?$/.exec(text);
  if (!match) throw new UrlError("its host is neither HOST:PORT nor [IPv6]:PORT");
  const host = match[1].startsWith("[") ? match[1].slice(1, -1) : decoded(match[1], "host");
  return [host, match[2] ?? ""];
}

/** The ports that a text says, `""` where one is left to the default; one for each host, or one for all. */
export function portProblem(ports: string): string | undefined {
  for (const port of ports.split(",")) {
    if (port !== "" && !(/^[0-9]+$/.test(port) && Number(port) >= 1 && Number(port) <= 65535)) {
      return "the port must be a number from 1 to 65535";
    }
  }
}

/** @throws {UrlError} */
export function parseUrl(text: string): UrlParts {
  const match = /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text);
  if (!match) {
    throw new UrlError(
      "it must look like postgresql://user@host:5432/database; write special characters in it as %XX",
    );
  }
  const [, login, hosts, path, query] = match;
  const parts: UrlParts = {};
  if (login !== undefined) {
    const colon = login.indexOf(":");
    const user = colon < 0 ? login : login.slice(0, colon);
    if (user !== "") parts.user = decoded(user, "user");
    if (colon >= 0) parts.password = decoded(login.slice(colon + 1), "password");
  }
  if (hosts !== "") {
    const list = hosts.split(",").map(hostAndPort);
    if (list.some(([host]) => host !== "")) parts.host = list.map(([host]) => host).join(",");
    if (list.some(([, port]) => port !== "")) parts.port = list.map(([, port]) => port).join(",");
  }
  if (path) parts.dbname = decoded(path, "database");
  for (const pair of query ? query.split("&") : []) {
    const equals = pair.indexOf("=");
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals), "parameter");
    if (equals < 0) throw new UrlError(`the parameter ${name} has no value`);
    const value = decoded(pair.slice(equals + 1).replaceAll("+", "%20"), `parameter ${name}`);
    if (IGNORED.includes(name)) continue;
    if (!(PARAMETERS as readonly string[]).includes(name)) throw new UrlError(`unknown parameter ${name}`);
    if (name === "sslmode" && !(SSL_MODES as readonly string[]).includes(value)) {
      throw new UrlError(`sslmode must be one of ${SSL_MODES.join(", ")}`);
    }
    if (name === "connect_timeout" && !/^[0-9]+$/.test(value)) {
      throw new UrlError("connect_timeout must be a number of seconds");
    }
    parts[name as "user"] = value;
  }
  const problem = parts.port === undefined ? undefined : portProblem(parts.port);
  if (problem) throw new UrlError(problem);
  return parts;
}
