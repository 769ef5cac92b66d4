/** The recipes of docs/recipes.md for numbers of other programs, with stand-ins for devices and programs. */
import assert from "node:assert/strict";
import { blocks, namedFiles, ROOT } from "../kit/documents.ts";
import { HttpPeer } from "../kit/http.ts";
import { has, linux, needs, systemd } from "../kit/needs.ts";
import { freePort } from "../kit/ports.ts";
import { PROGRAM, Program, runProgram, shell } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { portOf, startServer } from "../end_to_end/relay.ts";

const TEXT = Deno.readTextFileSync(new URL("docs/recipes.md", ROOT));

/** The block whose first line is a comment with that name. */
function fileOf(language: string, name: string): string {
  const found = blocks(TEXT, language).find((block) => block.startsWith(`# ${name}\n`));
  assert.ok(found, name);
  return found;
}

/** A server that stores in a file, a client's configuration, and commands that scripts find before others. */
class Site implements AsyncDisposable {
  private constructor(readonly dir: TempDir, readonly server: Program) {}

  static async open(): Promise<Site> {
    const dir = new TempDir();
    const server = await startServer(dir.file("points.csv"));
    const config = namedFiles(TEXT).get("client.toml")!;
    const address = `127.0.0.1:${portOf(server)}`;
    Deno.writeTextFileSync(dir.file("client.toml"), config.replace("relay.example.org:50051", address));
    Deno.mkdirSync(dir.file("bin"));
    const site = new Site(dir, server);
    site.command("alumet-relay", `exec ${PROGRAM.map((word) => `'${word}'`).join(" ")} "$@"`);
    return site;
  }

