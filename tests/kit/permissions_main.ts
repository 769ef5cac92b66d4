/** An agent whose output tries what a server has no use for, and prints what came of it: `permissions_main.ts server|client`. */
import { runAgent } from "../../lib/agent.ts";
import { procfs } from "../../lib/inputs/procfs.ts";
import { createLogger } from "../../lib/base/log.ts";
import { relayServer } from "../../lib/inputs/relay_server.ts";
import { definePlugin } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";

async function attempt(work: () => unknown): Promise<string> {
  try {
    await work();
    return "allowed";
  } catch (error) {
    return (error as Error).name;
  }
}

const stop = new AbortController();

const trying = definePlugin({
  name: "trying",
  kind: "output",
  description: "Tries what it may do",
  config: table({}, { doc: "Nothing." }),
  open: () =>
    Promise.resolve({
      async run() {
        const result = {
          run: await attempt(() => new Deno.Command("true").output()),
          ffi: await attempt(() =>
            Deno.dlopen("libm.so.6", { cos: { parameters: ["f64"], result: "f64" } }).close()
          ),
          import: await attempt(() => import("https://127.0.0.1:1/nothing.ts" as string)),
          proc: await attempt(() => Deno.readTextFile("/proc/uptime")),
          lazy: await attempt(() => import("../../lib/journal/disk/disk_journal.ts")),
        };
        console.log(JSON.stringify(result));
        stop.abort();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
});

const input = Deno.args[0] === "server"
  ? { plugin: relayServer, config: { ...relayServer.config.defaultValue(), address: "127.0.0.1:0" } }
  : { plugin: procfs, config: procfs.config.defaultValue() };
Deno.exit(
  await runAgent(
    { general: { shutdown_timeout: 60_000 }, plugins: [input, { plugin: trying, config: {} }] },
    createLogger("test"),
    { stop: stop.signal, signals: false, dropPermissions: true },
  ),
);
