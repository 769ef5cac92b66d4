import assert from "node:assert/strict";
import { config } from "../../../lib/inputs/procfs/config.ts";
import type { Problem } from "../../../lib/schema.ts";

function check(value: unknown) {
  const problems: Problem[] = [];
  return { config: config.check(value, [], (problem) => problems.push(problem)), problems };
}

Deno.test("the keys, the defaults and the recorded configuration are those of Alumet", () => {
  assert.deepEqual(config.defaultValue(), {
    kernel: { enabled: true, poll_interval: 5000 },
    memory: {
      enabled: true,
      poll_interval: 5000,
      metrics: [
        "MemTotal",
        "MemFree",
        "MemAvailable",
        "Cached",
        "SwapCached",
        "Active",
        "Inactive",
        "Mapped",
      ],
    },
    network: { enabled: true, poll_interval: 5000 },
    processes: {
      enabled: true,
      refresh_interval: 2000,
      strategy: "watcher",
      groups: [{
        pid: undefined,
        ppid: undefined,
        exe_regex: "",
        poll_interval: 2000,
        flush_interval: 4000,
        memory_mode: "quick",
      }],
      events: { poll_interval: 1000, flush_interval: 4000, memory_mode: "quick" },
    },
  });
  const recorded = check({
    kernel: { enabled: true, poll_interval: "500ms" },
    processes: {
      enabled: true,
      refresh_interval: "2s",
      strategy: "watcher",
      groups: [{ exe_regex: "", poll_interval: "500ms", flush_interval: "1s", memory_mode: "quick" }],
      events: { poll_interval: "1s", flush_interval: "4s", memory_mode: "quick" },
    },
  });
  assert.deepEqual(recorded.problems, []);
  assert.equal(recorded.config.processes.groups[0].flush_interval, 1000);
});

Deno.test("an expression that is wrong is a problem of its key", () => {
  const { problems } = check({ processes: { groups: [{ exe_regex: "ok" }, { exe_regex: "(" }] } });
  assert.deepEqual(problems.map(({ path }) => path.join(".")), ["processes.groups.1.exe_regex"]);
});
