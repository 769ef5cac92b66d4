import assert from "node:assert/strict";
import { CgroupsSources } from "../../../lib/inputs/cgroups/input.ts";
import { hierarchiesOf } from "../../../lib/inputs/cgroups/hierarchies.ts";
import { k8s } from "../../../lib/inputs/k8s.ts";
import type { K8sConfig } from "../../../lib/inputs/k8s/config.ts";
import { openK8s } from "../../../lib/inputs/k8s/input.ts";
import { oar } from "../../../lib/inputs/oar.ts";
import { openOar } from "../../../lib/inputs/oar/input.ts";
import { slurm } from "../../../lib/inputs/slurm.ts";
import { openSlurm } from "../../../lib/inputs/slurm/input.ts";
import { UNITY } from "../../../lib/inputs/polling/points.ts";
import type { Measuring, Sources } from "../../../lib/inputs/polling/source.ts";
import { seriesOf } from "../../../lib/points/measurement.ts";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { ProcFiles } from "../../../lib/inputs/polling/files.ts";
import { removeCgroup } from "../../kit/cgroups.ts";
import { closing, collect, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { kernelAllows, linux, type Need } from "../../kit/needs.ts";

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
  ...kernelAllows(linux, groups),
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
      await removeCgroup(folder);
    }
    assert.ok(!rows(pollOnce(source)).some((row) => row.includes(NAME)));
  },
});

/** The source of an input that knows certain groups, and its transform. */
function open<C>(
  plugin: { config: { defaultValue(): unknown } },
  opened: (config: C, measuring: Measuring) => Sources<C>,
) {
  const config = { ...plugin.config.defaultValue() as C, annotate_foreign_measurements: true };
  const sources = opened(config, measuringOf({}));
  return { sources, source: closing(sources.wanted(config)[0].open()) };
}

const UID = "0123456789abcdef".repeat(2);
const CASES = [
  {
    input: () => open(slurm, openSlurm),
    path: `/${NAME}/slurm/uid_7/job_42`,
    attributes: "user_id=7 job_id=42",
  },
  { input: () => open(oar, openOar), path: `/${NAME}/oar/toto_43`, attributes: "user=toto job_id=43" },
  {
    input: () => open(k8s, openQuietK8s),
    path: `/${NAME}/kubepods/pod${UID}`,
    attributes: `uid=${UID} node=n`,
  },
];

/** Nobody answers there: names are not what is tested. */
function openQuietK8s(config: K8sConfig, measuring: Measuring) {
  const keys = {
    ...config,
    k8s_api_url: "http://127.0.0.1:1",
    k8s_node: "n",
    token_retrieval: "file" as const,
  };
  return openK8s(keys, measuring, { accountToken: "/nonexistent" });
}

for (const { input, path, attributes } of CASES) {
  Deno.test({
    name: `a group of the kernel called ${
      path.split("/").slice(2).join("/")
    } is measured, and a process in it annotated`,
    ...kernelAllows(linux, groups),
    async fn() {
      const { sources, source } = input();
      using _ = source;
      pollOnce(source);
      const folders = path.split("/").slice(1).map((_, i, parts) =>
        `${hierarchy!.root}/${parts.slice(0, i + 1).join("/")}`
      );
      const child = new Deno.Command("sh", { args: ["-c", "read end"], stdin: "piped" }).spawn();
      try {
        for (const folder of folders) Deno.mkdirSync(folder);
        Deno.writeTextFileSync(`${folders.at(-1)}/cgroup.procs`, String(child.pid));
        const measured = rows(pollOnce(source)).filter((row) => row.startsWith("cpu_time_delta"));
        assert.ok(measured.length > 0);
        assert.ok(measured.every((row) => row.includes(`{${attributes} kind=`)), measured.join("\n"));
        const metric = new MetricRegistry().register({
          name: "a",
          type: "f64",
          unit: UNITY,
          description: "",
        });
        const process = seriesOf(metric, { consumerKind: "process", consumerId: String(child.pid) });
        const batch = sources.transform!.apply(collect((points) => points.f64(process, 1)));
        assert.deepEqual(rows(batch), [`a{${attributes}} local_machine process:${child.pid} 1`]);
      } finally {
        await child.stdin.close();
        await child.status;
        for (const folder of folders.reverse()) await removeCgroup(folder);
        await sources.close?.();
      }
      assert.deepEqual(rows(pollOnce(source)), []);
    },
  });
}
