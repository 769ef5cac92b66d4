import assert from "node:assert/strict";
import { readingsOf } from "../../../lib/inputs/redfish/readings.ts";
import { RedfishSource } from "../../../lib/inputs/redfish/source.ts";
import { onAuthority } from "../../kit/certificates.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { type Answer, HttpPeer } from "../../kit/http.ts";
import { measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const CHASSIS = "/redfish/v1/Chassis";
const link = (path: string) => ({ "@odata.id": path });

/** A controller with a new chassis, an old one, and one without a power. */
const PAGES: Record<string, unknown> = {
  [CHASSIS]: { Members: [link(`${CHASSIS}/1`), link(`${CHASSIS}/Blade.2/`), link(`${CHASSIS}/Disks`)] },
  [`${CHASSIS}/1`]: {
    EnvironmentMetrics: link(`${CHASSIS}/1/EnvironmentMetrics`),
    Power: link(`${CHASSIS}/1/Power`),
  },
  [`${CHASSIS}/1/EnvironmentMetrics`]: { PowerWatts: { Reading: 412.5 } },
  [`${CHASSIS}/1/Power`]: { PowerControl: [{ PowerConsumedWatts: 1 }] },
  [`${CHASSIS}/Blade.2/`]: { Power: link(`${CHASSIS}/Blade.2/Power`) },
  [`${CHASSIS}/Blade.2/Power`]: {
    PowerControl: [
      { Name: "System", PowerConsumedWatts: 220 },
      { Name: "CPU", PowerConsumedWatts: 95 },
      { Name: "GPU", PowerConsumedWatts: null },
    ],
  },
  [`${CHASSIS}/Disks`]: { EnvironmentMetrics: link(`${CHASSIS}/Disks/none`) },
  [`${CHASSIS}/Disks/none`]: {},
};
const LOGIN = `Basic ${btoa("reader:s3cret")}`;

const answer: Answer = ({ path, headers }) =>
  headers.get("authorization") !== LOGIN
    ? new Response(null, { status: 401 })
    : path in PAGES
    ? Response.json(PAGES[path])
    : new Response(null, { status: 404 });

/** A source that asks the server at this URL. */
function sourceOf(dir: TempDir, url: string, { ca = "", fingerprint = "", timeoutMs = 90_000 } = {}) {
  const password_file = dir.file("password");
  Deno.writeTextFileSync(password_file, "s3cret\n");
  const clock = new FakeClock();
  const lines: string[] = [];
  const measuring = measuringOf({}, lines, clock);
  const source = new RedfishSource(
    { url, username: "reader", password_file, ca, fingerprint },
    timeoutMs,
    measuring,
  );
  const poll = async (last = false) => {
    await source.gather(last);
    const batch = pollOnce(source);
    const points = rows(batch);
    batch.release();
    return points;
  };
  return {
    source,
    lines,
    poll,
    password_file,
    later: (ms: number) => (clock.spend(ms), poll()),
    findings: () => measuring.findings.list,
    [Symbol.dispose]: () => source.close(),
  };
}

const pointsOf = (host: string) => [
  `redfish_power{} chassis:${host}/1 local_machine 412.5`,
  `redfish_power{name=System} chassis:${host}/Blade.2 local_machine 220`,
  `redfish_power{name=CPU} chassis:${host}/Blade.2 local_machine 95`,
];

onAuthority("over TLS, each chassis is measured by a server that the CA has signed", async ({
  ca,
  issue,
  dir,
}) => {
  const { cert, key } = await issue("localhost");
  const tls = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
  await using server = new HttpPeer(answer, 0, tls);
  const host = `localhost:${server.port}`;
  using s = sourceOf(dir, `https://${host}`, { ca });
  assert.deepEqual(await s.poll(), pointsOf(host));
  const asked = server.requests.length;
  assert.deepEqual(await s.poll(true), pointsOf(host));
  assert.equal(server.requests.length - asked, 2, "chassis are not looked for at each poll");
  assert.deepEqual(s.findings().map(({ what, problem }) => [what, problem]), [
    ["power of chassis 1", undefined],
    ["power of chassis Blade.2 (System)", undefined],
    ["power of chassis Blade.2 (CPU)", undefined],
  ]);
});

onAuthority("a server that the CA has not signed gets no password", async ({ issue, dir }) => {
  const { cert, key } = await issue("localhost");
  const tls = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
  await using server = new HttpPeer(answer, 0, tls);
  using s = sourceOf(dir, `https://localhost:${server.port}`);
  assert.deepEqual(await s.poll(), []);
  assert.equal(server.requests.length, 0);
  assert.match(s.lines.join(""), /signed by an unknown CA \(plugins\.redfish\.targets\.ca names/);
});

Deno.test("after a refused login the controller is left alone, and the password is read again", async () => {
  await using dir = new TempDir();
  await using server = new HttpPeer(answer);
  using s = sourceOf(dir, server.url);
  Deno.writeTextFileSync(s.password_file, "wrong\n");
  assert.deepEqual(await s.poll(), []);
  assert.match(s.lines.join(""), /it refuses the user or the password \(HTTP 401\)/);
  assert.ok(!s.lines.join("").includes("wrong"));
  assert.deepEqual(await s.later(60_000), []);
  assert.equal(server.requests.length, 1, "many controllers lock a user after a few wrong passwords");
  Deno.writeTextFileSync(s.password_file, "s3cret\n");
  assert.deepEqual(await s.later(300_000), pointsOf(new URL(server.url).host));
  assert.match(s.lines.join(""), /The management controller answers again/);
});

Deno.test("a redirection gets no password, and an answer that is not valid costs its own poll", async () => {
  await using dir = new TempDir();
  await using other = new HttpPeer(answer);
  await using server = new HttpPeer(() => Response.redirect(`${other.url}${CHASSIS}`));
  using s = sourceOf(dir, server.url);
  assert.deepEqual(await s.poll(), []);
  assert.equal(other.requests.length, 0);
  assert.match(s.lines.join(""), /HTTP 302 for \/redfish\/v1\/Chassis/);
  server.answer = () => new Response("<html>");
  assert.deepEqual(await s.later(60_000), []);
  assert.match(s.lines.join(""), /\/redfish\/v1\/Chassis is not JSON/);
  server.answer = () => new Response(" ".repeat(2 ** 20 + 1));
  assert.deepEqual(await s.later(60_000), []);
  assert.match(s.lines.join(""), /longer than 1048576 bytes/);
  server.answer = () => Response.json({ Members: [link("//elsewhere/1"), link("https://elsewhere/1"), 7] });
  assert.deepEqual(await s.later(60_000), []);
  assert.equal(s.findings()[0].problem, "it reports no power");
  server.answer = answer;
  assert.deepEqual(await s.later(60_000), pointsOf(new URL(server.url).host));
  assert.equal(s.findings()[0].problem, undefined, "what was mended is no problem any more");
});

Deno.test("a controller that hangs is given up after the timeout", async () => {
  await using dir = new TempDir();
  await using server = new HttpPeer(() => new Promise<Response>(() => {}));
  using s = sourceOf(dir, server.url, { timeoutMs: 50 });
  assert.deepEqual(await s.poll(), []);
  assert.match(s.lines.join(""), /no answer within 50 ms/);
});

Deno.test("entries without a valid power are left out, and two of one name stay two series", () => {
  const entry = (PowerConsumedWatts: unknown, Name?: unknown) => ({ PowerConsumedWatts, Name });
  assert.deepEqual(readingsOf({ PowerControl: [entry("220"), entry(-1), null, entry(7), entry(8, 9)] }), [
    { name: "#3", watts: 7 },
    { name: "#4", watts: 8 },
  ]);
  assert.deepEqual(readingsOf({ PowerControl: [entry(7, "a"), entry(8, "a")] }), [
    { name: "a", watts: 7 },
    { name: "a#1", watts: 8 },
  ]);
  for (const page of [null, 7, [], {}, { PowerControl: 7 }, { PowerWatts: { Reading: null } }]) {
    assert.deepEqual(readingsOf(page), []);
  }
});
