import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { hwmon } from "../../lib/inputs/hwmon.ts";
import { kwollectInput } from "../../lib/inputs/kwollect_input.ts";
import { definePolledInput, type PolledInputPlugin } from "../../lib/inputs/polling/declaration.ts";
import type { ProcRoots } from "../../lib/inputs/polling/files.ts";
import { lines } from "../../lib/inputs/lines.ts";
import { procfs } from "../../lib/inputs/procfs.ts";
import { rapl } from "../../lib/inputs/rapl.ts";
import { f64Metric, JOULE, type Points, seriesOf } from "../../lib/inputs/polling/points.ts";
import { redfish } from "../../lib/inputs/redfish.ts";
import { scrape } from "../../lib/inputs/scrape.ts";
import { within } from "../../lib/base/waiting.ts";
import { table } from "../../lib/schema.ts";
import type { Plugin } from "../../lib/plugin.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import { HttpPeer } from "../kit/http.ts";
import { freePort } from "../kit/ports.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { Tree } from "../kit/tree.ts";

/** The input, on another machine. */
function on<C>(plugin: PolledInputPlugin<C>, roots: ProcRoots): Plugin {
  return {
    ...plugin,
    open: (config: C, context: Parameters<typeof plugin.open>[1]) => plugin.open(config, context, roots),
  };
}

async function probe(plugins: Plugin[], ...args: string[]) {
  let out = "";
  const code = await main(["probe", "--config-override", "plugins.sqlite.enable=false", ...args], {
    stdout: (text) => out += text,
    stderr: (text) => out += text,
    terminal: () => false,
    env: () => undefined,
    plugins: () => Promise.resolve([...plugins, sqlite]),
  });
  return { code, out };
}

Deno.test("probe lists what is found with its value, what may not be read with the command, and what there is not", async () => {
  using server = new Tree("rapl/intel_server_dies/1");
  using board = new Tree("hwmon/arm_board/1");
  const open = (path: string) => {
    if (path.endsWith("intel-rapl:3/energy_uj")) throw new Deno.errors.PermissionDenied("EACCES");
    return Deno.openSync(path);
  };
  const { proc, sys, dev } = server;
  const { code, out } = await probe([
    on(rapl, { proc, sys, dev, open }),
    on(hwmon, board),
    on(procfs, { proc: "/nonexistent" }),
  ]);
  assert.equal(code, 0, out);
  assert.match(out, /^input +found +value +file, or what to do\n/);
  assert.match(out, /^rapl +energy of the package, socket 0, die 0 +0 J +\S+intel-rapl:0\/energy_uj$/m);
  assert.match(
    out,
    /^rapl +energy of the package, socket 1, die 1 +permission denied +sudo chmod o\+r \S+intel-rapl:3\/energy_uj$/m,
  );
  assert.match(out, /^hwmon +power of ina3221 \(VDD_IN\) +4\.62566 W +\S+in1_input$/m);
  assert.match(
    out,
    /^procfs +nothing +Cannot read \/nonexistent: .*procfs needs Linux, with \/proc mounted$/m,
    "it stops no other",
  );
});

Deno.test("probe --json has a line for each thing, with exact values and null for what there is not", async () => {
  using host = new Tree("procfs/host/1");
  host.edit("proc/meminfo", /MemTotal: .*/, "MemTotal: 17592186044415 kB");
  using nothing = new Tree(null);
  const { code, out } = await probe([on(procfs, host), on(rapl, nothing)], "--json");
  assert.equal(code, 0, out);
  const lines = JSON.parse(out) as Record<string, unknown>[];
  assert.deepEqual(lines.find(({ found }) => found === "memory of the system"), {
    input: "procfs",
    found: "memory of the system",
    file: `${host.proc}/meminfo`,
    readable: true,
    value: "18014398509480960",
    unit: "B",
    problem: null,
    advice: null,
  });
  const absent = lines.find(({ input }) => input === "rapl")!;
  assert.deepEqual([absent.found, absent.readable, absent.value], [null, false, null]);
  assert.match(String(absent.advice), /modprobe/);
});

Deno.test("probe runs the inputs of --plugins alone", async () => {
  using host = new Tree("procfs/host/1");
  const { out } = await probe([on(procfs, host), on(rapl, host)], "--plugins", "rapl", "--json");
  assert.deepEqual([...new Set((JSON.parse(out) as { input: string }[]).map(({ input }) => input))], [
    "rapl",
  ]);
});

Deno.test("probe asks the exporters of a configuration, and says what is wrong with one", async () => {
  await using directory = new TempDir();
  await using exporter = new HttpPeer(() => new Response("a 1\nb 2\n"));
  const path = directory.file("config.toml");
  const away = `http://127.0.0.1:${freePort()}/metrics`;
  const targets = [exporter.url, away].map((url) => `[[plugins.scrape.targets]]\nurl = "${url}"\n`);
  Deno.writeTextFileSync(path, `[plugins.scrape]\n[plugins.sqlite]\n${targets.join("")}`);
  const { code, out } = await probe([scrape, lines], "--config", path);
  assert.equal(code, 0, out);
  assert.match(out, /^scrape +a page with 2 values +measured +http:\S+$/m);
  assert.match(out, /^scrape +an exporter +client error.*refused.* +http:\S+\/metrics$/m);
  // Nothing is there to ask.
  assert.doesNotMatch(out, /^(lines|sqlite)/m);
  assert.equal((await probe([scrape])).out.includes("scrape"), false);
});

Deno.test("probe leaves other machines alone unless a configuration names them", async () => {
  const { out } = await probe([kwollectInput, redfish]);
  assert.equal(out, "input  found  value  file, or what to do\n");
  await using site = new HttpPeer(() => Response.json([]));
  const { out: asked } = await probe(
    [kwollectInput],
    "--config-override",
    `plugins.kwollect-input.api_url="${site.url}"`,
  );
  assert.match(asked, /^kwollect-input /m);
});

Deno.test("probe waits for the first poll of a driver that is slow to begin, and adds energies up", async () => {
  const energy = f64Metric("energy", JOULE, "Energy since the poll before");
  const slow = definePolledInput({
    name: "slow",
    description: "A driver that is slow to begin",
    config: table({}, { doc: "Nothing." }),
    load(_, { registry, findings }) {
      const series = seriesOf(registry.register(energy));
      // Longer than probe measures.
      const begun = within(new Promise(() => {}), 1200);
      const source = {
        name: "slow",
        gather: () => begun.then(() => {}),
        poll(points: Points) {
          findings.measured("the device", "/dev/slow", series);
          points.f64(series, 2);
        },
      };
      return Promise.resolve({ wanted: () => [{ name: "slow", intervalMs: 60_000, open: () => source }] });
    },
  });
  const { out } = await probe([slow]);
  assert.match(out, /^slow +the device +4 J +\/dev\/slow$/m, "2 of the first poll, and 2 of the last one");
});
