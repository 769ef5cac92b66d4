import assert from "node:assert/strict";
import { ClientTable } from "../../lib/points/origins.ts";
import { CheckFile } from "../../lib/server/check_file.ts";
import { LogLines } from "../kit/log_lines.ts";
import { instanceOf } from "../kit/points.ts";
import { TempDir } from "../kit/temp_dir.ts";

/** A table with one client, which has sent batches up to a number. */
function tableOf(durable: number, ...batches: [sequence: number, check: number][]) {
  const clients = new ClientTable();
  const { numbers } = clients.get("n", instanceOf("n"));
  numbers.restore(durable);
  for (const [sequence, check] of batches) numbers.checks.add(sequence, check);
  return { clients, checks: numbers.checks };
}

Deno.test("the check of a client's last durable batch is there after a restart", async () => {
  await using dir = new TempDir();
  const { log, lines } = new LogLines();
  const { clients } = tableOf(7, [5, 50], [7, 0xffff_ffff], [8, 80]);
  clients.get("real agent");
  clients.get("new name", instanceOf("n"));
  await new CheckFile(dir.path, clients, log).save();
  const { clients: after, checks } = tableOf(8);
  new CheckFile(dir.path, after, log);
  assert.deepEqual(checks.upTo(8), { sequence: 7, check: 0xffff_ffff });
  assert.deepEqual(lines, []);
});

Deno.test("a batch that the journal has lost is not remembered, and an unknown client is passed over", async () => {
  await using dir = new TempDir();
  const { log } = new LogLines();
  await new CheckFile(dir.path, tableOf(7, [7, 70]).clients, log).save();
  const { clients, checks } = tableOf(6);
  new CheckFile(dir.path, clients, log);
  assert.equal(checks.upTo(100), undefined);
  const others = new ClientTable();
  new CheckFile(dir.path, others, log);
  assert.equal(others.size, 0);
});

Deno.test("a damaged file is read as far as it can be, a file that cannot be written is one warning", async () => {
  await using dir = new TempDir();
  const logs = new LogLines();
  const good = `${instanceOf("n")} 7 70\n`;
  await Deno.writeTextFile(dir.file("client-checks"), `x\n${good}${instanceOf("m")} 1\n\0\0`);
  const { clients, checks } = tableOf(7);
  new CheckFile(dir.path, clients, logs.log);
  assert.equal(checks.of(7), 70);
  const away = new CheckFile(dir.file("away"), clients, logs.log);
  await away.save();
  await away.save();
  assert.equal(logs.matching(/WARN.*Cannot save what the last batch of each client was/).length, 1);
  await Deno.mkdir(dir.file("away"));
  await away.save();
  assert.equal(await Deno.readTextFile(dir.file("away/client-checks")), good);
});

Deno.test("what is saved twice at once is complete, and no warning", async () => {
  await using dir = new TempDir();
  const { log, lines } = new LogLines();
  const { clients, checks } = tableOf(7, [7, 70]);
  const file = new CheckFile(dir.path, clients, log);
  const first = file.save();
  clients.get("n", instanceOf("n")).numbers.restore(8);
  checks.add(8, 80);
  await Promise.all([first, file.save()]);
  assert.deepEqual(lines, []);
  assert.equal(await Deno.readTextFile(dir.file("client-checks")), `${instanceOf("n")} 8 80\n`);
});
