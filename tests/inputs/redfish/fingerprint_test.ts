import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { PassThrough } from "node:stream";
import { messageOf } from "../../../lib/base/errors.ts";
import { RedfishSource } from "../../../lib/inputs/redfish/source.ts";
import { HttpReader } from "../../../lib/inputs/redfish/http_reader.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { HttpPeer } from "../../kit/http.ts";
import { measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { needs, openssl } from "../../kit/needs.ts";
import { shell } from "../../kit/process.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";

const PAGES: Record<string, unknown> = {
  "/redfish/v1/Chassis": { Members: [{ "@odata.id": "/redfish/v1/Chassis/1" }] },
  "/redfish/v1/Chassis/1": { Power: { "@odata.id": "/redfish/v1/Chassis/1/Power" } },
  "/redfish/v1/Chassis/1/Power": { PowerControl: [{ Name: "System", PowerConsumedWatts: 220 }] },
};
const LOGIN = `Basic ${btoa("reader:s3cret")}`;

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Signs its own certificate, for another name than the one that is asked for. @param key One that is there already. */
async function selfSigned(dir: TempDir, name: string, { key = "" } = {}): Promise<Pair> {
  const made = { cert: dir.file(`${name}.pem`), key: key || dir.file(`${name}.key`) };
  const keys = key === ""
    ? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", made.key]
    : ["-key", key];
  const extension = ["-addext", "basicConstraints=critical,CA:FALSE"];
  await shell(
    "openssl",
    "req",
    "-x509",
    ...keys,
    "-days",
    "2",
    "-subj",
    "/CN=bmc",
    ...extension,
    "-out",
    made.cert,
  );
  return made;
}

const textsOf = ({ cert, key }: Pair) => ({
  cert: Deno.readTextFileSync(cert),
  key: Deno.readTextFileSync(key),
});

const fingerprintOf = ({ cert }: Pair) =>
  `sha256:${new X509Certificate(Deno.readTextFileSync(cert)).fingerprint256}`;

/** The key of `other`, in a file that claims to belong to the certificate of `own`: openssl believes it. */
async function claimedKey(dir: TempDir, own: Pair, other: Pair): Promise<string> {
  const der = async ({ key }: Pair) => {
    const path = dir.file("key.der");
    await shell("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key, "-outform", "DER", "-out", path);
    return Deno.readFileSync(path);
  };
  // PKCS 8 of a key of P-256: the secret number takes 32 bytes, and ends 38 bytes before the public point does.
  const [claimed, secret] = [await der(own), await der(other)];
  assert.equal(claimed.length, 138);
  claimed.set(secret.subarray(36, 68), 36);
  const path = dir.file("claimed.key");
  Deno.writeTextFileSync(
    path,
    `-----BEGIN PRIVATE KEY-----\n${claimed.toBase64()}\n-----END PRIVATE KEY-----\n`,
  );
  return path;
}

/** A controller with that certificate. */
function controller(pair: Pair, port = 0): HttpPeer {
  return new HttpPeer(
    ({ path, headers }) =>
      headers.get("authorization") === LOGIN && path in PAGES
        ? Response.json(PAGES[path])
        : new Response(null, { status: 401 }),
    port,
    textsOf(pair),
  );
}

/** What asks the controller at this port. */
function asking(dir: TempDir, port: number, fingerprint: string) {
  const password_file = dir.file("password");
  Deno.writeTextFileSync(password_file, "s3cret\n");
  const clock = new FakeClock();
  const lines: string[] = [];
  const target = { url: `https://127.0.0.1:${port}`, username: "reader", password_file, ca: "", fingerprint };
  const source = new RedfishSource(target, 60_000, measuringOf({}, lines, clock));
  return {
    log: () => lines.join(""),
    async poll() {
      clock.spend(60_000);
      await source.gather(false);
      const batch = pollOnce(source);
      const points = rows(batch);
      batch.release();
      return points;
    },
    [Symbol.dispose]: () => source.close(),
  };
}

Deno.test({
  name: "a self-signed controller with the fingerprint is asked, whatever name its certificate has",
  ...needs(openssl),
  async fn() {
    await using dir = new TempDir();
    const own = await selfSigned(dir, "own");
    await using server = controller(own);
    for (
      const fingerprint of [
        fingerprintOf(own),
        fingerprintOf(own).replaceAll(/(?<!sha256):/g, "").toLowerCase(),
      ]
    ) {
      using a = asking(dir, server.port, fingerprint);
      const point = `redfish_power{name=System} chassis:127.0.0.1:${server.port}/1 local_machine 220`;
      assert.deepEqual(await a.poll(), [point], a.log());
      assert.deepEqual(await a.poll(), [point]);
    }
  },
});

Deno.test({
  name: "another certificate gets not one byte of a request, and the log names its fingerprint",
  ...needs(openssl),
  async fn() {
    await using dir = new TempDir();
    const [own, other] = [await selfSigned(dir, "own"), await selfSigned(dir, "other")];
    await using server = controller(other);
    using a = asking(dir, server.port, fingerprintOf(own));
    assert.deepEqual(await a.poll(), []);
    assert.equal(server.requests.length, 0);
    assert.match(a.log(), /the server shows another certificate: its fingerprint is sha256:[0-9a-f]{64}/);
  },
});

Deno.test({
  name: "whoever shows a copy of the certificate without its key gets not one byte of a request",
  ...needs(openssl),
  async fn() {
    await using dir = new TempDir();
    const [own, other] = [await selfSigned(dir, "own"), await selfSigned(dir, "other")];
    const key = await claimedKey(dir, own, other);
    for (const version of ["-tls1_2", "-tls1_3"]) {
      await using server = new OpensslServer(["-cert", own.cert, "-key", key, version]);
      using a = asking(dir, await server.port, fingerprintOf(own));
      assert.deepEqual(await a.poll(), []);
      assert.match(a.log(), /Cannot read a management controller/);
      const received = await server.stop();
      assert.ok(!/GET|authorization/i.test(received), received);
    }
    // The same server with the right key does get it: so it would have been seen.
    await using server = new OpensslServer(["-cert", own.cert, "-key", own.key]);
    using a = asking(dir, await server.port, fingerprintOf(own));
    const polling = a.poll();
    await until(() => /GET \/redfish[\s\S]*authorization/i.test(server.received));
    await server.stop();
    assert.deepEqual(await polling, []);
  },
});

Deno.test({
  name: "a server that changes its certificate between two connections gets not one byte of a request",
  ...needs(openssl),
  async fn() {
    await using dir = new TempDir();
    const own = await selfSigned(dir, "own");
    // It has the same key and name, so that TLS alone accepts it in the place of the first one.
    await using genuine = controller(own);
    await using changed = controller(await selfSigned(dir, "changed", { key: own.key }));
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const targets = [genuine, changed];
    let accepted = 0;
    const pipes: Promise<void>[] = [];
    const passing = (async () => {
      for await (const client of listener) {
        const server = await Deno.connect({ port: targets[Math.min(1, accepted++)].port });
        const both = [client.readable.pipeTo(server.writable), server.readable.pipeTo(client.writable)];
        // They may break.
        pipes.push(...both.map((pipe) => pipe.catch(() => {})));
      }
    })();
    using a = asking(dir, (listener.addr as Deno.NetAddr).port, fingerprintOf(own));
    assert.deepEqual(await a.poll(), []);
    assert.match(a.log(), /Cannot read a management controller/);
    assert.equal(accepted, 2);
    assert.equal(genuine.requests.length + changed.requests.length, 0);
    listener.close();
    await passing;
    await Promise.all(pipes);
  },
});

Deno.test("an answer is the same however it is cut, and one that is not valid or too long is an error", async () => {
  const answerTo = async (bytes: string, maxBytes: number, step = bytes.length) => {
    const socket = new PassThrough();
    const reader = new HttpReader(socket, new AbortController().signal);
    const answer = reader.answer(maxBytes);
    // It may fail before all is written.
    answer.catch(() => {});
    for (let at = 0; at < bytes.length; at += step) {
      socket.write(bytes.slice(at, at + step));
      await Promise.resolve();
    }
    socket.end();
    try {
      const { status, text, isLast } = await answer;
      return `${status} ${text}${isLast ? " last" : ""}`;
    } catch (error) {
      return messageOf(error);
    } finally {
      socket.destroy();
    }
  };
  const cases: [string, string][] = [
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close\r\n\r\n{}", "200 {} last"],
    [
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      "404  last",
    ],
    ["HTTP/1.0 200 OK\r\n\r\n{}", "200 {} last"],
    ["HTTP/1.1 200 OK\r\n\r\n{}", "200 {} last"],
    [
      "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
      "200 abc0123456789 last",
    ],
    ["SSH-2.0-OpenSSH\r\n\r\n", "the server does not answer in HTTP/1.1"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n{}", "the answer is longer than 100 bytes"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the server has closed the connection"],
    ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", "the server's answer is not valid HTTP"],
    [`HTTP/1.1 200 OK\r\n\r\n${"x".repeat(101)}`, "the answer is longer than 100 bytes"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFF\r\n", "the answer is longer than 100 bytes"],
    [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
      "the server's answer is not valid HTTP",
    ],
  ];
  for (const [bytes, expected] of cases) {
    assert.equal(await answerTo(bytes, 100), expected);
    assert.equal(await answerTo(bytes, 100, 1), expected);
  }
});

/** `openssl s_server`, which shows any certificate with any key, and prints what it receives. */
class OpensslServer implements AsyncDisposable {
  received = "";
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;

  constructor(args: string[]) {
    const child = this.#child = new Deno.Command("openssl", {
      args: ["s_server", "-accept", "127.0.0.1:0", ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#reading = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) this.received += text;
    })();
  }

  get port(): Promise<number> {
    return (async () => {
      await until(() => /^ACCEPT \S+:\d+$/m.test(this.received));
      return Number(/^ACCEPT \S+:(\d+)$/m.exec(this.received)![1]);
    })();
  }

  /** @returns all that it has printed */
  async stop(): Promise<string> {
    try {
      this.#child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.#child.stdin.abort().catch(() => {});
    await this.#child.status;
    await this.#reading;
    return this.received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
