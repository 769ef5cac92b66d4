/** The configuration on the command line: files, reloads, and the commands that check, show and write it. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/base/log.ts";
import { main } from "../../lib/cli.ts";
import { DiskJournal } from "../../lib/journal/disk/disk_journal.ts";
import { ParquetFile } from "../../lib/outputs/files/parquet.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { synced } from "../kit/journal.ts";
import { batchOf, NUMBERS } from "../kit/points.ts";
import { Database } from "../outputs/sqlite/database.ts";
import { names, type Outcome, run } from "./running.ts";

Deno.test("each problem of a file is a line of the log, as text or JSON, with exit code 78", async () => {
  const files = { "alumet-config.toml": "[plugins.procfs]\nx = 1\n[plugins.csv]\ny = 1\n" };
  const text = await run([], { files });
  assert.equal(text.code, 78);
  assert.match(
    text.err,
    /^\S+Z ERROR alumet-relay: Cannot read alumet-config.toml:2: plugins.procfs.x: unknown key; .*\n\S+ ERROR .*:4: .*\n$/,
  );
  const json = await run(["--log-format", "json"], { files });
  const events = json.err.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.map(({ level }) => level), ["error", "error"]);
});

Deno.test("log_level in the file sets the level unless a flag does, and a reload changes it", async () => {
  const files = { "a.toml": 'log_level = "error"\n[plugins.relay-server]\n[plugins.csv]\n' };
  const whileRunning = async ({ log, reload }: Outcome) => {
    log!.info("not heard");
    await Deno.writeTextFile("a.toml", files["a.toml"].replace("error", "debug"));
    const settings = await reload!.read();
    log!.info("not yet");
    reload!.taken(settings);
    log!.debug("heard");
  };
  const { code, err } = await run(["--config", "a.toml"], { files, whileRunning });
  assert.equal(code, 7);
  assert.match(err, /^\S+ DEBUG alumet-relay: heard\n$/);
  const flag = await run(["--config", "a.toml", "--log-level", "info"], { files, whileRunning });
  assert.match(flag.err, /not heard\n.*not yet\n$/);
});

Deno.test("a reload reads the file with the flags of the start, and reports all its problems", async () => {
  const files = { "a.toml": "[plugins.relay-server]\n[plugins.csv]\n" };
  await run(["--config", "a.toml", "--output-file", "x.csv"], {
    files,
    whileRunning: async ({ reload }) => {
      await Deno.writeTextFile("a.toml", "oops = 1\n[plugins.relay-server]\naddres = 'x'\n[plugins.csv]\n");
      await assert.rejects(
        reload!.read(),
        /a.toml:1: oops: unknown key.*\n.*a.toml:3: plugins.relay-server.addres/,
      );
      await Deno.writeTextFile("a.toml", "[plugins.relay-server]\naddress = '[::]:2'\n[plugins.csv]\n");
      const { plugins } = await reload!.read();
      assert.deepEqual(plugins.map(({ config }) => config), [{ address: "[::]:2" }, {
        output_path: "x.csv",
      }]);
      await Deno.remove("a.toml");
      await assert.rejects(reload!.read(), /Cannot read a.toml: there is no such file/);
    },
  });
});

Deno.test("config check says that a configuration is valid, or reports all its problems", async () => {
  const right = await run(["config", "check", "--relay-in", "[::]:1", "--relay-out", "h:1"]);
  assert.deepEqual([right.code, right.out, right.err], [
    0,
    "",
    "The command line is valid: relay-server → relay-client\n",
  ]);
  const file = await run(["config", "check"], {
    files: { "alumet-config.toml": "[plugins.procfs]\n[plugins.csv]\n" },
  });
  assert.equal(file.err, "alumet-config.toml is valid: procfs → csv\n");
  const wrong = await run(["config", "check", "--config", "f"], {
    files: { f: "[plugins.procfs]\na = 1\nb = x\n" },
  });
  assert.equal(wrong.code, 78);
  assert.equal(
    wrong.err,
    "Cannot read f:2: plugins.procfs.a: unknown key; expected one of poll_interval\n" +
      'Cannot read f:3: plugins.procfs.b: expected a value, found x; write a text in quotes: "x"\n',
  );
});

Deno.test("config show prints the values in effect of keys that the configuration leaves open", async () => {
  const show = async (args: string[], file = "") => {
    await using dir = new TempDir();
    await Deno.writeTextFile(dir.file("c.toml"), file);
    let out = "";
    const code = await main(["config", "show", "--config", dir.file("c.toml"), ...args], {
      stdout: (text) => out += text,
      env: (name) => name === "HOME" ? "/home/me" : undefined,
    });
    assert.equal(code, 0);
    return out.split("\n");
  };
  const state = "/home/me/.local/state/alumet-relay";
  const server = await show(["--relay-in", ":50051"], "[plugins.sqlite]\n");
  for (
    const line of [
      "# log_level is not set: info",
      "# memory_per_client is not set: a sixteenth of memory",
      "# enable is not set: true",
      `path = "" # default: "${state}/server/journal"`,
      '# on_full is not set: "block"',
      `path = "" # default: "${state}/server/measurements.sqlite"`,
      "# keep is not set: all points are kept",
      "allow = [] # default: all",
      'tokens = "" # default: all clients may send',
      'cert = "" # default: no TLS',
    ]
  ) assert.ok(server.includes(line), `${line}\n${server.join("\n")}`);
  assert.ok(server.some((line) => /^# memory is not set: "\d+[MG]iB"$/.test(line)), server.join("\n"));
  const local = await show(["--state-dir", "/x"], "[plugins.procfs]\n[plugins.sqlite]\npath = 'a.sqlite'\n");
  for (
    const line of ["# enable is not set: false", 'path = "" # default', '# on_full is not set: "drop_oldest"']
  ) {
    assert.ok(local.includes(line), `${line}\n${local.join("\n")}`);
  }
  assert.ok(local.some((line) => /^path = "a.sqlite" # .*c\.toml:3$/.test(line)));
});

Deno.test("config show masks a URL only if it contains a password", async () => {
  for (
    const [url, isShown] of [["postgresql://me@h/d", true], ["postgresql://me:hunter2@h/d", false]] as const
  ) {
    let out = "";
    await main([
      "config",
      "show",
      "--no-default-config",
      "--config-override",
      `plugins.postgresql.url=${url}`,
      "--config",
      "/dev/null",
    ], {
      stdout: (text) => out += text,
      env: () => undefined,
    });
    assert.equal(out.includes(`url = "${url}"`), isShown, out);
    assert.equal(out.includes('url = "***"'), !isShown, out);
  }
});

Deno.test("config show prints effective values with their sources to standard output", async () => {
  const files = { "alumet-config.toml": "[plugins.relay-client]\ntoken = '${TOKEN}'\n" };
  const { code, out } = await run(["config", "show", "--relay-out", "h:1"], {
    files,
    variables: { TOKEN: "hunter2" },
  });
  assert.equal(code, 0);
  assert.match(out, /^relay_server = "h:1" # --relay-out$/m);
  assert.match(out, /^token = "\*\*\*" # alumet-config.toml:2, environment variable TOKEN$/m);
  assert.doesNotMatch(out, /hunter2/);
});

Deno.test("config regen writes a valid file, and replaces an existing one only with --force", async () => {
  const printed = await run(["config", "regen", "--config", "-"]);
  assert.equal(printed.code, 0);
  assert.equal(printed.err, "");
  const read = (name: string) => Deno.readTextFileSync(name);
  const written = await run(["config", "regen"], {
    after: () => assert.equal(read("alumet-config.toml"), printed.out),
  });
  assert.deepEqual([written.code, written.out, written.err], [0, "", "Wrote alumet-config.toml\n"]);
  const files = { "my.toml": "# mine" };
  const refused = await run(["config", "regen", "--config", "my.toml"], {
    files,
    after: () => assert.equal(read("my.toml"), "# mine"),
  });
  assert.equal(refused.code, 64);
  assert.equal(refused.err, "Cannot write my.toml: it already exists; --force replaces it\n");
  const forced = await run(["config", "regen", "--force", "--config", "my.toml"], {
    files,
    after: () => assert.equal(read("my.toml"), printed.out),
  });
  assert.equal(forced.code, 0);
  const nowhere = await run(["config", "regen", "--config", "no/such/directory"]);
  assert.equal(nowhere.code, 69);
  assert.match(nowhere.err, /^Cannot write no\/such\/directory: /);
  assert.deepEqual(names(await run([], { files: { "alumet-config.toml": printed.out } })), [
    "procfs",
    "sqlite",
  ]);
});

Deno.test("config regen writes a plugin that somebody must complete, and says what it lacks", async () => {
  await using dir = new TempDir();
  const path = dir.file("lines.toml");
  let said = "";
  const stderr = (text: string) => void (said += text);
  assert.equal(await main(["config", "regen", "--plugins", "lines,csv", "--config", path], { stderr }), 0);
  assert.match(
    said,
    /^Wrote .*\nTo be completed: plugins\.lines\.stdin: nothing to read: set stdin, files, [^\n]*\n$/,
  );
  said = "";
  assert.equal(await main(["config", "check", "--config", path], { stderr }), 78);
  assert.match(said, /^Cannot read .*lines\.toml:\d+: plugins\.lines\.stdin: nothing to read/);
  // A value that somebody gives must be valid.
  const args = ["config", "regen", "--plugins", "csv", "--config=-", "--config-override"];
  assert.equal(await main([...args, "plugins.csv.rotate_size=soon"], { stderr, stdout: () => {} }), 64);
});

/** The disk takes the first bytes of a file, and no more. */
function fullDisk(): Disposable {
  const { prototype } = Deno.FsFile;
  const { writeSync } = prototype;
  prototype.writeSync = function (this: Deno.FsFile, bytes) {
    writeSync.call(this, bytes.subarray(0, 5));
    throw new Error("No space left on device");
  };
  return { [Symbol.dispose]: () => void (prototype.writeSync = writeSync) };
}

