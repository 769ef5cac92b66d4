import assert from "node:assert/strict";
import { NetworkSource } from "../../../lib/inputs/procfs/network.ts";
import { closing, measuringOf, pollOnce, rows, values } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

function networkOf(tree: Tree) {
  return closing(new NetworkSource(measuringOf(tree)));
}

Deno.test("network has nothing at the first poll, and then the differences, in Alumet's order", () => {
  using tree = new Tree();
  using network = networkOf(tree);
  assert.deepEqual(rows(pollOnce(network)), []);
  tree.edit("proc/net/dev", /eth0: .*/, "eth0:122243655 2637 4 6 0 0 0 0 118975 1497 10 12 0 0 0 0");
  const row = (name: string, direction: string, device: string, value: number) =>
    `${name}{interface=${device} direction=${direction}} local_machine local_machine ${value}`;
  const expected = (device: string, values: number[]) =>
    ["rx", "tx"].flatMap((direction, d) =>
      ["network_bytes", "network_packets", "network_packet_drops", "network_errors"].map((name, i) =>
        row(name, direction, device, values[4 * d + i])
      )
    );
  assert.deepEqual(rows(pollOnce(network)), [
    ...expected("lo", [0, 0, 0, 0, 0, 0, 0, 0]),
    ...expected("eth0", [1, 2, 4, 3, 5, 6, 8, 7]),
  ]);
});

Deno.test("an interface that appears later is measured from 0, again when it comes back", () => {
  using tree = new Tree();
  using network = networkOf(tree);
  const without = tree.read("proc/net/dev");
  pollOnce(network);
  tree.write("proc/net/dev", without + " veth1: 11 12 13 14 0 0 0 0 15 16 17 18 0 0 0 0\n");
  const added = () => values(pollOnce(network)).slice(16);
  assert.deepEqual(added(), [11, 12, 14, 13, 15, 16, 18, 17]);
  assert.deepEqual(added(), [0, 0, 0, 0, 0, 0, 0, 0]);
  tree.write("proc/net/dev", without);
  assert.deepEqual(added(), []);
  tree.write("proc/net/dev", without + " veth1: 20 12 13 14 0 0 0 0 15 16 17 18 0 0 0 0\n");
  assert.deepEqual(added(), [20, 12, 14, 13, 15, 16, 18, 17]);
});

Deno.test("an interface whose counters go back has no points, and counts from there", () => {
  using tree = new Tree();
  using network = networkOf(tree);
  pollOnce(network);
  tree.edit("proc/net/dev", /eth0: .*/, "eth0: 999999999999 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
  assert.equal(pollOnce(network).length, 8, "only lo");
  tree.edit("proc/net/dev", /eth0: .*/, "eth0: 1000000000002 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0");
  assert.deepEqual(values(pollOnce(network)).slice(8), [3, 1, 0, 0, 0, 0, 0, 0]);
});

Deno.test("network counters above 2^53 are exact", () => {
  using tree = new Tree();
  using network = networkOf(tree);
  pollOnce(network);
  tree.edit(
    "proc/net/dev",
    /eth0: .*/,
    "eth0: 18446744073709551614 9007199254740992 0 0 0 0 0 0 9 9 9 9 0 0 0 0",
  );
  pollOnce(network);
  tree.edit(
    "proc/net/dev",
    /eth0: .*/,
    "eth0: 18446744073709551615 9007199254740993 0 0 0 0 0 0 9 9 9 9 0 0 0 0",
  );
  assert.deepEqual(values(pollOnce(network)).slice(8, 10), [1, 1]);
  const huge = " veth1: 18446744073709551615 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
  tree.write("proc/net/dev", tree.read("proc/net/dev") + huge);
  assert.match(rows(pollOnce(network))[16], / 18446744073709551615$/);
});

Deno.test("an interface is a line with a name and twelve numbers, the last line as well", () => {
  using tree = new Tree(null);
  const numbers = "1 2 3 4 0 0 0 0 5 6 7 8";
  const poll = (text: string) => {
    using network = networkOf(tree);
    tree.write("proc/net/dev", text);
    pollOnce(network);
    return [...new Set(rows(pollOnce(network)).map((row) => /interface=(\S+)/.exec(row)![1]))];
  };
  assert.deepEqual(poll(`\na: ${numbers}\nb:${numbers}\n\n ${numbers}\nc: 1 2 3\nd: ${numbers}`), [
    "a",
    "b",
    "d",
  ]);
  assert.deepEqual(poll(`a: ${numbers}`), ["a"], "there is no line break at all");
  using network = networkOf(tree);
  for (const [text, points] of [[`a: ${numbers} b:`, 0], [`a: ${numbers}`, 8]] as const) {
    tree.write("proc/net/dev", text);
    pollOnce(network);
    assert.equal(pollOnce(network).length, points, "what stands behind the end does not count");
  }
  const many = Array.from({ length: 2000 }, (_, i) => `veth${i}: ${numbers} 0 0 0 0`);
  assert.equal(poll(many.join("\n")).length, 2000);
});

Deno.test("a system without /proc/net/dev is said once", () => {
  using tree = new Tree(null);
  const lines: string[] = [];
  using network = closing(new NetworkSource(measuringOf(tree, lines)));
  for (let n = 0; n < 3; n++) assert.equal(pollOnce(network).length, 0);
  assert.equal(lines.filter((line) => line.includes("No data")).length, 1);
});
