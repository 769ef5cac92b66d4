import assert from "node:assert/strict";
import { CgroupsSources } from "../../../lib/inputs/cgroups/input.ts";
import { hierarchiesOf } from "../../../lib/inputs/cgroups/hierarchies.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { closing, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { linux, type Need, needs } from "../../kit/needs.ts";

const NAME = `alumet-relay-test-${Deno.pid}`;
const hierarchy = hierarchiesOf(new ProcFiles()).find(({ hasCpu }) => hasCpu);

/** The source of the input `cgroups`, on this machine. */
function openSource() {
  const config = { poll_interval: 1000, disable_sources: false, describe_groups: true };
  return closing(new CgroupsSources(measuringOf({})).wanted(config)[0].open());
}

/** The kernel lets this process make groups. */
const groups: Need = () => {
  try {
    Deno.mkdirSync(`${hierarchy?.root}/${NAME}`);
    Deno.removeSync(`${hierarchy?.root}/${NAME}`);
    return undefined;
  } catch {
    return "needs the right to make control groups (root)";
  }
};

Deno.test({
  name: "a process that computes in a group of the kernel uses about as much CPU time as it says",
  ...needs(linux, groups),
  async fn() {
    const folder = `${hierarchy!.root}/${NAME}`;
    using source = closing(openSource());
    pollOnce(source);
    Deno.mkdirSync(folder);
    let child: Deno.ChildProcess | undefined;
    try {
      const script =
        `echo $$ > ${folder}/cgroup.procs; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; times`;
      child = new Deno.Command("sh", { args: ["-c", script], stdout: "piped" }).spawn();
      const { stdout } = await child.output();
      // The first line of `times` is the shell's own: user and system, as 0m0.52s.
      const seconds = [...new TextDecoder().decode(stdout).split("\n")[0].matchAll(/(\d+)m([\d.]+)s/g)]
        .reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
      const batch = pollOnce(source);
      const row = Array.from({ length: batch.length }, (_, row) => row).find((row) => {
        const { metric, consumerId, attributes } = batch.seriesAt(row);
        return metric.name === "cpu_time_delta" && consumerId.endsWith(NAME) && attributes[0][1] === "total";
      });
      assert.ok(row !== undefined, "the group is there at the next poll");
      const measured = batch.values[row] / 1e9;
      assert.ok(
        Math.abs(measured - seconds) < 0.1 + 0.2 * seconds,
        `${measured} s, the shell says ${seconds} s`,
      );
    } finally {
      Deno.removeSync(folder);
    }
    assert.ok(!rows(pollOnce(source)).some((row) => row.includes(NAME)));
  },
});
