/** Hostile sessions against a whole server, and whether it minded. */
import { Chance } from "../../tests/kit/bytes.ts";
import { until } from "../../tests/kit/waiting.ts";
import { GOOD, GoodClients } from "./good_clients.ts";
import { type Script, Stock } from "./hostile.ts";
import { Target } from "./target.ts";

/** Connections at once. */
const AT_ONCE = 24;
/** Addresses of loopback that are connected to: ports are used again only after a minute. */
const ADDRESSES = 60;
/** The longest that the server's end of a connection is waited for, in ms. */
const END_MS = 5000;
/** In this time a server has mostly looked at a message, in ms. */
const SEEN_MS = 3;

export interface FuzzOptions {
  /** Changed messages. */
  readonly cases: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface FuzzResult {
  readonly cases: number;
  readonly connections: number;
  readonly seconds: number;
  /** Points of each of the well-behaved clients. */
  readonly points: number;
  readonly peakBytes: number;
  readonly findings: readonly string[];
}

/** The first bytes of a TLS client. */
async function recordClientHello(): Promise<Uint8Array<ArrayBuffer>> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = Deno.connectTls({ hostname: "localhost", port: (listener.addr as Deno.NetAddr).port })
    .then(async (conn) => {
      try {
        await conn.handshake();
      } catch { /* nobody answers */ }
      conn.close();
    }, () => {});
  using conn = await listener.accept();
  const buffer = new Uint8Array(4096);
  const count = (await conn.read(buffer)) ?? 0;
  conn.close();
  await client.catch(() => {});
  return buffer.slice(0, count);
}

async function orAfter(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([promise, new Promise((resolve) => timer = setTimeout(resolve, ms))]);
  clearTimeout(timer);
}

/** @returns the changed messages that were sent before the server closed. */
async function play({ tls, parts, end }: Script, hostname: string, port: number): Promise<number> {
  let done = 0;
  let conn: Deno.Conn | undefined;
  try {
    const plain = await Deno.connect({ hostname, port });
    conn = plain;
    if (tls) {
      conn = await Deno.startTls(plain, {
        hostname: "relay.test",
        unsafelyDisableHostnameVerification: true,
      });
    }
    let closed = false;
    const scratch = new Uint8Array(1024);
    const open = conn;
    const reading = (async () => {
      try {
        while (await open.read(scratch) !== null);
      } catch { /* it was reset */ }
      closed = true;
    })();
    try {
      for (const { bytes, mutated } of parts) {
        if (closed) break;
        for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
        if (!mutated) continue;
        done++;
        // A server that does not like it closes: what comes behind it would be no case.
        await orAfter(SEEN_MS, reading);
      }
      if (end === "wait") await conn.closeWrite();
    } catch { /* the server has closed */ }
    if (end === "wait") {
      await orAfter(END_MS, reading);
    }
    close(conn);
    await reading;
  } catch {
    // The handshake of TLS, with a certificate of nobody.
    done = Math.max(done, 1);
  } finally {
    if (conn) close(conn);
  }
  return done;
}

function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch { /* closed before */ }
}

export async function fuzz({ cases, seed, say }: FuzzOptions): Promise<FuzzResult> {
  const stock = new Stock(await recordClientHello());
  const seeds = new Chance(seed);
  await using target = await Target.start();
  await using good = await GoodClients.start(target.port);
  await until(() => [...target.arrived.values()].every(({ size }) => size > 0));
  const before = target.sample()!;
  const began = performance.now();
  const findings: string[] = [];
  let [done, connections, said] = [0, 0, began];
  let ended = false;
  void target.child.status.then(() => ended = true);
  const worker = async () => {
    while (done < cases && !ended) {
      const script = stock.script(seeds.int(2 ** 31));
      connections++;
      const played = await play(script, `127.0.0.${1 + connections % ADDRESSES}`, target.port);
      done += played;
      if (performance.now() - said > 10_000) {
        said = performance.now();
        const { rssBytes, files } = target.samples.at(-1)!;
        say(`${done} cases, ${Math.round(rssBytes / 2 ** 20)} MiB, ${files} files`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const seconds = (performance.now() - began) / 1000;
  if (ended) findings.push("the server has ended");
  else {
    await good.finish();
    const all = () => [...target.arrived.values()].every(({ size }) => size >= good.sent);
    await until(all, 20_000, "all good points to arrive").catch(() => {});
    // Those whose end was not waited for are seen by the server within a moment.
    await until(() => target.sample()!.files <= before.files + 4, 15_000).catch(() => {
      findings.push(
        `${before.files} files were open at the start, ${target.samples.at(-1)!.files} are at the end`,
      );
    });
  }
  const code = await target.stop();
  if (code !== 0) findings.push(`the server ended with ${code}`);
  for (const metric of GOOD) {
    const values = target.arrived.get(metric)!;
    const missing = good.sent - values.size;
    const twice = [...values.values()].filter((count) => count > 1).length;
    if (missing !== 0) findings.push(`${missing} points of ${metric} are missing`);
    if (twice > 0) findings.push(`${twice} points of ${metric} are there twice`);
  }
  if (good.failure) findings.push(`a good client failed: ${good.failure}`);
  if (good.connections !== 1) findings.push(`our own client needed ${good.connections} connections`);
  findings.push(...target.findings);
  const rss = target.samples.map(({ rssBytes }) => rssBytes);
  // What is in use when garbage has just been collected; how high it piles up before depends on the machine.
  const least = (from: number, to: number) =>
    Math.min(...rss.slice(Math.floor(rss.length * from), Math.ceil(rss.length * to)));
  // What is learnt once (metrics, clients) has been learnt by then.
  const [middle, last] = [least(1 / 3, 2 / 3), least(2 / 3, 1)];
  if (last > middle * 1.25 + 32 * 2 ** 20) {
    findings.push(`memory grows: ${Math.round(middle / 2 ** 20)}, then ${Math.round(last / 2 ** 20)} MiB`);
  }
  for (const [message, count] of [...target.messages].sort((a, b) => b[1] - a[1]).slice(0, 12)) {
    say(`${String(count).padStart(8)} × ${message}`);
  }
  return { cases: done, connections, seconds, points: good.sent, peakBytes: Math.max(...rss), findings };
}
