import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { ExitError } from "../../../lib/base/errors.ts";
import { postgresql } from "../../../lib/outputs/postgresql.ts";
import { certificateProblem } from "../../../lib/outputs/postgresql/client_certificate.ts";
import type { PostgresConfig } from "../../../lib/outputs/postgresql/config.ts";
import {
  attributesJson,
  clientAndOthers,
  clientKey,
  seriesKey,
  storable,
} from "../../../lib/outputs/postgresql/identity.ts";
import { dayOf, partitionName } from "../../../lib/outputs/postgresql/partitions.ts";
import { resolveSettings } from "../../../lib/outputs/postgresql/settings.ts";
import { describe, judge } from "../../../lib/outputs/postgresql/sqlstate.ts";
import { parseUrl, UrlError } from "../../../lib/outputs/postgresql/url.ts";
import { metricOf } from "../../kit/decode.ts";
import { needs, program } from "../../kit/needs.ts";
import { series } from "../../kit/points.ts";
import { shell } from "../../kit/process.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const DEFAULTS = postgresql.config.defaultValue();

function settings(
  config: Partial<PostgresConfig> = {},
  env: Record<string, string> = {},
  files: Record<string, { text: string; mode?: number }> = {},
) {
  return resolveSettings({ ...DEFAULTS, ...config }, {
    env: (name) => env[name],
    readFile: (path) => {
      if (files[path]) return files[path].text;
      throw new Deno.errors.NotFound(`no ${path}`);
    },
    mode: (path) => files[path] ? files[path].mode ?? 0o600 : null,
    userName: () => "somebody",
  });
}

Deno.test("A URL has all parts that libpq knows", () => {
  assert.deepEqual(
    parseUrl("postgresql://us%40er:pa%3Ass%2Fword@db.example:5433/my%20db?sslmode=require&connect_timeout=7"),
    {
      user: "us@er",
      password: "pa:ss/word",
      host: "db.example",
      port: "5433",
      dbname: "my db",
      sslmode: "require",
      connect_timeout: "7",
    },
  );
  assert.deepEqual(parseUrl("postgres://"), {});
  assert.deepEqual(parseUrl("postgresql:///db?host=/var/run/postgresql&target_session_attrs=any"), {
    dbname: "db",
    host: "/var/run/postgresql",
  });
  assert.deepEqual(parseUrl("postgresql://[2001:db8::1]:6543,other,[::1]/"), {
    host: "2001:db8::1,other,::1",
    port: "6543,,",
  });
  assert.deepEqual(parseUrl("postgresql://:secret@/"), { password: "secret" });
});

Deno.test("An error about a URL does not repeat the URL", () => {
  const wrong = [
    "secret",
    "http://user:secret@host",
    "postgresql://user:secret%zz@host",
    "postgresql://user:sec/ret@host:port/db",
    "postgresql://user:secret@host:0/db",
    "postgresql://user:secret@host:65536/db",
    "postgresql://user:secret@host:1:2/db",
    "postgresql://user:secret@host/db?sslmode=secret",
    "postgresql://user:secret@host/db?unheard=of",
    "postgresql://user:secret@host/db?sslmode",
    "postgresql://user:secret@host/db?connect_timeout=secret",
    "postgresql://user:secret@host/db%00",
  ];
  for (const url of wrong) {
    assert.throws(() => parseUrl(url), (error: Error) => {
      assert.ok(error instanceof UrlError, url);
      assert.ok(!error.message.includes("secret"), error.message);
      return true;
    });
  }
  assert.equal(parseUrl("postgresql://host:65535").port, "65535");
  assert.throws(() => parseUrl("postgresql://host/db?sslmode"), /the parameter sslmode has no value/);
  assert.throws(() => parseUrl("postgresql://host/db?=x"), /unknown parameter $/);
});