Deno.test("a full disk leaves a configuration as it was, and no part of a new one", async () => {
  await using dir = new TempDir();
  using _disk = fullDisk();
  const path = dir.file("my.toml");
  const made = await run(["config", "regen", "--config", path]);
  assert.deepEqual([made.code, made.err], [69, `Cannot write ${path}: No space left on device\n`]);
  assert.deepEqual([...Deno.readDirSync(dir.path)], []);
  Deno.writeTextFileSync(path, "# mine");
  const forced = await run(["config", "regen", "--force", "--config", path]);
  assert.equal(forced.code, 69);
  assert.equal(Deno.readTextFileSync(path), "# mine");
  assert.equal([...Deno.readDirSync(dir.path)].length, 1);
});

Deno.test("a file that is replaced keeps its mode, its owner, and the link that leads to it", async () => {
  await using dir = new TempDir();
  const [file, link] = [dir.file("real"), dir.file("tokens")];
  Deno.writeTextFileSync(file, "# old\n");
  Deno.chmodSync(file, 0o604);
  Deno.symlinkSync(file, link);
  const isRoot = Deno.uid() === 0;
  if (isRoot) Deno.chownSync(file, 0, 12);
  let said = "";
  const stderr = (text: string) => void (said += text);
  const tokens = ["n-1", "n-2", "n-3"].map((name) =>
    main(["token", "new", name, "--tokens-file", link], { stdout: () => {}, stderr })
  );
  assert.deepEqual(await Promise.all(tokens), [0, 0, 0], said);
  assert.ok(Deno.lstatSync(link).isSymlink);
  const { mode, gid } = Deno.statSync(file);
  assert.equal(mode! & 0o777, 0o604);
  if (isRoot) assert.equal(gid, 12);
  const lines = Deno.readTextFileSync(file).trimEnd().split("\n");
  assert.equal(lines.length, 4, "each of those at one time has its line");
  assert.equal(lines[0], "# old");
  const forced = await run(["config", "regen", "--force", "--config", link]);
  assert.equal(forced.code, 0, forced.err);
  assert.match(Deno.readTextFileSync(file), /^# Configuration of alumet-relay/);
  assert.equal(Deno.statSync(file).mode! & 0o777, 0o604);
  // What is no file is written to.
  assert.equal((await run(["config", "regen", "--force", "--config", "/dev/null"])).code, 0);
  assert.ok(Deno.statSync("/dev/null").isCharDevice);
  Deno.removeSync(file);
  const dangling = await run(["config", "regen", "--config", link]);
  assert.deepEqual([dangling.code, dangling.out], [64, ""]);
  assert.match(
    dangling.err,
    /it is a link to a file that does not exist; remove the link, or name that file/,
  );
});

Deno.test("config regen enables the plugins of its flags, with their values", async () => {
  const client = await run(["config", "regen", "--config=-", "--relay-out", "server:50051"]);
  assert.match(client.out, /^relay_server = "server:50051"$/m);
  const running = await run([], { files: { "alumet-config.toml": client.out } });
  assert.deepEqual(names(running), ["procfs", "relay-client"]);
  const chosen = await run(["config", "regen", "--config=-", "--plugins", "relay-server,csv"]);
  assert.deepEqual(names(await run([], { files: { "alumet-config.toml": chosen.out } })), [
    "relay-server",
    "csv",
  ]);
});

Deno.test("plugins list prints kinds and purposes, and with --status what is enabled and why", async () => {
  const plain = await run(["plugins", "list"]);
  assert.equal(
    plain.out,
    `procfs        input   Is the procfs.
relay-server  input   Is the relay-server.
relay-client  output  Is the relay-client.
csv           output  Is the csv.
sqlite        output  Is the sqlite.
`,
  );
  const status = await run(["plugins", "list", "--status", "--relay-in", "[::]:1"]);
  assert.match(status.out, /^relay-server {2}input {3}enabled \(--relay-in\)$/m);
  assert.match(status.out, /^procfs {8}input {3}disabled$/m);
});

Deno.test("a configuration that is not UTF-8 is refused, with the line of the first invalid byte", async () => {
  const cases: [Uint8Array<ArrayBuffer>, RegExp][] = [
    [
      new Uint8Array([...new TextEncoder().encode("[plugins.csv]\noutput_path = 'm"), 0xfc, 0x27, 0x0a]),
      /c\.toml:2: byte 0xfc is not UTF-8/,
    ],
    [new Uint8Array([0xff, 0xfe, 0x5b, 0x00]), /c\.toml: it is in UTF-16; save the file as UTF-8/],
  ];
  for (const [bytes, message] of cases) {
    await using dir = new TempDir();
    await Deno.writeFile(dir.file("c.toml"), bytes);
    let err = "";
    const code = await main(["config", "check", "--config", dir.file("c.toml")], {
      stderr: (text) => void (err += text),
    });
    assert.equal(code, 78);
    assert.match(err, message);
  }
});

Deno.test("config check notes values that are valid but perhaps not intended", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(
    dir.file("c.toml"),
    "[plugins.procfs]\nmemory.metrics = ['MemTotl', 'MemFree', 'Active(file)', 'Weird']\n[plugins.relay-client]\nbuffer_timeout = '1M'\n",
  );
  let err = "";
  const code = await main(["config", "check", "--config", dir.file("c.toml")], {
    stderr: (text) => void (err += text),
  });
  assert.equal(code, 0, err);
  const notes = err.split("\n").filter((line) => /^Note: .*c\.toml/.test(line));
  assert.match(
    notes[0],
    /c\.toml:2: plugins.procfs.memory.metrics\[0\]: Linux has no entry MemTotl .*; did you mean MemTotal\?$/,
  );
  assert.match(
    notes[1],
    /metrics\[3\]: Linux has no entry Weird in \/proc\/meminfo that this program knows$/,
  );
  assert.match(
    notes[2],
    /c\.toml:4: plugins.relay-client.buffer_timeout: 1M is 1 month; write 1min for minutes$/,
  );
  assert.equal(notes.length, 3, err);
});

