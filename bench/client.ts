/** The client as a process: procfs, at a quick pace, over TCP to a server of ours. */
import { freePort, MAIN, start, stop, type Usage, usageOf } from "./process.ts";
import { pause } from "../tests/kit/waiting.ts";

const POLL_MS = 100;
const PARTS = ["kernel", "memory", "network"];

export interface ClientRun extends Usage {
  processes: number;
  polls: number;
  /** CPU time for one poll of everything, with sending it. */
  cpuMsPerPoll: number;
}

function countProcesses(): number {
  return [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).length;
}

/** @param processes Sleeping ones are started until there are this many; all that run on the machine are measured. */
export async function benchClient(directory: string, processes = 370, seconds = 10): Promise<ClientRun> {
  const missing = Math.max(0, processes - countProcesses() - 3);
  const sleepers = new Deno.Command("sh", {
    args: [
      "-c",
      `trap 'kill $all' TERM; for i in $(seq ${missing}); do sleep 600 & all="$all $!"; done; wait`,
    ],
  }).spawn();
  const address = `127.0.0.1:${freePort()}`;
  const path = `${directory}/client.csv`;
  const own = ["--config", "/dev/null", "--plugins"];
  const server = await start([
    MAIN,
    ...own,
    "relay-server,csv",
    "--relay-in",
    address,
    "--output-file",
    path,
  ]);
  const settings = [
    ...PARTS.map((part) => `plugins.procfs.${part}.poll_interval='${POLL_MS}ms'`),
    `plugins.procfs.processes.groups=[{exe_regex='',poll_interval='${POLL_MS}ms',flush_interval='1s',memory_mode='quick'}]`,
  ].flatMap((setting) => ["--config-override", setting]);
  const client = await start([MAIN, ...own, "procfs,relay-client", "--relay-out", address, ...settings]);
  try {
    // Discovery and the first compilation of the hot paths are not what lasts.
    await pause(3000);
    const before = usageOf(client.pid);
    await pause(seconds * 1000);
    const usage = usageOf(client.pid);
    const polls = seconds * 1000 / POLL_MS;
    const cpuMsPerPoll = (usage.cpuSeconds - before.cpuSeconds) * 1000 / polls;
    return { ...usage, processes: countProcesses(), polls, cpuMsPerPoll };
  } finally {
    await stop(client);
    await stop(server);
    sleepers.kill("SIGTERM");
    await sleepers.status;
    await Deno.remove(path);
  }
}
