import assert from "node:assert/strict";
import { RealTime } from "../../../lib/inputs/polling/real_time.ts";
import { has, linux, needs, succeeds } from "../../kit/needs.ts";

/** Whether this process may take real-time priority: some containers forbid it to root, too. */
const isAllowed = () => succeeds("chrt", "--rr", "1", "true");

/** Field 41 of stat: 0 is the usual policy, 2 round-robin in real time; none of a thread that has just ended. */
function policyOf(path: string): number[] {
  try {
    const stat = Deno.readTextFileSync(path);
    return [Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[38])];
  } catch {
    return [];
  }
}

const policies = () =>
  new Set(
    [...Deno.readDirSync("/proc/self/task")].flatMap(({ name }) => policyOf(`/proc/self/task/${name}/stat`)),
  );

Deno.test({
  name:
    "all threads have real-time priority until it ends, or none where it is forbidden; programs that are started never do",
  ...needs(linux, has("chrt", "util-linux")),
  async fn() {
    if (!isAllowed()) return assert.equal(RealTime.begin(), null);
    {
      using realTime = RealTime.begin();
      assert.ok(realTime);
      assert.ok(policies().has(2));
      const { stdout } = await new Deno.Command("cat", { args: ["/proc/self/stat"] }).output();
      const fields = new TextDecoder().decode(stdout).split(") ")[1].split(" ");
      assert.equal(fields[38], "0");
      assert.ok(realTime.refresh());
    }
    assert.deepEqual([...policies()], [0]);
  },
});