  /** A stand-in for a command. */
  command(name: string, script: string): void {
    Deno.writeTextFileSync(this.dir.file(`bin/${name}`), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  /** Runs a script of the page, after replacements. */
  async run(
    name: string,
    replace: Record<string, string> = {},
    env: Record<string, string> = {},
  ): Promise<number> {
    let script = fileOf("sh", name).replaceAll("/etc/alumet-relay/", `${this.dir.path}/`);
    for (const [from, to] of Object.entries(replace)) {
      assert.ok(script.includes(from), from);
      script = script.replaceAll(from, to);
    }
    const path = `${this.dir.file("bin")}:${Deno.env.get("PATH")}`;
    const { code, stderr } = await runProgram(["-c", script], {
      program: ["sh"],
      env: { PATH: path, ...env },
    });
    if (code !== 0) console.log(stderr);
    return code;
  }

  /** The rows of the server's file, when there are that many. */
  async rows(count: number): Promise<string[]> {
    const read = () => {
      try {
        return Deno.readTextFileSync(this.dir.file("points.csv")).trimEnd().split("\n").slice(1);
      } catch {
        return [];
      }
    };
    await until(() => read().length >= count);
    return read();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test({
  name: "a sensor script, a plug and a job's epilogue reach the server",
  ...needs(linux, has("curl"), has("jq")),
  async fn() {
    await using site = await Site.open();
    Deno.writeTextFileSync(site.dir.file("temp"), "21500\n");
    const sensor = { "/sys/class/thermal/thermal_zone0/temp": site.dir.file("temp") };
    assert.equal(await site.run("/usr/local/bin/room-temperature", sensor), 0);
    await using plug = new HttpPeer(() =>
      Response.json({
        id: 0,
        source: "init",
        output: true,
        apower: 8.9,
        voltage: 237.5,
        aenergy: { total: 6.532 },
      })
    );
    assert.equal(await site.run("/usr/local/bin/plug", { "http://shelly-rack1": plug.url }), 0);
    assert.equal(plug.requests[0].path, "/rpc/Switch.GetStatus?id=0");
    site.command(
      "sacct",
      `[ "$*" = "--noheader --parsable2 --allocations --jobs 17 --format ConsumedEnergyRaw" ] && echo 1234`,
    );
    const job = { SLURM_JOB_ID: "17", SLURM_JOB_USER: "ada" };
    assert.equal(await site.run("/etc/slurm/epilog.d/energy.sh", {}, job), 0);
    const rows = (await site.rows(4)).map((row) => row.replace(/;\d{4}-[^;]*;/, ";"));
    assert.match(rows[0], /^room_temperature;21\.5;local_machine;;local_machine;;/);
    assert.match(rows[1], /^plug_power;8\.9;.*rack1/);
    assert.match(rows[2], /^plug_energy;6\.532;.*rack1/);
    assert.match(rows[3], /^job_energy;1234;local_machine;;job;17;.*ada/);
  },
});

Deno.test({
  name: "the units of the timer are valid",
  ...needs(linux, systemd),
  async fn() {
    await using dir = new TempDir();
    for (const unit of ["room-temperature.service", "room-temperature.timer"]) {
      Deno.writeTextFileSync(dir.file(unit), fileOf("ini", `/etc/systemd/system/${unit}`));
    }
    await shell(
      "systemd-analyze",
      "verify",
      dir.file("room-temperature.timer"),
      dir.file("room-temperature.service"),
    );
  },
});

Deno.test("what Telegraf posts is taken with its token, and has the units and resources of the rules", async () => {
  await using dir = new TempDir();
  const token = await shell(...PROGRAM, "token", "new", "telegraf", "--tokens-file", dir.file("tokens"));
  const port = freePort();
  const text = namedFiles(TEXT).get("telegraf.toml")!.replaceAll("/etc/alumet-relay/", `${dir.path}/`)
    .replace("[::]:8086", `127.0.0.1:${port}`);
  Deno.writeTextFileSync(dir.file("telegraf.toml"), text);
  const output = ["--output-file", dir.file("points.csv"), "--plugins", "lines,csv"];
  await using program = new Program(["--config", dir.file("telegraf.toml"), ...output]);
  await program.line(/"Running"/);
  // As Telegraf's output influxdb_v2 sends what its input cpu gathers.
  const post = async (token: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v2/write?bucket=any&org=any&precision=ns`, {
      method: "POST",
      headers: { authorization: `Token ${token}`, "content-type": "text/plain; charset=utf-8" },
      body: "cpu,cpu=cpu0,host=a usage_idle=98.5,usage_user=1.5 1795608000000000000\n" +
        'system,host=a load1=0.5,n_users=2i,uptime_format="1 day" 1795608000000000000\n',
    });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await post("wrong"), 401);
  assert.equal(await post(token.trim()), 204);
  assert.equal(await program.stop(), 0, program.log);
  const rows = Deno.readTextFileSync(dir.file("points.csv")).trimEnd().split("\n").slice(1);
  assert.deepEqual(rows.map((row) => row.split(";").slice(0, 5).join(";")), [
    "cpu_usage_idle_%;2026-11-25T12:00:00Z;98.5;cpu_core;cpu0",
    "cpu_usage_user_%;2026-11-25T12:00:00Z;1.5;cpu_core;cpu0",
    "system_load1;2026-11-25T12:00:00Z;0.5;local_machine;",
    "system_n_users;2026-11-25T12:00:00Z;2;local_machine;",
  ]);
});

/** A page of the DCGM exporter, with the energy that a GPU has used so far, in mJ. */
const dcgm = (energy: number) =>
  `# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-604a",device="nvidia0",modelName="NVIDIA H100",Hostname="node"} 72.5
# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Total energy consumption since boot (in mJ).
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-604a",device="nvidia0",modelName="NVIDIA H100",Hostname="node"} ${energy}
`;

Deno.test("the power and the energy of GPUs come from the DCGM exporter", async () => {
  await using dir = new TempDir();
  await using exporter = new HttpPeer((_, n) => new Response(dcgm(1000 + 250 * n)));
  const text = namedFiles(TEXT).get("dcgm.toml")!.replace("http://127.0.0.1:9400", exporter.url)
    .replace('"10s"', '"100ms"');
  Deno.writeTextFileSync(dir.file("dcgm.toml"), text);
  const output = ["--output-file", dir.file("points.csv"), "--plugins", "scrape,csv"];
  await using program = new Program(["--config", dir.file("dcgm.toml"), ...output]);
  await until(() => exporter.requests.length > 3);
  assert.equal(await program.stop(), 0, program.log);
  const rows = Deno.readTextFileSync(dir.file("points.csv")).trimEnd().split("\n").slice(1)
    .map((row) => row.split(";").filter((_, i) => i !== 1).slice(0, 4).join(";"));
  assert.equal(rows[0], "DCGM_FI_DEV_POWER_USAGE_W;72.5;gpu;0");
  assert.ok(rows.includes("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_mJ;250;gpu;0"), rows.join("\n"));
});
