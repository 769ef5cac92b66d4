/**
 * Makes the pictures of the documents: `deno task screenshots`. A made-up cluster sends to a real server, whose clock runs
 * faster while the quarter of an hour passes that the page shows; Chromium takes the pictures.
 */
import { Batch, type Metric, seriesOf } from "../lib/points/measurement.ts";
import { relayServer } from "../lib/inputs/relay_server.ts";
import { sqlite } from "../lib/outputs/sqlite.ts";
import { Browser } from "../tests/kit/chromium.ts";
import { configOf, TestClient } from "../tests/kit/client.ts";
import { TempDir } from "../tests/kit/temp_dir.ts";
import { pause } from "../tests/kit/waiting.ts";
import { Site } from "../tests/seeing/site.ts";

const DOCS = new URL("../docs/pictures/", import.meta.url);
const HOSTS = 10;
/** Seconds that pass between two polls, and how many polls there are. */
const STEP_SECONDS = 3;
const STEPS = 310;
const POLL_MS = 25;

const metric = (name: string, base: string, description: string): Metric => ({
  name,
  type: "f64",
  unit: { base, prefix: "" },
  description,
});
const ENERGY = metric("rapl_consumed_energy", "J", "Energy since the last measurement");
const GPU = metric("amd_gpu_power_consumption", "W", "Power of the GPU");
const CPU = metric("cpu_percent", "%", "CPU time");
const MEMORY = metric("mem_available", "By", "Memory that programs can have");
const TEMPERATURE = metric("amd_gpu_temperature", "Cel", "Temperature");
const NETWORK = metric("network_bytes", "By", "Since the last measurement");
const JOB = metric("attributed_power", "W", "Power of a control group");

/** How busy a host is, 0 to 1: its jobs come and go. */
function load(host: number, step: number): number {
  const job = Math.sin(step / (18 + host) + host * 2.1) > -0.2 + 0.05 * host ? 1 : 0.12;
  return job * (0.82 + 0.1 * Math.sin(step / 5 + host)) + 0.03 * Math.sin(step * 1.7 + host);
}

function poll(host: number, step: number): Batch {
  const batch = new Batch();
  const now = Date.now() / 1000;
  const [seconds, nanos] = [Math.floor(now), Math.floor(now % 1 * 1e9)];
  const busy = load(host, step);
  const push = (what: Metric, value: number, rest: Parameters<typeof seriesOf>[1] = {}) =>
    batch.push(seriesOf(what, rest), seconds, nanos, value);
  push(ENERGY, (55 + 190 * busy) * STEP_SECONDS, { attributes: [["domain", "package_total"]] });
  push(ENERGY, (14 + 12 * busy) * STEP_SECONDS, { attributes: [["domain", "dram_total"]] });
  push(CPU, 100 * busy, { attributes: [["kind", "total"]] });
  push(CPU, 18 * busy, { attributes: [["kind", "system"]] });
  push(MEMORY, (60 - 35 * busy) * 2 ** 30);
  for (const direction of ["rx", "tx"]) {
    push(NETWORK, 2e6 * (1 + busy) * (direction === "rx" ? 3 : 1), {
      attributes: [["direction", direction]],
    });
  }
  if (host < 3) {
    push(GPU, 40 + 230 * busy, { resourceKind: "gpu", resourceId: "0000:03:00.0" });
    push(TEMPERATURE, 38 + 40 * busy, { resourceKind: "gpu", resourceId: "0000:03:00.0" });
  }
  push(JOB, 180 * busy, { consumerKind: "cgroup", consumerId: `/slurm/job_${4711 + host}` });
  return batch;
}

/** Time that has passed faster, in ms. */
let ahead = 0;
const realNow = Date.now;
Date.now = () => realNow() + ahead;
const realInterval = globalThis.setInterval;
// What looks every second sees each step.
globalThis.setInterval =
  ((action: () => void, ms: number) =>
    realInterval(action, ms === 1000 ? POLL_MS : ms)) as typeof setInterval;

const address = "127.0.0.1:0";
await using directory = new TempDir();
await using site = await Site.start({
  host: "relay-1",
  plugins: [
    { plugin: relayServer, config: { ...relayServer.config.defaultValue(), address } },
    {
      plugin: sqlite,
      config: { ...sqlite.config.defaultValue(), path: directory.file("measurements.sqlite") },
    },
  ],
});
const [listening] = site.logs.matching(/Listening for relay clients/);
const port = Number(/:(\d+)/.exec(listening)![1]);
const names = Array.from({ length: HOSTS }, (_, n) => `node-${n + 1}`);
const clients = names.map((client_name) => new TestClient(configOf(port, { client_name })));
const send = (step: number) => {
  clients.forEach((client, host) => {
    if (host !== 6 || step < STEPS - 8) client.push(poll(host, step));
  });
};
for (let step = 0; step < STEPS; step++) {
  ahead += STEP_SECONDS * 1000;
  send(step);
  await pause(POLL_MS);
}
const timer = realInterval(() => send(STEPS), STEP_SECONDS * 1000);
await clients[6][Symbol.asyncDispose]();
await using browser = await Browser.start();
await pause(5000);
const pictures = [
  { file: "seeing-hosts.webp", hash: "#/", dark: false, width: 1100, height: 900 },
  { file: "seeing-host.webp", hash: "#/host/node-1", dark: true, width: 1100, height: 760 },
  { file: "seeing-process.webp", hash: "#/process", dark: false, width: 1100, height: 760 },
];
for (const { file, hash, ...options } of pictures) {
  await using tab = await browser.open(`${site.url}/${hash}`, options);
  await tab.until(`document.querySelector("main section") !== null`);
  await pause(4000);
  await Deno.writeFile(new URL(file, DOCS), await tab.screenshot("webp"));
  if (Deno.args[0]) {
    await Deno.writeFile(`${Deno.args[0]}/${file.replace("webp", "png")}`, await tab.screenshot());
  }
}
clearInterval(timer);
for (const [n, client] of clients.entries()) if (n !== 6) await client[Symbol.asyncDispose]();
