import assert from "node:assert/strict";
import { DeadLetterBox } from "../../../lib/dead_letters.ts";
import { createLogger } from "../../../lib/base/log.ts";
import { MemoryJournal } from "../../../lib/journal.ts";
import { postgresql } from "../../../lib/outputs/postgresql.ts";
import type { PostgresConfig } from "../../../lib/outputs/postgresql/config.ts";
import { PostgresOutput } from "../../../lib/outputs/postgresql/output.ts";
import { Session } from "../../../lib/outputs/postgresql/session.ts";
import { resolveSettings } from "../../../lib/outputs/postgresql/settings.ts";
import { contextWith } from "../../kit/context.ts";
import { KEY } from "../../kit/certificates.ts";
import { needs, program } from "../../kit/needs.ts";
import { numbered } from "../../kit/points.ts";
import { Postgres } from "../../kit/postgres.ts";
import { postgres } from "../../kit/postgres_programs.ts";
import { runProgram, shell } from "../../kit/process.ts";
import { replaceFile, TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";

const here = needs(postgres, program("openssl", "openssl", "version"));
const PASSWORD = "s3cret & pa:ss\\word";
const TIMEOUT_MS = 60_000;

const NOTHING_AROUND = {
  readFile: (path: string) => Deno.readTextFileSync(path),
  mode: (path: string) => Deno.statSync(path).mode,
  userName: () => "somebody",
};

/** Two authorities, a certificate for `localhost`, and one for the role `alumet`, in a folder. */
async function certificates(directory: TempDir): Promise<(name: string) => string> {
  const file = (name: string) => directory.file(name);
  const openssl = (...args: string[]) => shell("openssl", ...args);
  for (const name of ["ca", "other-ca"]) {
    await openssl(
      ...["req", "-x509", ...KEY, "-days", "2", "-subj", `/CN=${name}`],
      ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)],
    );
  }
  for (
    const [name, subject, extension] of [
      ["server", "localhost", "subjectAltName=DNS:localhost"],
      ["client", "alumet", "basicConstraints=CA:FALSE"],
    ]
  ) {
    await Deno.writeTextFile(file(`${name}.ext`), extension);
    await openssl(
      ...["req", ...KEY, "-subj", `/CN=${subject}`],
      ...["-keyout", file(`${name}.key`), "-out", file(`${name}.csr`)],
    );
    await openssl(
      ...["x509", "-req", "-in", file(`${name}.csr`), "-days", "2", "-extfile", file(`${name}.ext`)],
      ...["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-CAcreateserial", "-out", file(`${name}.crt`)],
    );
  }
  return file;
}

async function withTls(server: Postgres, file: (name: string) => string): Promise<void> {
  const give = (name: string) => server.give(name, Deno.readTextFileSync(file(name)));
  await server.set({
    ssl_cert_file: await give("server.crt"),
    ssl_key_file: await give("server.key"),
    ssl_ca_file: await give("ca.crt"),
    ssl: "on",
  });
}

/** Who may log in how; the superuser by the socket always. */
async function hba(server: Postgres, ...lines: string[]): Promise<void> {
  await server.give("data/pg_hba.conf", ["local all postgres trust", ...lines, ""].join("\n"));
  await server.set({});
}

