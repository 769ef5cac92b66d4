import assert from "node:assert/strict";
import type { RelayClientConfig } from "../../lib/client/config.ts";
import { certificatesProblem } from "../../lib/net/certified.ts";
import { descriptors } from "../../lib/net/descriptors.ts";
import type { Transport } from "../../lib/net/transport.ts";
import { certificates, onAuthority } from "../kit/certificates.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { LogLines } from "../kit/log_lines.ts";
import { Peer } from "../kit/peer.ts";
import { numbered } from "../kit/points.ts";
import { shell } from "../kit/process.ts";
import { replaceFile } from "../kit/temp_dir.ts";
import { TestServer } from "../kit/test_server.ts";
import { pause, until } from "../kit/waiting.ts";
import { COUNTER, countingFrame, greeting } from "../kit/wire.ts";
import { type CertificateFiles, TlsTerminator } from "../../lib/intake/tls.ts";

const upTo = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i);

function clientConfig(port: number, tls: Partial<RelayClientConfig["tls"]>) {
  const config = configOf(port, { retry: { max_times: 1 } });
  return { ...config, tls: { ...config.tls, enable: true, ...tls } };
}

/** What a server with these files is given; it closes them with itself. */
async function tlsOf(
  files: CertificateFiles,
  mode: "required" | "optional" = "required",
  checkMs?: number,
  logs = new LogLines(),
) {
  return { terminator: await TlsTerminator.open(files, logs.log, checkMs), mode };
}

onAuthority(
  "a client sends over TLS, and the certificate must match the server's name",
  async ({ ca, issue }) => {
    const files = await issue("relay.test");
    await using server = new TestServer({ tls: await tlsOf(files) });
    await using client = new TestClient(clientConfig(server.port, { ca, server_name: "relay.test" }));
    for (let n = 0; n < 50; n++) client.push(numbered(5000, n * 5000));
    await client.finish();
    assert.deepEqual(server.points.map(({ value }) => Number(value)), upTo(250_000));
    await using other = new TestClient(clientConfig(server.port, { ca, server_name: "other.test" }));
    await other.done;
    assert.match(other.failure!.message, /for another name.*server_name.*relay\.test/);
  },
);

onAuthority("any key of tls switches TLS on, and enable = false switches it off", async ({ ca, issue }) => {
  await using server = new TestServer({ tls: await tlsOf(await issue("relay.test")) });
  const keys = { ca, server_name: "relay.test" };
  await using client = new TestClient(clientConfig(server.port, { enable: undefined, ...keys }));
  client.push(numbered(5));
  await client.finish();
  assert.equal(server.points.length, 5);
  await using open = new TestClient(clientConfig(server.port, { enable: false, ...keys }));
  await open.done;
  assert.match(open.failure!.message, /this server only accepts TLS connections/);
});

onAuthority("a server that shows a certificate of a CA is told so in plain words", async ({ dir }) => {
  const { ca } = await certificates(dir, "itself");
  const files = { cert: ca, key: dir.file("itself.key") };
  await using server = new TestServer({ tls: await tlsOf(files) });
  await using client = new TestClient(clientConfig(server.port, { ca, server_name: "itself" }));
  await client.done;
  assert.match(
    client.failure!.message,
    /shows the certificate of a CA as its own .* needs one that a CA has signed/,
  );
});

onAuthority(
  "a key of another certificate, and an encrypted one, are named as such",
  async ({ issue, dir }) => {
    const [one, two] = [await issue("a"), await issue("b")];
    await assert.rejects(tlsOf({ cert: one.cert, key: two.key }), {
      message: `${two.key} is not the key of the certificate in ${one.cert}`,
    });
    const key = dir.file("encrypted.key");
    await shell("openssl", "pkcs8", "-topk8", "-in", one.key, "-out", key, "-passout", "pass:x");
    await assert.rejects(tlsOf({ cert: one.cert, key }), /is encrypted; decrypt it: openssl pkey/);
  },
);