Deno.test("a client name that no server accepts is refused", async () => {
  const check = async (name: string) => {
    let err = "";
    const args = ["--relay-out", "[::1]:1", "--config-override", `plugins.relay-client.client_name=${name}`];
    const code = await main([
      "config",
      "check",
      "--config",
      "/dev/null",
      "--plugins",
      "procfs,relay-client",
      ...args,
    ], {
      stderr: (text) => void (err += text),
    });
    return { code, err };
  };
  assert.equal((await check("é".repeat(127))).code, 0);
  const { code, err } = await check("é".repeat(128));
  assert.notEqual(code, 0);
  assert.match(err, /client_name: .*is too long: servers accept 255 bytes/);
});

Deno.test("config check says what the hosts that the state directory knows will need per day", async () => {
  await using dir = new TempDir();
  const [database, csv, state] = ["m.sqlite", "%Y.csv", "state"].map((name) => dir.file(name));
  const check = async (outputs: string) => {
    let err = "";
    const config = `[plugins.relay-server]\naddress = "127.0.0.1:1"\n${outputs}`;
    await Deno.writeTextFile(dir.file("c.toml"), config);
    const code = await main(["config", "check", "--config", dir.file("c.toml"), "--state-dir", state], {
      stderr: (text) => void (err += text),
      env: () => undefined,
      services: () => [],
    });
    assert.equal(code, 0, err);
    return err;
  };
  const all = `[plugins.sqlite]\npath = "${database}"\n[plugins.csv]\noutput_path = "${csv}"\n` +
    '[plugins.parquet]\n[plugins.postgresql]\nhost = "127.0.0.1"\n[plugins.influxdb]\nhost = "http://127.0.0.1:1"\napi = "v1"\ndatabase = "d"\n';
  assert.doesNotMatch(await check(all), /points a second/);

  const points = Array.from(
    { length: 12_000 },
    (_, i) => [NUMBERS, i, 1_700_000_000 + Math.floor(i / 10), i] as const,
  );
  const batch = () => batchOf(points as unknown as Parameters<typeof batchOf>[0]);
  // What waits in the journal says how fast the hosts are, and what points take there.
  {
    const log = createLogger("test", { level: "error" });
    await using journal = await DiskJournal.open({ directory: `${state}/server/journal`, log, sync: 5 });
    journal.reader("csv");
    journal.append(batch());
    await synced(journal);
  }
  const journal =
    /the journal needs 0\.\d+ GB for each day on which an output takes no points, at the [\d.]+ bytes .*; its max_size of 1 ?GiB is enough for \d+ days/;
  const withJournal = await check("[plugins.csv]\n");
  assert.match(
    withJournal,
    /Note: 1 host made 10 points a second in what the journal .*journal has, 0\.864 million a day\n/,
  );
  assert.match(withJournal, journal);

  using stored = new Database(database);
  stored.write([batch()]);
  await Deno.writeTextFile(
    dir.file("2026.csv"),
    "header\n" + `${"x".repeat(49)}\n`.repeat(500) + "half a row",
  );
  await Deno.mkdir(`${state}/server/parquet`, { recursive: true });
  {
    using file = Deno.createSync(`${state}/server/parquet/10.parquet`);
    const parquet = new ParquetFile((bytes) => void file.writeSync(bytes), {
      createdBy: "test",
      groupRows: 4096,
    });
    const texts = { metric: "a", unit: "", client: "", resourceKind: "", resourceId: "" };
    const series = { ...texts, consumerKind: "", consumerId: "", attributes: "{}" };
    for (let i = 0; i < 4096; i++) parquet.add(series, BigInt(i), i, null);
    parquet.end();
  }
  const notes = await check(all);
  for (
    const expected of [
      /Note: 1 host made 10 points a second in the last day that .*m\.sqlite has, 0\.864 million a day\n/,
      /Note: sqlite needs 0\.0\d+ GB for a day, at the [\d.]+ bytes that a point takes in .*m\.sqlite\n/,
      /Note: csv needs 0\.0432 GB for a day, at the 50 bytes that a point takes in .*2026\.csv\n/,
      /Note: parquet needs 0\.0\d+ GB for a day, at the [\d.]+ bytes that a point takes in .*parquet\/\n/,
      /Note: postgresql needs about 0\.0648 GB for a day, at 75 bytes a point, which is usual\n/,
      journal,
    ]
  ) assert.match(notes, expected);
  assert.doesNotMatch(notes, /influxdb needs/);
});
