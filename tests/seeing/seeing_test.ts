import assert from "node:assert/strict";
import { http } from "../../lib/http/config.ts";
import { adviceLines } from "../../lib/config/advice.ts";
import { LogRing } from "../../lib/base/log_ring.ts";
import { Access } from "../../lib/seeing/access.ts";
import { Seeing } from "../../lib/seeing.ts";
import { View } from "../../lib/seeing/view.ts";
import type { RunningAgent } from "../../lib/agent/settings.ts";
import { LogLines } from "../kit/log_lines.ts";
import { needs, program } from "../kit/needs.ts";
import { numbered } from "../kit/points.ts";
import { until } from "../kit/waiting.ts";
import { onAuthority } from "../kit/certificates.ts";
import { Site } from "./site.ts";

const promtool = program("promtool", "prometheus");
const facts = () => ({ version: "1.2.3", host: "server-1", log: new LogRing() });

async function checkMetrics(text: string): Promise<string> {
  const child = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { stdout, stderr } = await child.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("a running agent is healthy and ready, and its metrics count what happened", async () => {
  await using site = await Site.start();
  site.push(numbered(5));
  await until(() => site.agent.figures.pendingPoints === 0);
  assert.deepEqual([(await site.get("/healthz")).text, (await site.get("/readyz")).text], [
    "ok\n",
    "ready\n",
  ]);
  const { status, text, headers } = await site.get("/metrics");
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  for (
    const line of [
      'alumet_relay_build_info{version="1.2.3",deno="' + Deno.version.deno + '",role="local"} 1',
      "alumet_relay_ready 1",
      "alumet_relay_points_total 5",
      'alumet_relay_output_pending_points{output="store"} 0',
      'alumet_relay_output_rows_total{output="store"} 5',
      'alumet_relay_output_current_bytes{output="store"} 7',
      'alumet_relay_input_poll_seconds_total{input="source"} 1.5',
      "alumet_relay_received_points_total 5",
      "# TYPE alumet_relay_event_loop_delay_seconds histogram",
    ]
  ) assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  assert.equal(new Set(names).size, names.length, "each family is there once");
});

Deno.test("OpenMetrics has the same values, with units and an end", async () => {
  await using site = await Site.start();
  const { text, headers } = await site.get("/metrics", { accept: "application/openmetrics-text" });
  assert.match(headers.get("content-type")!, /^application\/openmetrics-text; version=1\.0\.0/);
  assert.match(text, /^# TYPE alumet_relay_points counter\nalumet_relay_points_total 0$/m);
  assert.match(text, /^# UNIT alumet_relay_resident_memory_bytes bytes$/m);
  assert.ok(text.endsWith("\n# EOF\n"));
});

Deno.test({
  name: "promtool finds nothing wrong with the metrics",
  ...needs(promtool),
  async fn() {
    await using site = await Site.start();
    site.push(numbered(3));
    assert.equal(await checkMetrics((await site.get("/metrics")).text), "");
  },
});

Deno.test("what waits for a stuck output is in the metrics", async () => {
  await using site = await Site.start();
  site.isStuck = true;
  site.push(numbered(3));
  await until(() => site.agent.figures.pendingPoints === 3);
  const { text } = await site.get("/metrics");
  assert.match(text, /^alumet_relay_output_pending_points\{output="store"\} 3$/m);
  const [, lag] = /^alumet_relay_output_lag_seconds\{output="store"\} (\S+)$/m.exec(text)!;
  assert.ok(Number(lag) > 0, lag);
  site.isStuck = false;
});

Deno.test("a process that starts or stops is alive, and not ready", async () => {
  const logs = new LogLines();
  const config = { ...http.defaultValue(), address: "127.0.0.1:0" };
  await using seeing = await Seeing.open(config, true, facts(), logs.log);
  const [, url] = /url=(\S+)\//.exec(logs.matching(/The page/)[0])!;
  const get = async (path: string) => {
    const response = await fetch(url + path);
    return [response.status, await response.text()];
  };
  assert.deepEqual(await get("/healthz"), [200, "ok\n"]);
  assert.deepEqual(await get("/readyz"), [503, "the process is starting\n"]);
  assert.match((await get("/metrics"))[1] as string, /^alumet_relay_ready 0$/m);
  await using site = await Site.start();
  seeing.running(site.agent);
  assert.deepEqual(await get("/readyz"), [200, "ready\n"]);
  seeing.stopping();
  assert.deepEqual(await get("/readyz"), [503, "the process is stopping\n"]);
});

Deno.test("a process whose journal is full or a part of which is stuck is not ready, and says which", () => {
  const view = new View(facts());
  const now = performance.now();
  view.agent = {
    figures: { journal: () => ({ isFull: true }) },
    stalls: () => [{ part: "csv", since: now - 60_000 }, { part: "sqlite", since: now + 60_000 }],
  } as unknown as RunningAgent;
  assert.deepEqual(view.problems, ["the journal is full, or its disk has no room", "csv is stuck"]);
});

Deno.test("if another program uses the default port, the process runs without a page and says so", async () => {
  let taken: Deno.Listener | undefined;
  try {
    taken = Deno.listen({ hostname: "127.0.0.1", port: 9092 });
  } catch { /* somebody else has it, which is as good */ }
  try {
    const logs = new LogLines();
    await using _ = await Seeing.open(http.defaultValue(), true, facts(), logs.log);
    assert.equal(logs.matching(/INFO .*There is no page: another program uses its port/).length, 1);
  } finally {
    taken?.close();
  }
});

Deno.test("an address of the configuration that is taken is an error", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`;
  await assert.rejects(
    Seeing.open({ ...http.defaultValue(), address }, true, facts(), new LogLines().log),
    {
      exitCode: 69,
      message: new RegExp(`Cannot listen on ${address} \\(http\\.address\\): another program`),
    },
  );
});

Deno.test("a client has a page only if it is told to", async () => {
  const config = { ...http.defaultValue(), address: "127.0.0.1:0" };
  const logs = new LogLines();
  {
    await using _ = await Seeing.open(config, false, facts(), logs.log);
    assert.deepEqual(logs.lines, []);
  }
  await using _ = await Seeing.open({ ...config, enable: true }, false, facts(), logs.log);
  assert.equal(logs.matching(/The page of this process/).length, 1);
});

const problems = (value: unknown) => {
  const found: string[] = [];
  const config = http.check(value, ["http"], ({ message }) => found.push(message));
  const source = () => ({ kind: "default" }) as const;
  return {
    found,
    advice: found.length > 0 ? [] : adviceLines({ general: { http: config }, plugins: [], source }),
  };
};

Deno.test("a page that others can reach needs a token or a list of networks", () => {
  assert.match(problems({ address: "0.0.0.0:9092" }).found.join(), /set token, token_file or allow/);
  assert.match(problems({ address: ":9092" }).found.join(), /set token, token_file or allow/);
  assert.deepEqual(problems({ address: "[::1]:9092" }).found, []);
  assert.deepEqual(problems({ address: "0.0.0.0:9092", token_file: "token" }).found, []);
  assert.match(problems({ address: "0.0.0.0:9092", allow: ["10.0.0.0/8"] }).advice.join(), /in clear text/);
});

const request = (headers: Record<string, string>) => ({
  method: "GET" as const,
  path: "/",
  query: "",
  headers: new Map(Object.entries(headers)),
});

Deno.test("with a token, only who has it may ask, by any name", () => {
  const access = new Access({ allow: [], token: "söcret", host: "server-1" });
  const status = (authorization: string) =>
    access.refusal(request({ host: "relay.example", authorization }), "192.0.2.1")?.status;
  const base64 = (text: string) => new TextEncoder().encode(text).toBase64();
  assert.equal(status("Bearer söcret"), undefined);
  assert.equal(status(`Basic ${base64("anybody:söcret")}`), undefined);
  const digest = `Digest ${base64("anybody:söcret")}`;
  for (const wrong of ["", "Bearer", "Bearer secret", `Basic ${base64("söcret:")}`, "Basic %", digest]) {
    assert.equal(status(wrong), 401, wrong);
  }
});

Deno.test("without a token, the page of another site cannot ask under a name of its own", () => {
  const access = new Access({ allow: [], token: "", host: "Server-1" });
  const status = (host: string) => access.refusal(request({ host }), "127.0.0.1")?.status;
  for (const own of ["localhost:9092", "127.0.0.1:9092", "[::1]:9092", "server-1", "SERVER-1:9092", ""]) {
    assert.equal(status(own), undefined, own);
  }
  for (const other of ["evil.example", "evil.example:9092", "localhost.evil.example", "server-1.evil"]) {
    assert.equal(status(other), 421, other);
  }
});

Deno.test("only the networks of allow may ask", () => {
  const access = new Access({ allow: ["10.0.0.0/8"], token: "", host: "" });
  assert.equal(access.refusal(request({}), "10.1.2.3"), undefined);
  assert.equal(access.refusal(request({}), "192.0.2.1")?.status, 403);
});

Deno.test("answers are for no other site and no cache, and large ones are compressed", async () => {
  await using site = await Site.start();
  const { headers } = await site.get("/metrics");
  assert.equal(headers.get("cache-control"), "no-store");
  assert.equal(headers.get("cross-origin-resource-policy"), "same-origin");
  assert.match(headers.get("content-security-policy")!, /default-src 'none'/);
  assert.match(headers.get("vary") ?? "", /accept-encoding/i);
  assert.equal((await site.get("/nothing")).status, 404);
});

onAuthority(
  "over TLS the page is for those who know its authority, and for nobody in clear text",
  async ({ ca, issue }) => {
    const { cert, key } = await issue("localhost");
    await using site = await Site.start({ http: { tls: { ...http.defaultValue().tls, cert, key } } });
    assert.match(site.url, /^https:/);
    const asking = async (path: string, options: Deno.CreateHttpClientOptions) => {
      using client = Deno.createHttpClient(options);
      const response = await fetch(`https://localhost:${new URL(site.url).port}${path}`, { client });
      return [response.status, await response.text()] as const;
    };
    const known = { caCerts: [Deno.readTextFileSync(ca)] };
    const [status, text] = await asking("/", known);
    assert.deepEqual([status, text.includes("<title>alumet-relay</title>")], [200, true]);
    assert.deepEqual(await asking("/readyz", known), [200, "ready\n"]);
    await assert.rejects(asking("/", {}), "an authority that is not known");
    await assert.rejects(fetch(site.url.replace("https:", "http:")), "in clear text");
  },
);
