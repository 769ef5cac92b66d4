/** Who is let in, and what can be read on the way: programs in two networks, with the command lines of printed units. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { Capture } from "../kit/capture.ts";
import { certificates } from "../kit/certificates.ts";
import { iproute2, linux, namespaces, needs, openssl, program, python3 } from "../kit/needs.ts";
import { Cable } from "../kit/netns.ts";
import { Program, type Ran, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { clientKeys, connected, grown, IN_MEMORY, POLL_FAST, readRows } from "./relay.ts";

const PORT = 50_051;
const requirements = needs(linux, namespaces, iproute2, openssl, python3, program("tcpdump", "tcpdump"));
const NAME = "host-of-this-test";
/** A metric that every client here sends. */
const METRIC = "kernel_cpu_time";

function keys(plugin: string, values: Record<string, string>): string[] {
  return Object.entries(values).flatMap((
    [key, value],
  ) => ["--config-override", `plugins.${plugin}.${key}=${value}`]);
}

const listOf = (...networks: string[]) => `[${networks.map((network) => `'${network}'`).join(", ")}]`;

/** The arguments of the command line in the unit that is printed for these flags. */
async function unitArguments(kind: "client" | "server", flags: readonly string[]): Promise<string[]> {
  // Within this process: a unit cannot start a program from everywhere that tests can.
  let [stdout, stderr] = ["", ""];
  const code = await main(["systemd-unit", kind, ...flags], {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
  });
  assert.equal(code, 0, stderr);
  const [, line] = /^ExecStart=(.*)$/m.exec(stdout)!;
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) =>
    (quoted?.replace(/\\(.)/g, "$1") ?? bare).replaceAll("%%", "%").replaceAll("$$", "$")
  );
  // Behind the program, which tests start in their own way.
  const first = words.findIndex((word) => word.startsWith("--"));
  assert.ok(first > 0, line);
  return words.slice(first);
}

