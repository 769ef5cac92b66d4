import assert from "node:assert/strict";
import { blocks, namedFiles } from "../kit/documents.ts";
import { linux, needs, openssl } from "../kit/needs.ts";
import { Peer } from "../kit/peer.ts";
import { freePort } from "../kit/ports.ts";
import { PROGRAM, Program, runProgram, shell } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { COUNTER, countingFrame, greeting } from "../kit/wire.ts";

const TEXT = Deno.readTextFileSync(new URL("../../docs/security.md", import.meta.url));
const files = namedFiles(TEXT);

/** What the document says, with its directories and its server within the test. */
async function followed(dir: TempDir, port: number): Promise<(name: string) => Promise<string>> {
  const here = (text: string) =>
    text.replaceAll("/etc/alumet-relay/", `${dir.path}/`)
      .replace('address = "[::]:50051"', `address = "127.0.0.1:${port}"`)
      .replace('relay_server = "relay.example.org:50051"', `relay_server = "127.0.0.1:${port}"`)
      .replace('output_path = "', `output_path = "${dir.path}/`)
      .replace("10.0.0.0/8", "127.0.0.0/8");
  const write = async (name: string) => {
    const path = dir.file(name);
    await Deno.writeTextFile(path, here(files.get(name)!));
    return path;
  };
  await write("server.toml");
  await write("client.toml");
  const program = PROGRAM.map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(dir.file("alumet-relay"), `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 });
  for (const block of blocks(TEXT, "sh")) {
    await shell("sh", "-ec", `cd '${dir.path}'; PATH=.:$PATH\n${here(block)}`);
  }
  await Deno.rename(dir.file("node-1.token"), dir.file("token"));
  return write;
}

Deno.test({
  name: "what docs/security.md tells to type gives a server and a client that speak TLS, with a token",
  ...needs(linux, openssl),
  async fn() {
    await using dir = new TempDir();
    const port = freePort();
    await followed(dir, port);
    await using server = new Program(["--config", dir.file("server.toml")]);
    await server.line(/"Running"/);
    await using client = new Program([
      ...["--config", dir.file("client.toml")],
      ...["--config-override", "plugins.relay-client.tls.server_name=relay.example.org"],
      ...["--config-override", "plugins.procfs.kernel.poll_interval=100ms"],
      ...["--config-override", "plugins.relay-client.buffer_max_length=0"],
    ]);
    await client.line(/Connected to the relay server/);
    // Neither an agent without TLS nor one without a token gets in.
    await using real = await Peer.connect(port);
    await real.send(greeting("real"));
    assert.equal((await real.answer()).accept, false);
    assert.equal(await client.stop(), 0, client.log);
    assert.equal(await server.stop(), 0, server.log);
    const text = await Deno.readTextFile(dir.file("measurements.csv"));
    assert.ok(text.includes("node-1") && !text.includes("real"), text.slice(0, 500));
    assert.ok(!server.log.includes("alumet_") && !client.log.includes("alumet_"), "no token is logged");
  },
});

Deno.test({
  name: "on the way of docs/security.md both kinds of clients are taken, strangers are not",
  ...needs(linux, openssl),
  async fn() {
    await using dir = new TempDir();
    const port = freePort();
    const write = await followed(dir, port);
    await using server = new Program(["--config", await write("migration.toml")]);
    await server.line(/"Running"/);
    await using real = await Peer.client(port, "real", [COUNTER]);
    await real.send(countingFrame("real", 0, 2));
    await using client = new Program([
      ...["--config", dir.file("client.toml")],
      ...["--config-override", "plugins.relay-client.tls.server_name=relay.example.org"],
      ...["--config-override", "plugins.relay-client.buffer_max_length=0"],
    ]);
    await client.line(/Connected to the relay server/);
    assert.equal(await client.stop(), 0, client.log);
    const text = () => Deno.readTextFileSync(dir.file("measurements.csv"));
    await until(() => text().includes("real") && text().includes("node-1"));
  },
});

Deno.test("every limit of the relay server is in docs/security.md, with its default", async () => {
  const { relayServer } = await import("../../lib/inputs/relay_server.ts");
  const { limits } = relayServer.config.keys!;
  for (const [name, key] of Object.entries(limits.keys!)) {
    const [, shown] = new RegExp(`^\\| \`${name}\` *\\| (\\S+) *\\|`, "m").exec(TEXT) ?? [];
    const written = key.literal(key.defaultValue()).replaceAll('"', "");
    assert.equal(shown?.replaceAll(",", ""), /^0/.test(written) ? "none" : written, name);
  }
});

Deno.test("every configuration in docs/security.md is right", async () => {
  assert.deepEqual([...files.keys()].sort(), ["client.toml", "migration.toml", "server.toml"]);
  await using dir = new TempDir();
  for (const [name, text] of files) {
    await Deno.writeTextFile(dir.file(name), text);
    const { code, stderr } = await runProgram(["config", "check", "--config", dir.file(name)]);
    assert.equal(code, 0, stderr);
  }
});
