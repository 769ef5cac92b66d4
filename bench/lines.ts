/**
 * What numbers of other programs cost: `deno run -A bench/lines.ts`. Lines come from another process through a Unix
 * socket, a page of 100,000 samples by HTTP; points are thrown away behind the input. With ALUMET_RELAY_BIN, `send` is
 * measured as well. Needs Linux and Python 3.
 */
import process from "node:process";
import { config as linesConfig } from "../lib/inputs/lines/config.ts";
import { LinesInput } from "../lib/inputs/lines/input.ts";
import { config as scrapeConfig } from "../lib/inputs/scrape/config.ts";
import { ScrapeInput } from "../lib/inputs/scrape/input.ts";
import type { BatchSink, Input } from "../lib/plugin.ts";
import { defaultSeriesBytes } from "../lib/agent/series_memory.ts";
import { seriesStore } from "../lib/points/series_store.ts";
import { contextWith } from "../tests/kit/context.ts";
import { TempDir } from "../tests/kit/temp_dir.ts";
import { TestServer } from "../tests/kit/test_server.ts";
import { until } from "../tests/kit/waiting.ts";
import { threadMs } from "./thread_cpu.ts";

const SENDER = `
import socket, sys
data = open(sys.argv[2], "rb").read()
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
for _ in range(int(sys.argv[3])): s.sendall(data)
s.close()
`;
const SERVER = `
import http.server, sys
data = open(sys.argv[1], "rb").read()
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Page)
print(server.server_port, flush=True)
server.serve_forever()
`;

/** Counts points, and throws them away. */
class Counter implements BatchSink {
  points = 0;

  push(batch: Parameters<BatchSink["push"]>[0]): void {
    this.points += batch.length;
    batch.release();
  }
}

/** Runs an input while something is done. */
async function running(input: Input, work: (sink: Counter) => Promise<void>): Promise<void> {
  const sink = new Counter();
  const stop = new AbortController();
  const run = input.run(sink, stop.signal);
  await work(sink);
  stop.abort();
  await run;
  await input[Symbol.asyncDispose]();
}

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function benchLines(directory: TempDir, series: number, points: number): Promise<void> {
  const unix = directory.file("lines.sock");
  const text = directory.file("lines.lp");
  let lines = "";
  for (let i = 0; i < series; i++) {
    lines += `node_power,host=node-${i % 1000},sensor=s${i} value=${(i * 7.13 % 400).toFixed(2)} ` +
      `17956080000000000${10 + i % 80}\n`;
  }
  Deno.writeTextFileSync(text, lines);
  const input = await LinesInput.open({ ...linesConfig.defaultValue(), unix }, contextWith({}));
  await running(input, async (sink) => {
    const send = async (rounds: number) => {
      const args = ["-c", SENDER, unix, text, String(rounds)];
      const before = sink.points;
      await new Deno.Command("python3", { args }).output();
      await until(() => sink.points === before + rounds * series);
    };
    // All series are known, and the code is compiled.
    await send(Math.max(1, Math.ceil(500_000 / series)));
    const rounds = Math.ceil(points / series);
    const [began, cpu] = [performance.now(), cpuSeconds()];
    await send(rounds);
    const seconds = (performance.now() - began) / 1000;
    const count = rounds * series;
    console.log(
      `lines, ${series} series: ${(count / seconds / 1e6).toFixed(2)} M points/s, ` +
        `${((cpuSeconds() - cpu) / count * 1e6).toFixed(2)} µs of CPU each`,
    );
  });
}

async function benchScrape(directory: TempDir, samples: number): Promise<void> {
  const page = directory.file("page");
  let text = "# TYPE node_power_watts gauge\n";
  for (let i = 0; i < samples; i++) {
    text += `node_power_watts{host="node-${i % 1000}",sensor="s${i}"} ${(i * 7.13 % 400).toFixed(2)}\n`;
  }
  Deno.writeTextFileSync(page, text);
  const server = new Deno.Command("python3", { args: ["-c", SERVER, page], stdout: "piped" }).spawn();
  const reader = server.stdout.getReader();
  const port = new TextDecoder().decode((await reader.read()).value).trim();
  const input = new ScrapeInput(
    scrapeConfig.check(
      { targets: [{ url: `http://127.0.0.1:${port}/`, poll_interval: "6s" }] },
      [],
      () => {},
    ),
    contextWith({}),
  );
  await running(input, async (sink) => {
    for (let scrape = 0; scrape < 4; scrape++) {
      await until(() => sink.points > scrape * samples);
      let [last, longestMs] = [performance.now(), 0];
      let [lastOfThread, longestOfThreadMs] = [threadMs(), 0];
      const ticking = setInterval(() => {
        longestMs = Math.max(longestMs, performance.now() - last);
        last = performance.now();
        longestOfThreadMs = Math.max(longestOfThreadMs, threadMs() - lastOfThread);
        lastOfThread = threadMs();
      }, 1);
      const [began, cpu] = [performance.now(), cpuSeconds()];
      await until(() => sink.points >= (scrape + 1) * samples);
      clearInterval(ticking);
      console.log(
        `scrape ${scrape + 1} of ${samples} series: ${
          (performance.now() - began).toFixed(0)
        } ms after the first point, ` +
          `${((cpuSeconds() - cpu) * 1000).toFixed(0)} ms of CPU, others waited at most ${
            longestMs.toFixed(0)
          } ms, ${longestOfThreadMs.toFixed(0)} ms of them for its CPU`,
      );
    }
  });
  server.kill();
  await reader.cancel();
  await server.status;
}

async function benchSend(program: string): Promise<void> {
  await using server = new TestServer();
  const times: number[] = [];
  for (let n = 0; n < 20; n++) {
    const began = performance.now();
    const { code } = await new Deno.Command(program, {
      args: ["send", "--relay-out", `127.0.0.1:${server.port}`, `lab_temperature value=${n}`],
    }).output();
    if (code !== 0) throw new Error(`send ended with ${code}`);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  console.log(
    `send: ${times[10].toFixed(0)} ms, at least ${times[0].toFixed(0)}, at most ${times[19].toFixed(0)}`,
  );
}

if (import.meta.main) {
  seriesStore.limit({ limitBytes: defaultSeriesBytes() });
  await using directory = new TempDir();
  await benchLines(directory, 1000, 5_000_000);
  await benchLines(directory, 200_000, 5_000_000);
  await benchScrape(directory, 100_000);
  const program = Deno.env.get("ALUMET_RELAY_BIN");
  if (program !== undefined) await benchSend(program);
}
