import assert from "node:assert/strict";
import { runAgent } from "../../lib/agent.ts";
import { EXIT } from "../../lib/base/errors.ts";
import type { InputPlugin, OutputPlugin } from "../../lib/plugin.ts";
import { table } from "../../lib/schema.ts";
import { LogLines } from "../kit/log_lines.ts";
import { until } from "../kit/waiting.ts";

const declaration = { description: "for tests", config: table({}, { doc: "Nothing." }) };

Deno.test({
  name:
    "a signal while the agent closes what it had open ends the process by its exit, with the last lines of the log",
  // It listens to signals until the process has ended.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const closing = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const source: InputPlugin<unknown> = {
      ...declaration,
      name: "source",
      kind: "input",
      open: () =>
        Promise.resolve({
          run: (_sink, stop) =>
            new Promise((resolve) => stop.addEventListener("abort", () => resolve(), { once: true })),
          async [Symbol.asyncDispose]() {
            closing.resolve();
            await closed.promise;
          },
        }),
    };
    const store: OutputPlugin<unknown> = {
      ...declaration,
      name: "store",
      kind: "output",
      open: () =>
        Promise.resolve({
          run: async (reader, signal) => void await reader.wait(Infinity, signal),
          async [Symbol.asyncDispose]() {},
        }),
    };
    const codes: number[] = [];
    const logs = new LogLines();
    const plugins = [source, store].map((plugin) => ({ plugin, config: {} }));
    const running = runAgent(
      { general: { shutdown_timeout: 60_000 }, plugins },
      logs.log,
      { exit: (code) => (codes.push(code), new Promise<never>(() => {})) },
    );
    await until(() => logs.matching(/Running/).length === 1);
    Deno.kill(Deno.pid, "SIGTERM");
    await closing.promise;
    // Without a listener it would end this process.
    Deno.kill(Deno.pid, "SIGTERM");
    await until(() => codes.length === 1);
    closed.resolve();
    assert.equal(await running, EXIT.ok);
    Deno.kill(Deno.pid, "SIGTERM");
    await until(() => codes.length === 2);
    assert.deepEqual(codes, [143, 143]);
  },
});