/** Connects, and says whether it is encrypted, or why not. */
async function attempt(
  server: Postgres,
  config: Partial<PostgresConfig>,
  env: Record<string, string> = {},
): Promise<string> {
  const all: PostgresConfig = {
    ...postgresql.config.defaultValue(),
    host: "localhost",
    port: server.port,
    database: "alumet",
    user: "alumet",
    connect_timeout: 60_000,
    ...config,
  };
  const settings = resolveSettings(all, { ...NOTHING_AROUND, env: (name) => env[name] });
  try {
    await using session = await Session.open(settings, TIMEOUT_MS);
    const { rows: [{ ssl }] } = await session.query<{ ssl: boolean }>(
      "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    assert.equal(session.encrypted, ssl);
    return ssl ? "encrypted" : "plain";
  } catch (error) {
    assert.ok(
      !String((error as Error).stack).includes(PASSWORD.slice(0, 6)),
      "there is the password in an error",
    );
    return (error as Error).message;
  }
}

Deno.test({
  name: "Each sslmode does what libpq's does, with a private authority",
  ...here,
  async fn() {
    await using directory = new TempDir();
    await using server = await Postgres.create();
    const file = await certificates(directory);
    const ca = { ca_file: file("ca.crt") };
    const other = { ca_file: file("other-ca.crt") };

    // A server that has no TLS.
    assert.equal(await attempt(server, { sslmode: "disable" }), "plain");
    assert.equal(await attempt(server, { sslmode: "allow" }), "plain");
    assert.equal(await attempt(server, { sslmode: "prefer" }), "plain");
    assert.match(await attempt(server, { sslmode: "require" }), /does not support SSL/);
    assert.match(await attempt(server, { sslmode: "verify-full", ...ca }), /does not support SSL/);
    assert.equal(
      await attempt(server, { sslmode: "verify-full", ...ca, host: server.socketDirectory }),
      "plain",
      "a socket of this machine needs none",
    );

    await withTls(server, file);
    assert.equal(await attempt(server, { sslmode: "disable" }), "plain");
    assert.equal(await attempt(server, { sslmode: "allow" }), "plain");
    assert.equal(await attempt(server, { sslmode: "prefer" }), "encrypted");
    assert.equal(await attempt(server, { sslmode: "require" }), "encrypted");
    assert.equal(await attempt(server, { sslmode: "require", ...ca, host: "127.0.0.1" }), "encrypted");
    assert.match(await attempt(server, { sslmode: "require", ...other }), /UnknownIssuer|certificate/);
    assert.equal(await attempt(server, { sslmode: "verify-ca", ...ca, host: "127.0.0.1" }), "encrypted");
    assert.match(await attempt(server, { sslmode: "verify-ca", ...other }), /UnknownIssuer|certificate/);
    assert.equal(await attempt(server, { sslmode: "verify-full", ...ca }), "encrypted");
    assert.match(await attempt(server, { sslmode: "verify-full", ...other }), /UnknownIssuer|certificate/);
    assert.match(await attempt(server, { sslmode: "verify-full" }), /UnknownIssuer|certificate/);
    assert.match(
      await attempt(server, { sslmode: "verify-full", ...ca, host: "127.0.0.1" }),
      /not valid for name|altnames/,
    );
    assert.equal(
      await attempt(server, {}, { PGSSLMODE: "verify-full", PGSSLROOTCERT: file("ca.crt") }),
      "encrypted",
    );

    // A server that insists, and one that has none of it.
    await hba(server, "hostssl all all 127.0.0.1/32 trust");
    assert.equal(await attempt(server, { sslmode: "allow" }), "encrypted");
    assert.match(await attempt(server, { sslmode: "disable" }), /no pg_hba.conf entry/);
    await hba(server, "hostnossl all all 127.0.0.1/32 trust");
    assert.equal(await attempt(server, { sslmode: "prefer" }), "plain");
    assert.match(await attempt(server, { sslmode: "require" }), /no pg_hba.conf entry/);

    // A certificate instead of a password.
    await hba(server, "hostssl all all 127.0.0.1/32 cert");
    const login = { cert_file: file("client.crt"), key_file: file("client.key") };
    assert.equal(await attempt(server, { sslmode: "verify-full", ...ca, ...login }), "encrypted");
    assert.match(await attempt(server, { sslmode: "verify-full", ...ca }), /client certificate/);
  },
});

Deno.test({
  name: "Passwords of all kinds, from all places, and in no message",
  ...here,
  async fn() {
    await using directory = new TempDir();
    await using server = await Postgres.create();
    const passwordFile = directory.file("password");
    await Deno.writeTextFile(passwordFile, PASSWORD + "\n");
    const passfile = directory.file("pgpass");
    const escaped = PASSWORD.replaceAll("\\", "\\\\").replaceAll(":", "\\:");
    await Deno.writeTextFile(passfile, `localhost:${server.port}:*:alumet:${escaped}\n`, { mode: 0o600 });
    for (
      const [encryption, method] of [["scram-sha-256", "scram-sha-256"], ["md5", "md5"], ["md5", "password"]]
    ) {
      await server.sql(
        `SET password_encryption = '${encryption}'; ALTER ROLE alumet PASSWORD '${
          PASSWORD.replaceAll("'", "''")
        }'`,
      );
      await hba(server, `host all all 127.0.0.1/32 ${method}`);
      assert.equal(await attempt(server, { password: PASSWORD }), "plain", method);
      assert.equal(await attempt(server, { password_file: passwordFile }), "plain", method);
      assert.equal(await attempt(server, {}, { PGPASSWORD: PASSWORD }), "plain", method);
      assert.equal(await attempt(server, {}, { PGPASSFILE: passfile }), "plain", method);
      const url = `postgresql://alumet:${encodeURIComponent(PASSWORD)}@localhost:${server.port}/alumet`;
      assert.equal(await attempt(server, { url, host: undefined, port: undefined }), "plain", method);
      assert.match(
        await attempt(server, { password: `${PASSWORD}?` }),
        /password authentication failed/,
        method,
      );
      assert.match(await attempt(server, {}), /asks for a password, and none is configured/, method);
    }
  },
});

Deno.test({
  name: "A wrong password is shown once and in no other way, and a right one is taken when it is there",
  ...here,
  async fn() {
    await using directory = new TempDir();
    await using server = await Postgres.create({ log_connections: "on" });
    await withTls(server, await certificates(directory));
    await server.sql(`SET password_encryption = 'scram-sha-256'; ALTER ROLE alumet PASSWORD '${PASSWORD}'`);
    await hba(server, "host all all 127.0.0.1/32 scram-sha-256");
    const path = directory.file("password");
    await Deno.writeTextFile(path, `${PASSWORD}, the old one`);
    const config: PostgresConfig = {
      ...postgresql.config.defaultValue(),
      url: `postgresql://alumet@localhost:${server.port}/alumet?sslmode=prefer`,
      password_file: path,
    };
    const lines: string[] = [];
    const log = createLogger("postgresql", { level: "trace", write: (line) => lines.push(line) });
    const journal = new MemoryJournal({ limitBytes: 1e9 });
    const deadLetters = new DeadLetterBox({ directory: null, maxBytes: 0, log });
    const context = contextWith({ log, clients: journal.clients, deadLetters });
    const settings = resolveSettings(config, { ...NOTHING_AROUND, env: () => undefined });
    await using output = new PostgresOutput(config, settings, context);
    const running = output.run(journal.reader(), new AbortController().signal);
    await journal.append(numbered(10));
    await until(() => output.stats.failures >= 2);
    const attempts = () => server.log.match(/password authentication failed/g)?.length ?? 0;
    replaceFile(path, PASSWORD);
    await until(() => journal.pendingPoints === 0);
    journal.end();
    await running;
    // The database says so first, and the output counts it then.
    assert.ok(attempts() > 0 && attempts() <= output.stats.failures, `${attempts()} attempts`);
    const text = lines.join("");
    assert.ok(!text.includes(PASSWORD.slice(0, 6)), text);
    assert.match(text, /WARN .*Cannot write to the database.*password authentication failed.*28P01/);
    assert.equal(text.match(/WARN|ERROR/g)!.length, 1, text);
  },
});

Deno.test({
  name: "Of several hosts the first one that can be written to is taken",
  ...here,
  async fn() {
    await using one = await Postgres.create();
    await using two = await Postgres.create();
    const url = `postgresql://alumet@localhost:1,localhost:${one.port},localhost:${two.port}/alumet`;
    const open = async () => {
      const settings = resolveSettings({ ...postgresql.config.defaultValue(), url }, {
        ...NOTHING_AROUND,
        env: () => undefined,
      });
      await using session = await Session.open(settings, TIMEOUT_MS);
      return session.host.port;
    };
    assert.equal(await open(), one.port);
    await one.set({ default_transaction_read_only: "on" });
    assert.equal(await open(), two.port);
    await two.kill();
    await assert.rejects(open, (error: Error) => {
      assert.match(error.message, /localhost:1: .*refused/i);
      assert.match(error.message, new RegExp(`localhost:${one.port}: it can only be read from`));
      assert.match(error.message, new RegExp(`localhost:${two.port}: .*refused`, "i"));
      return true;
    });
  },
});

Deno.test("no command shows a password", async () => {
  await using directory = new TempDir();
  const path = directory.file("config.toml");
  await Deno.writeTextFile(
    path,
    `[plugins.postgresql]\nurl = "postgresql://me:s3cret@db/x"\n[plugins.csv]\nenable = false\n`,
  );
  const shown = await runProgram(["config", "show", "--config", path]);
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /\[plugins\.postgresql\]/);
  assert.ok(!/s3cret/.test(shown.stdout + shown.stderr), shown.stdout);
  for (
    const wrong of [
      'url = "postgresql://me:s3cret@db:x/"',
      "password = 53",
      'password = "s3cret"\npassword_file = "x"',
    ]
  ) {
    await Deno.writeTextFile(path, `[plugins.postgresql]\n${wrong}\n`);
    const checked = await runProgram(["config", "check", "--config", path]);
    assert.equal(checked.code, 78);
    assert.match(checked.stderr + checked.stdout, /plugins\.postgresql\.(url|password)/);
    assert.ok(!/s3cret|5353/.test(checked.stderr + checked.stdout), checked.stderr);
  }
});
