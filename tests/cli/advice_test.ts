import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** What `config check` says about a file. */
async function check(text: string, env: Record<string, string> = {}, ...flags: string[]) {
  await using dir = new TempDir();
  const path = dir.file("c.toml");
  await Deno.writeTextFile(path, text);
  let said = "";
  const code = await main(["config", "check", "--config", path, ...flags], {
    stdout: () => true,
    stderr: (text) => void (said += text),
    env: (name) => env[name],
  });
  return { code, said: said.replaceAll(path, "c.toml") };
}

const CSV = "[plugins.csv]\n";
const server = (keys: string, tls = "") =>
  `[plugins.relay-server]\n${keys}\n[plugins.relay-server.tls]\n${tls}\n${CSV}`;
const client = (keys: string, tls = "") =>
  `[plugins.procfs]\n[plugins.relay-client]\n${keys}\n[plugins.relay-client.tls]\n${tls}\n`;
const CERT = 'cert = "/c.pem"\nkey = "/c.key"';

/** `undefined`: it is safe. */
const CASES: [name: string, text: string, problem: RegExp | undefined][] = [
  ["a server in clear text", server('allow = ["10.0.0.0/8"]'), /clear text.*set tls\.cert/],
  ["a server that takes everybody", server("", CERT), /accepts measurements from everyone/],
  ["a server in TLS, with tokens", server('tokens = "/none"', CERT), undefined],
  ["a server in TLS for one network", server('allow = ["10.0.0.0/8"]', CERT), undefined],
  ["a server on loopback", server('address = "127.0.0.1:1"'), undefined],
  ["a server on loopback of IPv6", server('address = "[::1]:1"'), undefined],
  [
    "a name that only looks like loopback",
    client('token = "${T}"\nrelay_server = "127.evil.test:1"'),
    /set tls\.ca or tls\.enable/,
  ],
  [
    "clear text from everywhere",
    server("", `${CERT}\nmode = "optional"`),
    /accepts clear text from everywhere/,
  ],
  ["optional that lets nobody in", server('tokens = "/none"', `${CERT}\nmode = "optional"`), /has no effect/],
  [
    "agents of a network",
    server('tokens = "/none"\nwithout_token = ["10.0.0.0/8"]', `${CERT}\nmode = "optional"`),
    undefined,
  ],
  [
    "everybody without a token",
    server('tokens = "/none"\nwithout_token = ["::/0"]', CERT),
    /::\/0 is every address/,
  ],
  ["a token in clear", client('token = "alumet_secret"', "enable = true"), /token: a secret in clear text/],
  ["a token by a variable", client('token = "${T}"', "enable = true"), undefined],
  ["a token in a file", client('token_file = "/none"', "enable = true"), undefined],
  [
    "a token without TLS",
    client('token_file = "/none"\nrelay_server = "relay.test:1"'),
    /clear text.*the token is not sent/,
  ],
  [
    "a client in clear text",
    client('relay_server = "10.0.0.1:50051"'),
    /sent to 10\.0\.0\.1:50051 in clear text/,
  ],
  [
    "a list with a server in clear text",
    client('relay_server = ["[::1]:1", "relay.test:1"]'),
    /sent to relay\.test:1 in clear text/,
  ],
  ["a client with any key of TLS", client('relay_server = "10.0.0.1:1"', 'ca = "/ca.pem"'), undefined],
  [
    "a client that has keys of TLS and does not use it",
    client('relay_server = "10.0.0.1:1"', 'enable = false\nca = "/ca.pem"'),
    /in clear text/,
  ],
  ["a token to this machine", client('token_file = "/none"\nrelay_server = "[::1]:1"'), undefined],
  [
    "a page for everybody",
    "[plugins.procfs]\n[plugins.prometheus-exporter]\n",
    /everybody can read the page/,
  ],
  ["a page for this machine", '[plugins.procfs]\n[plugins.prometheus-exporter]\nhost = "::1"\n', undefined],
  [
    "a password to a database in clear text",
    '[plugins.procfs]\n[plugins.influxdb]\nhost = "http://db.test:8086"\nbucket = "b"\ntoken = "${T}"\n',
    /write https/,
  ],
  [
    "a database in clear text on another host",
    '[plugins.procfs]\n[plugins.influxdb]\nhost = "http://db.test:8086"\ndatabase = "d"\napi = "v1"\n',
    /influxdb\.host: points are sent in clear text/,
  ],
  [
    "a collector in clear text, whatever authority is trusted",
    '[plugins.procfs]\n[plugins.opentelemetry]\ncollector_host = "http://c.test:4318"\nca_file = "/none"\n',
    /collector_host: points are sent in clear text.*write https/,
  ],
  [
    "a collector on this machine",
    '[plugins.procfs]\n[plugins.opentelemetry]\ncollector_host = "http://localhost:4318"\n',
    undefined,
  ],
  [
    "a password to a database in TLS",
    '[plugins.procfs]\n[plugins.influxdb]\nhost = "https://db.test:8086"\nbucket = "b"\ntoken = "${T}"\n',
    undefined,
  ],
  [
    "a header in clear",
    '[plugins.procfs]\n[plugins.opentelemetry]\nheaders = ["X-Key: alumet_secret"]\n',
    /headers\[0\]: a secret in clear text/,
  ],
  [
    "the tenant in a header",
    '[plugins.procfs]\n[plugins.opentelemetry]\nheaders = ["X-Scope-OrgID: physics"]\n',
    undefined,
  ],
  [
    "a URL without a password",
    '[plugins.procfs]\n[plugins.postgresql]\nurl = "postgresql://alumet@db.test/alumet?sslmode=verify-full"\n',
    undefined,
  ],
  [
    "a URL with a password",
    '[plugins.procfs]\n[plugins.postgresql]\nurl = "postgresql://alumet:alumet_secret@db.test/alumet"\n',
    /url: a secret in clear text/,
  ],
  [
    "a URL with a password among its parameters",
    '[plugins.procfs]\n[plugins.postgresql]\nurl = "postgresql://db.test/alumet?password=alumet_secret"\n',
    /url: a secret in clear text/,
  ],
];

