import assert from "node:assert/strict";
import { onFullOf } from "../../../lib/agent/pipe.ts";
import { roleOf } from "../../../lib/agent/state_directory.ts";
import { lines } from "../../../lib/inputs/lines.ts";
import { procfs } from "../../../lib/inputs/procfs.ts";
import { relayClient } from "../../../lib/outputs/relay_client.ts";
import { freePort } from "../../kit/ports.ts";
import { Program } from "../../kit/process.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { until } from "../../kit/waiting.ts";

Deno.test("what was answered with success is stored, whatever kills the process", async () => {
  await using directory = new TempDir();
  const port = freePort();
  const csv = directory.file("points.csv");
  const config = directory.file("config.toml");
  Deno.writeTextFileSync(
    config,
    `[plugins.lines]\nhttp = "127.0.0.1:${port}"\n[plugins.csv]\noutput_path = "${csv}"\n[journal]\nenable = true\n`,
  );
  const args = ["--config", config, "--state-dir", directory.file("state")];
  const acknowledged: number[] = [];
  let next = 0;
  /** Posts until the process is gone. */
  const post = async () => {
    try {
      while (true) {
        const value = next++;
        const response = await fetch(`http://127.0.0.1:${port}/write`, {
          method: "POST",
          body: `a value=${value} ${value}\nb value=${value} ${value}\n`,
        });
        await response.body?.cancel();
        if (response.status === 204) acknowledged.push(value);
      }
    } catch { /* it was killed */ }
  };
  for (let life = 0; life < 2; life++) {
    await using program = new Program(args);
    await program.line(/"Running"/);
    const before = acknowledged.length;
    const posting = [post(), post(), post()];
    await until(() => acknowledged.length >= before + 20);
    await program.stop("SIGKILL");
    await Promise.all(posting);
  }
  await using program = new Program(args);
  await program.line(/"Running"/);
  assert.equal(await program.stop(), 0, program.log);
  const rows = Deno.readTextFileSync(csv).split("\n").slice(1, -1).map((row) => row.split(";"));
  for (const metric of ["a", "b"]) {
    const stored = rows.filter(([name]) => name === metric).map(([, , value]) => Number(value));
    assert.deepEqual(acknowledged.filter((value) => !stored.includes(value)), [], metric);
    assert.equal(new Set(stored).size, stored.length, "none is there twice");
  }
});

Deno.test("an agent that takes lines drops nothing where its journal is full, and keeps its role", () => {
  assert.equal(onFullOf([procfs, relayClient]), "drop_oldest");
  assert.equal(onFullOf([procfs, lines, relayClient]), "block");
  assert.equal(roleOf([procfs, lines, relayClient]), "client");
});