class Site implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly stack = new AsyncDisposableStack();
  tokens = "";
  token = "";
  server!: Record<string, string>;
  client!: Record<string, string>;

  private constructor(readonly cable: Cable) {}

  static async open(): Promise<Site> {
    const site = new Site(await Cable.create());
    const { dir } = site;
    const { ca, issue } = await certificates(dir);
    const { cert, key } = await issue("relay.test");
    site.tokens = dir.file("tokens");
    const made = await runProgram(["token", "new", NAME, "--tokens-file", site.tokens]);
    site.token = made.stdout.trim();
    await Deno.writeTextFile(dir.file("token"), made.stdout, { mode: 0o600 });
    site.server = { "tls.cert": `'${cert}'`, "tls.key": `'${key}'`, tokens: `'${site.tokens}'` };
    site.client = {
      client_name: NAME,
      token_file: `'${dir.file("token")}'`,
      "tls.enable": "true",
      "tls.ca": `'${ca}'`,
      "tls.server_name": "relay.test",
    };
    return site;
  }

  async listen(address: string, values: Record<string, string>, file = "m.csv"): Promise<Program> {
    const args = await unitArguments("server", [
      ...["--relay-in", address, "--output-file", file],
      ...keys("relay-server", values),
    ]);
    const wrapper = this.cable.one.wrapper(this.dir.path);
    const server = this.stack.use(new Program(args, { wrapper }));
    await server.line(/"Running"/);
    return server;
  }

  async clientArguments(address: string, values: Record<string, string>): Promise<string[]> {
    const flags = ["--relay-out", address, ...POLL_FAST, ...clientKeys({ ...values })];
    return await unitArguments("client", flags);
  }

  /** Sends until something of it is in the file. */
  async send(address: string, values: Record<string, string>, file = "m.csv"): Promise<void> {
    const args = await this.clientArguments(address, values);
    await using client = new Program(args, { wrapper: this.cable.two.wrapper() });
    await connected(client);
    await grown(this.dir.file(file));
    assert.equal(await client.stop(), 0, client.log);
    assert.ok(!client.log.includes(this.token), "the token is not logged");
  }

  /** Sends a text to the server in clear. */
  readonly say = (text: string): Promise<string> =>
    this.cable.two.run("bash", "-c", `printf %s '${text}' > /dev/tcp/fd77::1/${PORT}`);

  /** A client that tries once. */
  async attempt(address: string, values: Record<string, string>): Promise<Ran> {
    const args = await this.clientArguments(address, { ...values, "retry.max_times": "0" });
    return await runProgram([...args, ...IN_MEMORY], { wrapper: this.cable.two.wrapper() });
  }

  /** The recorded session of a real agent, from the other network. */
  async realAgent(address: string): Promise<void> {
    const session = new URL("../testdata/sessions/real-agent/client-0.bin", import.meta.url).pathname;
    const script = "import socket, sys\n" +
      "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n" +
      "try:\n  s.sendall(open(sys.argv[3], 'rb').read()); s.shutdown(socket.SHUT_WR)\n" +
      "  while s.recv(4096): pass\nexcept OSError: pass\n";
    await this.cable.two.run("python3", "-c", script, address, String(PORT), session);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack[Symbol.asyncDispose]();
    await this.cable[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test({
  name:
    "server and client run from printed units in TLS with a token: nothing on the wire is readable; a wrong token and a stranger are refused and told why",
  ...requirements,
  async fn() {
    await using site = await Site.open();
    const server = await site.listen(`[::]:${PORT}`, { ...site.server, allow: listOf("fd77::2") });
    const recording = await Capture.start(site.cable.two, Cable.interface, site.dir.file("tls.pcap"));
    await site.send(`[fd77::1]:${PORT}`, site.client);
    const seen = await recording.stop(site.say);
    // The name that TLS asks for is in its first message: the connection is in the recording.
    assert.ok(seen.includes("relay.test") && seen.length > 5000, "something was sent");
    for (const secret of [NAME, METRIC, site.token, site.token.slice(10, 30)]) {
      assert.ok(!seen.includes(secret), `${secret} can be read`);
    }

    const wrong = site.dir.file("wrong");
    await Deno.writeTextFile(wrong, `${site.token.slice(0, -3)}AAA\n`);
    const refused = await site.attempt(`[fd77::1]:${PORT}`, { ...site.client, token_file: `'${wrong}'` });
    assert.equal(refused.code, 69);
    assert.match(
      refused.stderr,
      new RegExp(`refuses this client: its token is not one of a client called ${NAME}`),
    );
    const other = await site.attempt(`[fd77::1]:${PORT}`, { ...site.client, client_name: "another" });
    assert.match(other.stderr, /its token is not one of a client called another/);
    const stranger = await site.attempt(`10.77.0.1:${PORT}`, site.client);
    assert.equal(stranger.code, 69);
    assert.match(stranger.stderr, /refuses this client: its address is not allowed/);
    await server.line(/Refusing a client.*10\.77\.0\.2.*not allowed/);
    await site.realAgent("fd77::1");
    await server.line(/Refusing a client.*only accepts TLS connections/);
    assert.equal(await server.stop(), 0, server.log);
    assert.ok(!server.log.includes(site.token.slice(10)), "no token is logged");
    const rows = await readRows(site.dir.file("m.csv"));
    assert.deepEqual([...new Set(rows.map(({ relay_client }) => relay_client))], [NAME]);
  },
});

Deno.test({
  name: "the search on the wire finds what is not encrypted",
  ...requirements,
  async fn() {
    await using site = await Site.open();
    await site.listen(`[::]:${PORT}`, {});
    const recording = await Capture.start(site.cable.two, Cable.interface, site.dir.file("plain.pcap"));
    await site.send(`10.77.0.1:${PORT}`, { client_name: NAME });
    // A client does not send its token in clear text, so somebody else does.
    const { token_file } = site.client;
    const kept = await site.attempt(`10.77.0.1:${PORT}`, { client_name: NAME, token_file });
    assert.match(kept.stderr, /the token is not sent to .* in clear text/);
    await site.say(site.token);
    const seen = await recording.stop(site.say);
    for (const secret of [NAME, METRIC, site.token, site.token.slice(10, 30)]) {
      assert.ok(seen.includes(secret), `${secret} cannot be found`);
    }
  },
});

Deno.test({
  name: "a real agent's session is accepted where the lists allow it, and nowhere else",
  ...requirements,
  async fn() {
    await using site = await Site.open();
    const optional = { ...site.server, "tls.mode": "optional" };
    const rows = async (file: string) => (await readRows(site.dir.file(file))).length;
    for (
      const [name, networks, taken] of [
        ["yes.csv", { without_token: listOf("10.77.0.0/24") }, true],
        ["no.csv", { without_token: listOf("10.78.0.0/24") }, false],
        ["denied.csv", { without_token: listOf("10.77.0.0/24"), deny: listOf("10.77.0.2") }, false],
        ["required.csv", { without_token: listOf("10.77.0.0/24"), "tls.mode": "required" }, false],
      ] as const
    ) {
      const server = await site.listen(`[::]:${PORT}`, { ...optional, ...networks }, name);
      await site.realAgent("10.77.0.1");
      if (!taken) await server.line(/Refusing a client/);
      // One with a token gets in all the same, unless its address is denied.
      if (!("deny" in networks)) await site.send(`[fd77::1]:${PORT}`, site.client, name);
      assert.equal(await server.stop(), 0, server.log);
      const hosts = new Set(
        name === "denied.csv" && !taken
          ? []
          : (await readRows(site.dir.file(name))).map((row) => row.relay_client),
      );
      assert.equal([...hosts].some((host) => host !== NAME), taken, name);
      if (taken) assert.ok(await rows(name) > 4712);
    }
  },
});

Deno.test({
  name: "a list with an interface admits clients that come over it",
  ...requirements,
  async fn() {
    await using site = await Site.open();
    const address = `[fe80::1%${Cable.interface}]:${PORT}`;
    const { token_file: _, ...client } = site.client;
    const { tokens: __, ...tls } = site.server;
    const open = await site.listen(address, { ...tls, allow: listOf(`fe80::/10%${Cable.interface}`) });
    await site.send(address, client);
    assert.equal(await open.stop(), 0, open.log);
    const other = await site.listen(address, { ...tls, allow: listOf("fe80::/10%lo") }, "other.csv");
    const { stderr } = await site.attempt(address, client);
    assert.match(stderr, /refuses this client: its address is not allowed/);
    assert.equal(await other.stop(), 0, other.log);
  },
});
