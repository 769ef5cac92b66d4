import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";

async function tried(role: "server" | "client"): Promise<Record<string, string>> {
  const main = new URL("../kit/permissions_main.ts", import.meta.url).pathname;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--unstable-net", "--no-check", main, role],
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assert.match(text, /^\{/, new TextDecoder().decode(stderr));
  return JSON.parse(text);
}

Deno.test({
  name: "a running server cannot start programs, load libraries or fetch code, but can load its own modules",
  ...needs(linux),
  async fn() {
    const { run, ffi, import: fetched, lazy } = await tried("server");
    assert.deepEqual([run, ffi, lazy], ["NotCapable", "NotCapable", "allowed"]);
    // Deno says it in its own words for modules.
    assert.notEqual(fetched, "allowed");
  },
});

Deno.test({
  name: "a client that measures its machine keeps the permissions for that",
  ...needs(linux),
  async fn() {
    const { run, proc } = await tried("client");
    assert.deepEqual([run, proc], ["allowed", "allowed"]);
  },
});
