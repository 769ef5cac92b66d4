/** The keys of `[plugins.postgresql]`. */
import { choice, duration, flag, type Infer, integer, live, optional, table, text } from "../../schema.ts";
import { rollups, rollupsProblem } from "../rollups/config.ts";
import { parseUrl, SSL_MODES, UrlError } from "./url.ts";

const urlProblem = (value: string) => {
  try {
    parseUrl(value);
  } catch (error) {
    if (error instanceof UrlError) return error.message;
    throw error;
  }
};

const hasPassword = (url: string) => urlProblem(url) !== undefined || parseUrl(url).password !== undefined;

/** What a schema, which we create, may be called. */
const nameProblem = (value: string) => {
  if (value === "" || value.includes("\0")) return "must not be empty";
  if (new TextEncoder().encode(value).length > 63) return "must have 63 bytes at most";
  if (/^pg_/.test(value) || value === "information_schema") return "is reserved by PostgreSQL";
};

export const config = table({
  url: optional(text({
    doc:
      "The database, as libpq has it: postgresql://user@host:5432/database?sslmode=verify-full. The keys below " +
      "go before its parts, and its parts before the PG* environment variables (PGHOST, PGUSER, …).",
    unset: "the keys below, and the PG* environment variables",
    default: "postgresql://alumet@localhost/alumet",
    check: urlProblem,
    secret: hasPassword,
  })),
  host: optional(text({
    doc:
      "Name or address of the server, or the directory of its socket (/var/run/postgresql). Several, separated " +
      "by commas, are tried in this order; one that only can be read from is passed over. Default: the local " +
      "socket where there is one, else localhost.",
    unset: "the local socket where there is one, else localhost",
    default: "localhost",
  })),
  port: optional(integer({ doc: "Default: 5432.", unset: "5432", default: 5432, min: 1, max: 65535 })),
  database: optional(
    text({ doc: "Default: the name of the user.", unset: "the name of the user", default: "alumet" }),
  ),
  user: optional(
    text({
      doc: "Default: the user that this process runs as.",
      unset: "the user of this process",
      default: "alumet",
    }),
  ),
  password: live(optional(text({
    doc: "Better in password_file, in PGPASSWORD or in ~/.pgpass (PGPASSFILE).",
    unset: "none, or from password_file, PGPASSWORD or PGPASSFILE",
    default: "",
    secret: true,
  }))),
  password_file: live(optional(text({
    doc: "A file whose first line is the password; read again with each new connection.",
    unset: "no file",
    default: "/run/secrets/postgresql",
    secretFile: true,
  }))),
  sslmode: optional(choice(SSL_MODES, {
    doc: "Encryption, as libpq has it: verify-full also checks who the server is. Default: prefer.",
    unset: "prefer",
    default: "prefer",
  })),
  ca_file: optional(text({
    doc:
      "File with the certificates of the authorities that sign the server's. Default: those that this system " +
      "trusts.",
    unset: "the certificates of the system",
    default: "/etc/ssl/certs/postgresql-ca.pem",
  })),
  cert_file: optional(
    text({ doc: "File with a certificate to log in with.", unset: "no certificate", default: "client.crt" }),
  ),
  key_file: optional(
    text({
      doc: "File with the key of that certificate.",
      unset: "no key",
      default: "client.key",
      secretFile: true,
    }),
  ),
  schema: text({
    doc: "Where the tables are. The schema and the tables are created where they are missing.",
    default: "alumet",
    check: nameProblem,
  }),
  timescaledb: flag({
    doc:
      "Make points a hypertable, where the extension TimescaleDB is in the database. Otherwise it is partitioned " +
      "by days.",
    default: true,
  }),
  keep: optional(duration({
    doc: "Delete what is older, once an hour, in whole days. Default: nothing is deleted.",
    unset: "all points are kept",
    default: "90d",
    min: "1h",
  })),
  rollups,
  batch_size: live(integer({
    doc: "Points that are written in one transaction.",
    default: 32_768,
    min: 1,
    max: 1_000_000,
  })),
  flush_interval: live(duration({
    doc: "How long points wait for others to be written with.",
    default: "100ms",
    min: "0s",
  })),
  connect_timeout: optional(duration({ doc: "Default: 10s.", unset: "10s", default: "10s", min: "1s" })),
  timeout: duration({
    doc: "The longest that a transaction may take. It is tried again then, with fewer points.",
    default: "1m",
    min: "1s",
  }),
}, {
  doc: "Writes measurements to PostgreSQL, with or without TimescaleDB.",
  check({ password, password_file, cert_file, key_file, rollups }) {
    if (password !== undefined && password_file !== undefined) {
      return { key: "password_file", problem: "cannot be used together with password; keep one of them" };
    }
    if ((cert_file === undefined) !== (key_file === undefined)) {
      return cert_file === undefined
        ? { key: "key_file", problem: "needs cert_file, the certificate of this key" }
        : { key: "cert_file", problem: "needs key_file, the key of this certificate" };
    }
    return rollupsProblem(rollups);
  },
});

export type PostgresConfig = Infer<typeof config>;
