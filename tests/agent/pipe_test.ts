/** What follows for a pipe from its plugins, and the journals of a pipe that has stages. */
import assert from "node:assert/strict";
import { Journals } from "../../lib/agent/journals.ts";
import { acknowledgesOf, isStaged, onFullOf, stagedProblem } from "../../lib/agent/pipe.ts";
import type { DiskJournal } from "../../lib/journal/disk/disk_journal.ts";
import type { Journal } from "../../lib/journal.ts";
import { ClientTable, LOCAL_ORIGIN } from "../../lib/points/origins.ts";
import type { Plugin } from "../../lib/plugin.ts";

const pluginOf = (kind: Plugin["kind"], more: Record<string, unknown> = {}) =>
  ({ kind, name: `a ${kind}`, ...more }) as unknown as Plugin;

Deno.test("a full journal lets clients wait, and drops the oldest points of sensors", () => {
  const onFull = (kind: Plugin["kind"], more: Record<string, unknown> = {}) =>
    onFullOf([pluginOf(kind, more)]);
  assert.equal(onFull("input"), "drop_oldest");
  assert.equal(onFull("input", { receives: true }), "block");
  assert.equal(onFull("input", { waitsForRoom: true }), "block");
  assert.equal(onFull("input", { receives: true, waitsForRoom: false }), "drop_oldest");
  assert.equal(onFull("output", { receives: true }), "drop_oldest");
  assert.equal(onFullOf([pluginOf("input"), pluginOf("input", { receives: true })]), "block");
});

Deno.test("outputs must have stored what one input promises to be stored, and no window may be left behind then", () => {
  const input = pluginOf("input", { acknowledges: (config: unknown) => config });
  const stored = [{ plugin: input, config: "stored" }, { plugin: input, config: "durable" }];
  assert.equal(acknowledgesOf(stored), "stored");
  assert.equal(acknowledgesOf(stored.slice(1)), "durable");
  assert.equal(acknowledgesOf([{ plugin: pluginOf("input"), config: "stored" }]), "durable");
  const output = pluginOf("output", { acknowledges: () => "stored" });
  assert.equal(acknowledgesOf([{ plugin: output, config: "stored" }]), "durable");

  const staged = { plugin: pluginOf("transform", { staged: true }), config: null };
  assert.ok(isStaged(staged.plugin));
  assert.deepEqual([pluginOf("transform"), pluginOf("output", { staged: true })].map(isStaged), [
    false,
    false,
  ]);
  assert.match(
    stagedProblem([...stored, staged])!,
    /^Cannot run a transform with plugins.relay-server.acknowledge = "stored": .*behind; aggregate on the clients/,
  );
  assert.equal(stagedProblem(stored), undefined);
  assert.equal(stagedProblem([...stored.slice(1), staged]), undefined);
});

const LIMIT = { limitBytes: 1e6 };

/** A journal on disk, of which a test says what it has, and what it is told. */
function diskOf(name: string, told: string[], pendingPoints: number, droppedPoints: number) {
  const journal: Partial<Journal> = {
    clients: new ClientTable(),
    pendingPoints,
    stats: { appendedPoints: 0, droppedPoints },
    beginStop: () => void told.push(`${name} begins its stop`),
    unblock: () => void told.push(`${name} is unblocked`),
  };
  const unwritten = { lost: pendingPoints, leftWithClients: 7 };
  const close = () => Promise.resolve(void told.push(`${name} is closed`));
  return Object.assign(journal, { unwritten, close }) as unknown as DiskJournal;
}

Deno.test("journals are told in the order of the data, closed from the last one, and their points added up", async () => {
  const told: string[] = [];
  const disks = [diskOf("first", told, 3, 10), diskOf("middle", told, 4, 200), diskOf("last", told, 5, 3000)];
  const journals = new Journals(disks, 3, LIMIT);
  assert.deepEqual([journals.first, journals.last, journals.areOnDisk], [disks[0], disks[2], true]);
  assert.deepEqual([journals.pendingPoints, journals.droppedPoints], [12, 3210]);
  assert.deepEqual(journals.unwritten, { lost: 3, leftWithClients: 7 });
  journals.beginStop();
  journals.unblock();
  await journals.close();
  const names = ["first", "middle", "last"];
  assert.deepEqual(told, [
    ...names.map((name) => `${name} begins its stop`),
    ...names.map((name) => `${name} is unblocked`),
    ...names.toReversed().map((name) => `${name} is closed`),
  ]);
  const only = diskOf("only", told, 3, 0);
  const one = new Journals([only], 1, LIMIT);
  assert.deepEqual([one.first, one.last, one.areOnDisk], [only, only, true]);
});

Deno.test("without disks there are as many journals in memory, and all that waits in them is lost", () => {
  const journals = new Journals([], 2, LIMIT);
  assert.deepEqual([journals.all.length, journals.areOnDisk], [2, false]);
  assert.notEqual(journals.first, journals.last);
  assert.deepEqual(journals.unwritten, { lost: 0, leftWithClients: 0 });
  assert.equal(journals.first.clients.upstream, journals.last.clients.upstream);
});

Deno.test("where a stage is new, the first journal adopts what the last one knows to be taken from each client", () => {
  const [first, last] = [diskOf("first", [], 0, 0), diskOf("last", [], 0, 0)];
  const give = (name: string, durable: number, lastContactMs: number) => {
    const client = last.clients.get(name, `of ${name}`);
    client.numbers.restore(durable);
    client.lastContactMs = lastContactMs;
  };
  give("a", 7, 50);
  give("b", 1, 60);
  give("new", 0, 70);
  give(LOCAL_ORIGIN, 5, 80);
  first.clients.get("b", "of b").lastContactMs = 99;
  new Journals([first, last], 2, LIMIT);
  const known = [...first.clients].map(({ name, accepted, durable, lastContactMs }) => [
    ...[name, accepted, durable, lastContactMs],
  ]);
  assert.deepEqual(known, [["b", 1, 1, 99], ["a", 7, 7, 50]]);
  const alone = diskOf("alone", [], 0, 0);
  Object.defineProperty(alone, "clients", { value: last.clients });
  const before = [...last.clients].length;
  new Journals([alone], 1, LIMIT);
  assert.equal([...last.clients].length, before);
});