onAuthority("an unknown CA and an expired certificate are named as such", async ({ ca, issue, dir }) => {
  const strangers = await certificates(dir, "other-ca");
  await using server = new TestServer({ tls: await tlsOf(await issue("relay.test")) });
  await using stranger = new TestClient(
    clientConfig(server.port, { ca: strangers.ca, server_name: "relay.test" }),
  );
  await stranger.done;
  assert.match(stranger.failure!.message, /signed by an unknown CA.*tls\.ca/);
  const old = await issue("relay.test", { days: -1 });
  await using late = new TestServer({ tls: await tlsOf(old) });
  await using client = new TestClient(clientConfig(late.port, { ca, server_name: "relay.test" }));
  await client.done;
  assert.match(client.failure!.message, /has expired/);
});

onAuthority(
  "required refuses clients without TLS and says why, optional accepts both on one port",
  async ({ ca, issue }) => {
    const files = await issue("relay.test");
    {
      await using server = new TestServer({ tls: await tlsOf(files) });
      await using plain = new TestClient(configOf(server.port, { retry: { max_times: 1 } }));
      plain.push(numbered(3));
      await plain.done;
      assert.match(plain.failure!.message, /refuses this client: this server only accepts TLS connections/);
      const real = await Peer.connect(server.port);
      await real.send(greeting("real"));
      assert.equal((await real.answer()).accept, false);
      await real[Symbol.asyncDispose]();
      assert.equal(server.points.length, 0);
      assert.equal(server.logs.matching(/WARN.*Refusing a client.*only accepts TLS/).length, 3);
    }
    await using server = new TestServer({ tls: await tlsOf(files, "optional") });
    await using plain = new TestClient(configOf(server.port));
    await using secure = new TestClient(clientConfig(server.port, { ca, server_name: "relay.test" }));
    await using real = await Peer.client(server.port, "real", [COUNTER]);
    plain.push(numbered(10));
    secure.push(numbered(10, 10));
    await real.send(countingFrame("real", 20, 10));
    await until(() => server.points.length === 30);
  },
);

onAuthority(
  "a server or a client without TLS learns that the other end uses it",
  async ({ ca }) => {
    await using server = new TestServer();
    await using client = new TestClient(clientConfig(server.port, { ca, server_name: "relay.test" }));
    await client.done;
    assert.match(client.failure!.message, /does not speak TLS/);
    assert.equal(server.logs.matching(/it speaks TLS, and this server has no certificate/).length, 2);
  },
);

onAuthority(
  "changed certificates are read again without losing a connection; invalid ones change nothing",
  async ({ ca, issue }) => {
    const files = await issue("one.test");
    const logs = new LogLines();
    await using server = new TestServer({ tls: await tlsOf(files, "required", 10, logs) });
    const connect = (server_name: string) => new TestClient(clientConfig(server.port, { ca, server_name }));
    await using first = connect("one.test");
    first.push(numbered(10));
    await until(() => server.points.length === 10);
    replaceFile(files.cert, "nonsense");
    await pause(20);
    await using second = connect("one.test");
    second.push(numbered(10, 10));
    await until(() => server.points.length === 20);
    assert.equal(logs.matching(/ERROR.*new certificate is unusable/).length, 1);
    await issue("two.test", { files });
    await pause(20);
    await using third = connect("two.test");
    third.push(numbered(10, 20));
    await until(() => server.points.length === 30);
    first.push(numbered(10, 30));
    await until(() => server.points.length === 40);
    assert.equal(first.client.stats.connections, 1);
  },
);

