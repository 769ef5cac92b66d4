/** A file on a disk that is full for a while. */
import assert from "node:assert/strict";
import { linux, namespaces, needs } from "../kit/needs.ts";
import { Namespace } from "../kit/netns.ts";
import { Peer } from "../kit/peer.ts";
import type { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { settled, until } from "../kit/waiting.ts";
import { COUNTER, countingFrame } from "../kit/wire.ts";
import { IN_MEMORY, portOf, rowsOf, startServer } from "./relay.ts";

const FILE = "/mnt/measures.csv";

/** A server outside of everybody's way, whose file is on a disk of 256 KB; its port is reached from the inside only. */
async function startOnSmallDisk(namespace: Namespace, args: readonly string[] = []): Promise<Program> {
  await namespace.run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", "/mnt");
  return await startServer(FILE, {
    wrapper: ["nsenter", "--target", String(namespace.pid), "--mount", "--"],
    args: [...args],
  });
}

Deno.test({
  name:
    "a full disk is an error that names the file; clients wait, and once there is room every point is written",
  ...needs(linux, namespaces),
  async fn() {
    await using disk = await Namespace.create();
    await using server = await startOnSmallDisk(disk, IN_MEMORY);
    const port = portOf(server);
    await using peer = await Peer.client(port, "node", [COUNTER]);
    const total = 700_000;
    let sent = 0;
    const sending = (async () => {
      for (; sent < total; sent += 2000) await peer.send(countingFrame("node", sent, 2000));
      await peer.conn.closeWrite();
      await peer.closed();
    })();
    sending.catch(() => {});

    const { level, file, reason } = await server.line(/Cannot write/);
    assert.equal(level, "error");
    assert.equal(file, FILE);
    assert.match(String(reason), /No space left on device/);
    // Another client is welcome, and waits too.
    await using other = await Peer.client(port, "other", [{ ...COUNTER, id: 9 }]);
    await other.send(countingFrame("other", 0, 100, 9));
    await settled(() => sent);
    assert.ok(sent < total);

    await disk.run("mount", "-o", "remount,size=200m", "/mnt");
    await server.line(/Writing to the file again/);
    await sending;
    await other.conn.closeWrite();
    await other.closed();
    assert.equal(await server.stop(), 0, server.log);
    assert.equal(server.matching(/Cannot write/).length, 1, "it does not complain at each try");
    const rows = rowsOf(await Deno.readTextFile(disk.path(FILE)));
    assert.equal(rows.length, total + 100);
    const values = (name: string) =>
      rows.filter((row) => row.relay_client === name).map(({ value }) => Number(value));
    assert.deepEqual(values("node"), Array.from({ length: total }, (_, i) => i));
    assert.deepEqual(values("other"), Array.from({ length: 100 }, (_, i) => i));
  },
});

Deno.test({
  name: "a server stopped while its disk is full says how many points it loses, and leaves no torn row",
  ...needs(linux, namespaces),
  async fn() {
    await using disk = await Namespace.create();
    await using server = await startOnSmallDisk(disk, [
      "--config-override",
      "shutdown_timeout=2s",
      ...IN_MEMORY,
    ]);
    await using peer = await Peer.client(portOf(server), "node", [COUNTER]);
    let sent = 0;
    const sending = (async () => {
      for (; sent < 700_000; sent += 2000) await peer.send(countingFrame("node", sent, 2000));
    })();
    sending.catch(() => {});
    await server.line(/Cannot write/);
    assert.equal(await server.stop(), 69, server.log);
    const [{ given_up }] = server.matching(/are given up/);
    const rows = rowsOf(await Deno.readTextFile(disk.path(FILE)));
    assert.deepEqual(
      rows.map(({ value }) => Number(value)),
      Array.from({ length: rows.length }, (_, i) => i),
    );
    assert.ok(rows.length > 0);
    // Rows of a buffer that was written in part are there, and given up all the same.
    const { points } = server.summary("relay-server");
    assert.ok(Number(given_up) <= points && Number(given_up) + rows.length >= points, server.log);
    assert.equal(server.matching(/Cannot write/).length, 1);
    await sending.catch(() => {});
  },
});

Deno.test({
  name:
    "a server whose output disk is full goes on with a journal on another disk, and its next start writes all",
  ...needs(linux, namespaces),
  async fn() {
    await using disk = await Namespace.create();
    await using dir = new TempDir();
    const state = ["--state-dir", dir.path];
    await using full = await startOnSmallDisk(disk, [...state, "--config-override", "shutdown_timeout=1s"]);
    await using peer = await Peer.client(portOf(full), "node", [COUNTER]);
    const total = 100_000;
    for (let sent = 0; sent < total; sent += 2000) await peer.send(countingFrame("node", sent, 2000));
    await full.line(/Cannot write/);
    await peer.conn.closeWrite();
    await peer.closed();
    assert.equal(await full.stop(), 0, full.log);
    const { kept_in_journal } = full.lines.findLast(({ message }) => message === "Stopped")!;
    assert.ok(Number(kept_in_journal) > 0 && Number(kept_in_journal) <= total, full.log);
    assert.equal(full.summary("relay-server").points, total);

    await disk.run("mount", "-o", "remount,size=200m", "/mnt");
    await using next = await startServer(FILE, {
      wrapper: ["nsenter", "--target", String(disk.pid), "--mount", "--"],
      args: state,
    });
    await until(() => next.soFar(/"error"/).length > 0 || countRows(disk.path(FILE)) >= total);
    assert.equal(await next.stop(), 0, next.log);
    assert.equal(next.lines.at(-1)!.kept_in_journal, undefined, next.log);
    const rows = rowsOf(await Deno.readTextFile(disk.path(FILE)));
    assert.deepEqual(
      [...new Set(rows.map(({ value }) => Number(value)))],
      Array.from({ length: total }, (_, i) => i),
    );
  },
});

function countRows(path: string): number {
  return Deno.readTextFileSync(path).split("\n").length - 2;
}