Deno.test("Keys that do not fit together are errors that name them", () => {
  const wrong = (config: Partial<PostgresConfig>, files: Record<string, { text: string }> = {}) => {
    try {
      settings({ host: "a", ...config }, {}, files);
    } catch (error) {
      return error instanceof ExitError ? error.message : String(error);
    }
  };
  const pem = { text: "-----BEGIN CERTIFICATE-----" };
  assert.match(wrong({ ca_file: "/ca" })!, /Cannot read \/ca \(ca_file/);
  assert.match(
    wrong({ ca_file: "/ca" }, { "/ca": { text: "no" } })!,
    /Cannot use \/ca \(ca_file.*no PEM block/,
  );
  assert.match(wrong({ cert_file: "/c" }, { "/c": pem })!, /belong together \(cert_file, key_file\)/);
  assert.match(wrong({ key_file: "/k" }, { "/k": pem })!, /belong together \(cert_file, key_file\)/);
  assert.match(
    wrong({ cert_file: "/c", key_file: "/k" }, { "/c": pem, "/k": pem })!,
    /Cannot log in with a certificate \(cert_file, key_file\): /,
  );
  const nobody = { env: () => undefined, readFile: () => "", mode: () => null, userName: () => "" };
  assert.throws(
    () => resolveSettings({ ...DEFAULTS, host: "a" }, nobody),
    /Cannot tell who to be in the database/,
  );
  assert.equal(settings({ host: "a" }).password({ host: "a", port: 5432 }), undefined);
});

Deno.test("Keys go before the URL, the URL before the environment, that before the defaults", () => {
  const env = {
    PGHOST: "env-host",
    PGPORT: "1111",
    PGUSER: "env-user",
    PGDATABASE: "env-db",
    PGPASSWORD: "env-password",
    PGSSLMODE: "disable",
    PGAPPNAME: "env-app",
    PGCONNECT_TIMEOUT: "3",
    PGOPTIONS: "-c geqo=off",
  };
  const url =
    "postgresql://url-user:url-password@url-host:2222/url-db?sslmode=require&application_name=url-app";
  const seen = (config: Partial<PostgresConfig>, environment: Record<string, string>) => {
    const { hosts, user, database, encryption, applicationName, connectTimeoutMs, options, password } =
      settings(
        config,
        environment,
      );
    const [{ host, port }] = hosts;
    return [
      ...[host, port, user, database, encryption().mode, applicationName, connectTimeoutMs, options],
      password(hosts[0]),
    ];
  };
  assert.deepEqual(seen({}, {}), [
    ...["localhost", 5432, "somebody", "somebody", "prefer", "alumet-relay", 10_000, undefined, undefined],
  ]);
  assert.deepEqual(seen({}, env), [
    ...["env-host", 1111, "env-user", "env-db", "disable", "env-app", 3000, "-c geqo=off", "env-password"],
  ]);
  assert.deepEqual(seen({ url }, env), [
    ...["url-host", 2222, "url-user", "url-db", "require", "url-app", 3000, "-c geqo=off", "url-password"],
  ]);
  const keys = {
    host: "key-host",
    port: 3333,
    user: "key-user",
    database: "key-db",
    password: "key-password",
    sslmode: "verify-full" as const,
    connect_timeout: 5000,
  };
  assert.deepEqual(seen({ url, ...keys }, env), [
    ...[
      "key-host",
      3333,
      "key-user",
      "key-db",
      "verify-full",
      "url-app",
      5000,
      "-c geqo=off",
      "key-password",
    ],
  ]);
});

Deno.test("Several hosts share a port or have one each, and the local socket is the default where there is one", () => {
  assert.deepEqual(settings({ host: "a,b", port: 7 }).hosts, [{ host: "a", port: 7 }, {
    host: "b",
    port: 7,
  }]);
  assert.deepEqual(settings({ url: "postgresql://a:1,b,c:3/" }).hosts, [
    { host: "a", port: 1 },
    { host: "b", port: 5432 },
    { host: "c", port: 3 },
  ]);
  assert.throws(() => settings({ host: "a,b,c" }, { PGPORT: "1,2" }), /3 hosts, 2 ports/);
  assert.throws(() => settings({}, { PGPORT: "x" }), /PGPORT/);
  assert.throws(() => settings({}, { PGSSLMODE: "x" }), /PGSSLMODE/);
  const socket = { "/var/run/postgresql/.s.PGSQL.5432": { text: "" } };
  assert.deepEqual(settings({}, {}, socket).hosts, [{ host: "/var/run/postgresql", port: 5432 }]);
  assert.deepEqual(settings({ port: 5433 }, {}, socket).hosts, [{ host: "localhost", port: 5433 }]);
});

Deno.test("A password file is read as libpq reads it", () => {
  const text = [
    "# a comment",
    "",
    "db:5432:other:me:not this",
    "db:5432:mine:me:first\\:one\\\\",
    "db:5432:mine:me:second",
    "*:*:*:me:any:colons:are:in:it",
    "localhost:5432:*:*:local",
    "db:5432:mine:you:ends\\",
  ].join("\r\n");
  const home = { HOME: "/home/me" };
  const password = (
    host: string,
    config: Partial<PostgresConfig>,
    env: Record<string, string>,
    files: Record<string, { text: string; mode?: number }>,
  ) => {
    const found = settings({ host, database: "mine", user: "me", ...config }, env, files);
    return found.password(found.hosts[0]);
  };
  const files = { "/home/me/.pgpass": { text } };
  assert.equal(password("db", {}, home, files), "first:one\\");
  assert.equal(password("other", {}, home, files), "any:colons:are:in:it");
  assert.equal(password("db", { user: "you" }, home, files), "ends\\");
  assert.equal(password("/var/run/postgresql", { user: "you" }, home, files), "local");
  assert.equal(password("other", { user: "you" }, home, files), undefined);
  assert.equal(password("db", {}, home, { "/home/me/.pgpass": { text, mode: 0o640 } }), undefined);
  assert.equal(
    password("db", {}, { ...home, PGPASSFILE: "/elsewhere" }, {
      ...files,
      "/elsewhere": { text: "*:*:*:*:there" },
    }),
    "there",
  );
  assert.equal(password("db", {}, { ...home, PGPASSWORD: "env" }, files), "env");
  assert.equal(
    password("db", { url: "postgresql://?passfile=/p" }, home, { "/p": { text: "*:*:*:*:p" } }),
    "p",
  );
});

Deno.test("The file of a password is read again for each connection", async () => {
  await using directory = new TempDir();
  const path = directory.file("password");
  await Deno.writeTextFile(path, "before\n");
  const { password, hosts: [host] } = settings({ password_file: path }, { PGPASSWORD: "not this" });
  assert.equal(password(host), "before");
  await Deno.writeTextFile(path, "after\n");
  assert.equal(password(host), "after");
  await Deno.remove(path);
  assert.equal(password(host), "after");
  assert.throws(() => settings({ password_file: path }), ExitError);
});

Deno.test({
  name: "A certificate and a key that cannot be used together are refused at the start",
  ...needs(program("openssl", "openssl", "version")),
  fn: checkCertificates,
});

async function checkCertificates() {
  await using directory = new TempDir();
  const openssl = (...args: string[]) => shell("openssl", ...args);
  const file = (name: string) => directory.file(name);
  for (const name of ["one", "two"]) {
    await openssl(
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${name}`],
      ...["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)],
    );
  }
  await openssl("ecparam", "-genkey", "-name", "prime256v1", "-out", file("ec.key"));
  await openssl(
    "req",
    "-x509",
    "-new",
    "-key",
    file("ec.key"),
    "-days",
    "2",
    "-subj",
    "/CN=e",
    "-out",
    file("ec.crt"),
  );
  await openssl("req", "-new", "-key", file("one.key"), "-subj", "/CN=old", "-out", file("old.csr"));
  // Without extensions, a certificate is of version 1.
  await openssl(
    ...[
      "x509",
      "-req",
      "-in",
      file("old.csr"),
      "-signkey",
      file("one.key"),
      "-days",
      "2",
      "-out",
      file("old.crt"),
    ],
  );
  await openssl("rsa", "-aes256", "-passout", "pass:x", "-in", file("one.key"), "-out", file("locked.key"));
  const read = (name: string) => Deno.readTextFileSync(file(name));
  const problem = (certificate: string, key: string) => certificateProblem(read(certificate), read(key));
  assert.equal(problem("one.crt", "one.key"), undefined);
  assert.equal(problem("ec.crt", "ec.key"), undefined);
  assert.match(problem("one.crt", "two.key")!, /not that of the certificate/);
  assert.match(problem("one.crt", "ec.key")!, /not that of the certificate/);
  assert.match(problem("one.crt", "locked.key")!, /has a password/);
  assert.match(problem("one.crt", "one.crt")!, /key cannot be read/);
  assert.match(problem("one.key", "one.key")!, /certificate cannot be read/);
  if (!/Version: 3/.test(await openssl("x509", "-in", file("old.crt"), "-noout", "-text"))) {
    assert.match(problem("old.crt", "one.key")!, /version 1/);
  }

  const files = (...names: string[]) => Object.fromEntries(names.map((name) => [name, { text: read(name) }]));
  const both = { cert_file: "one.crt", key_file: "one.key" };
  assert.equal(settings(both, {}, files("one.crt", "one.key")).encryption().key, read("one.key"));
  assert.throws(() => settings({ ...both, key_file: "two.key" }, {}, files("one.crt", "two.key")), ExitError);
  assert.throws(() => settings({ ca_file: "nothing" }), /Cannot read nothing/);
  assert.throws(() => settings({ ca_file: "x" }, {}, { x: { text: "text" } }), /no PEM block/);
  assert.throws(() => settings({}, { PGSSLCERT: "one.crt" }, files("one.crt")), /belong together/);
}

const concat = (parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

/** An element of DER. */
function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const content = concat(parts);
  const { length } = content;
  const head = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return concat([Uint8Array.of(tag, ...head), content]);
}
const SEQUENCE = 0x30;
const pemOf = (name: string, bytes: Uint8Array) =>
  `-----BEGIN ${name}-----\n${bytes.toBase64().replaceAll(/.{64}/g, "$&\n")}\n-----END ${name}-----\n`;

/** What {@linkcode certificateProblem} looks at of a certificate: nobody has signed it. */
function unsigned(
  publicKey: Uint8Array,
  issuerBytes = 10,
  outer = SEQUENCE,
  inner = SEQUENCE,
  version = 0xa0,
) {
  const [serial, any] = [der(2, Uint8Array.of(5)), der(SEQUENCE)];
  const parts = [
    der(version, der(2, Uint8Array.of(2))),
    serial,
    any,
    der(SEQUENCE, new Uint8Array(issuerBytes)),
    any,
    any,
  ];
  return der(outer, der(inner, ...parts, publicKey), any, der(3, new Uint8Array(9)));
}

Deno.test("A certificate and a key belong together by their public key, however long what is before it", () => {
  const [own, other] = [0, 1].map(() => generateKeyPairSync("ec", { namedCurve: "P-256" }));
  const keyPem = own.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const publicKey = new Uint8Array(own.publicKey.export({ type: "spki", format: "der" }));
  const problem = (certificate: Uint8Array, key = keyPem) =>
    certificateProblem(pemOf("CERTIFICATE", certificate), key);
  for (
    const bytes of [0, 1, 9, 10, 11, 12, 13, 100, 127, 128, 129, 135, 136, 137, 138, 255, 256, 300, 65_000]
  ) {
    assert.equal(problem(unsigned(publicKey, bytes)), undefined, `${bytes}`);
  }
  const otherKey = new Uint8Array(other.publicKey.export({ type: "spki", format: "der" }));
  assert.match(problem(unsigned(otherKey))!, /the key is not that of the certificate/);
  assert.match(problem(unsigned(publicKey, 10, 0x31))!, /certificate cannot be read/);
  assert.match(problem(unsigned(publicKey, 10, SEQUENCE, 0x31))!, /certificate cannot be read/);
  assert.match(problem(unsigned(publicKey, 10, SEQUENCE, SEQUENCE, 2))!, /version 1/);
  const whole = unsigned(publicKey);
  for (const length of [0, 1, 2, 30, whole.length - 1]) {
    assert.match(problem(whole.subarray(0, length))!, /certificate cannot be read/, `${length}`);
  }
  assert.match(certificateProblem("no PEM", keyPem)!, /certificate cannot be read/);
  const parameters = pemOf("EC PARAMETERS", Uint8Array.of(6, 1, 1));
  assert.equal(problem(whole, parameters + keyPem), undefined);
  for (const bad of ["", "no key", pemOf("PRIVATE KEY", Uint8Array.of(1, 2, 3))]) {
    assert.match(problem(whole, bad)!, /the key cannot be read/);
  }
  assert.match(problem(whole, pemOf("ENCRYPTED PRIVATE KEY", publicKey))!, /has a password/);
});

Deno.test("Whoever names an authority and only requires encryption has it checked, as with libpq", () => {
  const ca = { ca: { text: "-----BEGIN CERTIFICATE-----\n" } };
  assert.equal(settings({ sslmode: "require" }).encryption().mode, "require");
  assert.equal(settings({ sslmode: "require", ca_file: "ca" }, {}, ca).encryption().mode, "verify-ca");
  assert.equal(
    settings({}, { PGSSLMODE: "require", PGSSLROOTCERT: "ca" }, ca).encryption().mode,
    "verify-ca",
  );
  assert.equal(settings({ sslmode: "verify-full", ca_file: "system" }).encryption().authorities, null);
});

Deno.test("Keys of series are made of their content alone, and never change", () => {
  const metric = metricOf("power", "f64", { base: "W", prefix: "milli" });
  const attributes = [["b", 1n], ["a", "x"], ["relay_client", "node"]] as const;
  const one = seriesKey(series(metric, attributes));
  // These are in databases.
  assert.equal(one, "ff9d84817747a97cb374bedb0571aa9e");
  assert.equal(seriesKey(series({ ...metric, description: "other" }, attributes.toReversed())), one);
  const others = [
    series(metricOf("power", "u64", { base: "W", prefix: "milli" }), attributes),
    series(metricOf("power", "f64", { base: "W", prefix: "" }), attributes),
    series(metric, attributes.slice(1)),
    series(metric, [["b", 1], ...attributes.slice(1)]),
    series(metric, [["b", "1"], ...attributes.slice(1)]),
    series(metric, [["b", [1n]], ...attributes.slice(1)]),
    series(metric, [["b", true], ...attributes.slice(1)]),
    series(metric, [["x", 0]]),
    series(metric, [["x", -0]]),
    series(metric, [["x", NaN]]),
    series(metric, [["x", "\0"]]),
    series(metric, [["x", "␀"]]),
  ].map(seriesKey);
  assert.equal(new Set([one, ...others]).size, others.length + 1);
  // Of two with one name, the order counts.
  const twice = [["b", 2n], ["a", 1n], ["b", 1n], ["a", 3n], ["a", 2n]] as const;
  assert.equal(seriesKey(series(metric, twice)), "119b9d1f9a184f8e42cb6e0a1a31f160");
  assert.notEqual(clientKey({ name: "ab", instance: "c" }), clientKey({ name: "b", instance: "ca" }));
});

Deno.test("Attributes are JSON that says their types", () => {
  const json = attributesJson([
    ["whole", 3],
    ["part", 0.5],
    ["large", 1e21],
    ["nan", NaN],
    ["infinite", -Infinity],
    ["u64", 2n ** 64n - 1n],
    ["yes", true],
    ["list", [1n, 2n]],
    ["__proto__", 'quo"te\n'],
    ["nul\0", "\0"],
    ["half", "\ud83d"],
  ]);
  assert.equal(
    json,
    '{"whole":3.0,"part":0.5,"large":1e+21,"nan":"NaN","infinite":"-Infinity","u64":18446744073709551615,' +
      '"yes":true,"list":[1,2],"__proto__":"quo\\"te\\n","nul␀":"␀","half":"\ufffd"}',
  );
  assert.equal(storable("a\0b\ud800"), "a␀b\ufffd");
});

Deno.test("Attributes have the client in a column of its own, if it is a text", () => {
  const others = [["a", "x"], ["b", 1n]] as const;
  assert.deepEqual(clientAndOthers(others), { client: "", others });
  for (const at of [0, 1, 2]) {
    const all = others.toSpliced(at, 0, ["relay_client", "node"] as never);
    assert.deepEqual(clientAndOthers(all), { client: "node", others });
  }
  const numbered = [["relay_client", 5n], ["a", "x"]] as const;
  assert.deepEqual(clientAndOthers(numbered), { client: "", others: numbered });
});

Deno.test("Partitions are called by their day", () => {
  assert.equal(partitionName(0), "points_19700101");
  assert.equal(partitionName(20_780), "points_20261123");
  assert.equal(dayOf("points_20261123"), 20_780);
  for (const name of ["points_default", "points_2026112", "points_20261399", "points_20261123_x"]) {
    assert.equal(dayOf(name), undefined, name);
  }
});

Deno.test("An error is judged by its code", () => {
  const error = (code: string, constraint?: string) =>
    Object.assign(new Error("text"), { code, severity: "ERROR", constraint });
  for (const code of ["22003", "22P05", "23505", "54000", "P0001"]) {
    assert.equal(judge(error(code)), "refused", code);
  }
  assert.equal(judge(error("23514", "owners_check")), "refused");
  assert.equal(judge(error("23514")), "schema", "there is no partition for the row");
  assert.equal(judge(error("23503", "owners_key")), "refused");
  assert.equal(judge(error("23503", "series_metric_id_fkey")), "schema");
  for (const code of ["42P01", "42703", "3F000", "22P03"]) assert.equal(judge(error(code)), "schema", code);
  for (
    const code of ["08006", "25006", "28P01", "40P01", "42501", "53100", "53300", "55P03", "57014", "57P01"]
  ) {
    assert.equal(judge(error(code)), "later", code);
  }
  const detailed = Object.assign(error("23505"), { detail: "Key (id)=(1) is there." });
  const texts = [error("22003"), detailed, new Error("no server"), { message: "" }].map(describe);
  assert.deepEqual(texts, [
    ...["text (SQLSTATE 22003)", "text: Key (id)=(1) is there. (SQLSTATE 23505)"],
    ...["no server", "[object Object]"],
  ]);
  assert.equal(judge(Object.assign(new Error("socket"), { code: "EPIPE" })), "later");
  assert.equal(judge(Object.assign(new Error("made up"), { code: "23505" })), "later");
});

Deno.test("several hosts have one port, or one each; a time limit that is none is the usual one", () => {
  const hosts = (host: string, PGPORT: string) =>
    settings({ host }, { PGPORT }).hosts.map(({ host, port }) => `${host}:${port}`);
  assert.deepEqual(hosts("a,b", "1,2"), ["a:1", "b:2"]);
  assert.deepEqual(hosts("a,b", "7"), ["a:7", "b:7"]);
  assert.deepEqual(hosts("a,b,c", "1,,3"), ["a:1", "b:5432", "c:3"]);
  for (
    const [seconds, ms] of [["3", 3000], ["0.001", 1], ["0", 10_000], ["-1", 10_000], ["", 10_000]] as const
  ) {
    assert.equal(settings({ host: "a" }, { PGCONNECT_TIMEOUT: seconds }).connectTimeoutMs, ms, seconds);
  }
});