onAuthority(
  "a client that is gone when its handshake is just done leaves nothing open",
  async ({ ca, issue }) => {
    using terminator = await TlsTerminator.open(await issue("relay.test"), new LogLines().log);
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const used = () => descriptors()?.used ?? 0;
    const before = used();
    const [accepted, plain] = await Promise.all([
      listener.accept(),
      Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    ]);
    const client = await Deno.startTls(plain, {
      hostname: "relay.test",
      caCerts: [await Deno.readTextFile(ca)],
    });
    const shaken = client.handshake();
    const hello = new Uint8Array(64 * 1024);
    const count = await accepted.read(hello);
    let isDone = false;
    const conn: Transport = {
      async read(bytes) {
        if (isDone) throw new Error("reset");
        const count = await accepted.read(bytes);
        // An encrypted record, which ends the handshake; a change of cipher may come before it.
        isDone = bytes.subarray(0, count!).includes(0x17);
        return count;
      },
      write: (bytes) => accepted.write(bytes),
      closeWrite: () => accepted.closeWrite(),
      close: () => accepted.close(),
    };
    await assert.rejects(terminator.secure(conn, hello.slice(0, count!)), /ended in the handshake/);
    await shaken;
    client.close();
    await until(() => used() <= before);
  },
);

Deno.test("a server that closes a connection in the moment at which its handshake is done leaves nothing open", async () => {
  const handshake = Promise.withResolvers<Transport>();
  const secure = Promise.withResolvers<void>();
  const terminator = { secure: () => (secure.resolve(), handshake.promise), [Symbol.dispose]: () => {} };
  let isClosed = false;
  {
    await using server = new TestServer({
      tls: { terminator: terminator as unknown as TlsTerminator, mode: "required" },
    });
    await using peer = await Peer.connect(server.port);
    await peer.send(Uint8Array.of(0x16, 3, 1));
    await secure.promise;
    server.server.handOver();
    handshake.resolve({
      read: () => Promise.resolve(null),
      write: (bytes) => Promise.resolve(bytes.length),
      closeWrite: () => Promise.resolve(),
      close: () => void (isClosed = true),
    });
    await peer.closed();
  }
  assert.ok(isClosed);
});

onAuthority(
  "files that are not certificates are an error at the start that names them",
  async ({ issue, dir }) => {
    const [a, b] = [await issue("a.test"), await issue("b.test")];
    const { log } = new LogLines();
    await assert.rejects(TlsTerminator.open({ cert: a.cert, key: dir.file("none") }, log));
    await assert.rejects(TlsTerminator.open({ cert: a.cert, key: b.key }, log));
  },
);

onAuthority(
  "client_ca accepts clients with a certificate of that CA; if Deno does not enforce it, that is an error at the start",
  async ({ ca, issue, dir }) => {
    const server_name = "relay.test";
    const files = { ...await issue(server_name), client_ca: ca };
    const read = (path: string) => Deno.readTextFileSync(path);
    const problem = await certificatesProblem({ cert: read(files.cert), key: read(files.key), ca: read(ca) });
    if (problem !== undefined) {
      await assert.rejects(tlsOf(files), /this version of Deno does not enforce client certificates.*tokens/);
      return;
    }
    await using server = new TestServer({ tls: await tlsOf(files) });
    const own = await issue("client-1");
    await using client = new TestClient(clientConfig(server.port, { ca, server_name, ...own }));
    for (let n = 0; n < 20; n++) client.push(numbered(5000, n * 5000));
    await client.finish();
    assert.deepEqual(server.points.map(({ value }) => Number(value)), upTo(100_000));
    await using bare = new TestClient(clientConfig(server.port, { ca, server_name }));
    await bare.done;
    assert.match(bare.failure!.message, /wants a certificate of this client|closed the connection/);
    const strangers = await certificates(dir, "strangers");
    const foreign = await strangers.issue("client-1");
    await using stranger = new TestClient(clientConfig(server.port, { ca, server_name, ...foreign }));
    stranger.push(numbered(5, 900_000));
    await stranger.done;
    assert.equal(server.points.length, 100_000);
  },
  {
    // Where it is refused, node:tls keeps its listener.
    sanitizeResources: false,
    sanitizeOps: false,
  },
);