for (const [name, text, problem] of CASES) {
  Deno.test(`config check --strict: ${name} is ${problem ? "an error" : "safe"}, and without --strict ${problem ? "a note" : "too"}`, async () => {
    const env = { T: "alumet_secret" };
    const strict = await check(text, env, "--strict");
    const lax = await check(text, env);
    assert.equal(lax.code, 0, lax.said);
    if (problem) {
      assert.equal(strict.code, 78, strict.said);
      assert.match(strict.said, problem);
      assert.match(strict.said, /^Not safe: (c\.toml:\d+|default)/);
      assert.match(lax.said, new RegExp(`^Note: .*${problem.source}`, "m"));
    } else {
      assert.equal(strict.code, 0, strict.said);
      assert.doesNotMatch(lax.said, /Note/);
    }
    assert.ok(!(strict.said + lax.said).includes("alumet_secret"), "the secret is not shown");
  });
}

Deno.test("config check --strict: a key or token that others can read, or tokens that they can change, is named", async () => {
  await using dir = new TempDir();
  const file = dir.file("token");
  await Deno.writeTextFile(file, "alumet_x\n");
  const text = client(`token_file = "${file}"`, "enable = true");
  for (
    const [mode, problem] of [[0o644, /can read/], [0o622, /can change/], [0o640, undefined], [
      0o600,
      undefined,
    ]] as const
  ) {
    await Deno.chmod(file, mode);
    const { code, said } = await check(text, {}, "--strict");
    assert.equal(code, problem ? 78 : 0, said);
    if (problem) assert.match(said, problem);
  }
  await Deno.chmod(file, 0o644);
  const keys = server(`tokens = "${file}"`, `cert = "${file}"\nkey = "${file}"`);
  const { said } = await check(keys, {}, "--strict");
  assert.equal(said.match(/every user of this machine can read/g)?.length, 2, said);
  const database =
    `[plugins.procfs]\n[plugins.postgresql]\npassword_file = "${file}"\nkey_file = "${file}"\n` +
    `cert_file = "${file}"\n`;
  const strict = await check(database, {}, "--strict");
  assert.equal(strict.said.match(/every user of this machine can read/g)?.length, 2, strict.said);
});

Deno.test("config check --strict: a secret on the command line is named by its flag", async () => {
  const { code, said } = await check(
    client("", "enable = true"),
    {},
    "--strict",
    "--config-override",
    "plugins.relay-client.token=alumet_secret",
  );
  assert.equal(code, 78);
  assert.match(said, /--config-override.*every user of this machine can see/);
  assert.ok(!said.includes("alumet_secret"));
});

Deno.test("config check --strict: clear text to another host is named by the flag that says so", async () => {
  const flags = ["--strict", "--relay-out", "10.0.0.1:50051"];
  const { code, said } = await check(client(""), {}, ...flags);
  assert.equal(code, 78, said);
  assert.match(said, /^Not safe: --relay-out: .*sent to 10\.0\.0\.1:50051 in clear text/m);
});

Deno.test("config check notes keys of transforms that inputs are too slow for", async () => {
  const procfs =
    '[plugins.procfs.kernel]\npoll_interval = "5s"\n[plugins.procfs.memory]\npoll_interval = "1m"\n';
  const windows = (interval: string) => `[plugins.aggregation]\ninterval = "${interval}"\nmetrics = ["x"]\n`;
  const { code, said } = await check(procfs + windows("10s") + CSV);
  assert.equal(code, 0);
  assert.match(
    said,
    /c\.toml:\d+: plugins\.aggregation\.interval: plugins\.procfs\.memory\.poll_interval is 1m, and only 10s suits/,
  );
  assert.doesNotMatch((await check(procfs + windows("1m") + CSV)).said, /suits/);
  const off = procfs.replace("1m", '1m"\nenabled = false\nmetrics = []#');
  assert.doesNotMatch((await check(off + windows("10s") + CSV)).said, /suits/);
  const attribution = `[plugins.rapl]\npoll_interval = "1s"\nflush_interval = "5s"\n` +
    `[plugins.energy-attribution]\nenergy_by = ["process"]\nretention_time = "10s"\n${CSV}`;
  assert.match(
    (await check(attribution)).said,
    /energy-attribution\.retention_time: plugins\.rapl\.poll_interval is 1s, and only 5s, flush_interval included, suits: points are forgotten/,
  );
});

Deno.test("config check refuses windows on servers that leave it to the database what is stored", async () => {
  const { code, said } = await check(
    '[plugins.relay-server]\nacknowledge = "stored"\n[plugins.aggregation]\nmetrics = ["x"]\n' + CSV,
  ).catch((error) => ({ code: error.exitCode, said: error.message }));
  assert.equal(code, 78);
  assert.match(said, /Cannot run aggregation with plugins\.relay-server\.acknowledge = "stored"/);
});
