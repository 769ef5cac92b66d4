import assert from "node:assert/strict";
import { EXIT, ExitError } from "../../lib/base/errors.ts";
import { findStateBase, roleOf, StateDirectory } from "../../lib/agent/state_directory.ts";
import type { Plugin } from "../../lib/plugin.ts";
import { unlocked } from "../kit/locks.ts";
import { TempDir } from "../kit/temp_dir.ts";

const env = (variables: Record<string, string>) => (name: string) => variables[name];

Deno.test("the flag, systemd, the session and the home directory set the state directory, in this order", () => {
  const all = { STATE_DIRECTORY: "/var/lib/relay:/x", XDG_STATE_HOME: "/s", HOME: "/h" };
  assert.deepEqual(findStateBase("/flag", env(all)), { path: "/flag", from: "--state-dir" });
  assert.deepEqual(findStateBase(undefined, env(all)), { path: "/var/lib/relay", from: "STATE_DIRECTORY" });
  assert.deepEqual(findStateBase(undefined, env({ ...all, STATE_DIRECTORY: "" })), {
    path: "/s/alumet-relay",
    from: "XDG_STATE_HOME",
  });
  assert.deepEqual(findStateBase(undefined, env({ HOME: "/h" })), {
    path: "/h/.local/state/alumet-relay",
    from: "HOME",
  });
  assert.equal(findStateBase(undefined, env({})), null);
});

const kinds = {
  local: { kind: "input" },
  receiver: { kind: "input", receives: true },
  sender: { kind: "output", sends: true },
  store: { kind: "output" },
} as unknown as Record<string, Plugin>;

Deno.test("the role of a process follows from which of its plugins send and receive", () => {
  const { local, receiver, sender, store } = kinds;
  assert.equal(roleOf([local, sender]), "client");
  assert.equal(roleOf([receiver, store]), "server");
  assert.equal(roleOf([receiver, sender]), "hop");
  assert.equal(roleOf([local, receiver, sender, store]), "hop");
  assert.equal(roleOf([local, store]), "local");
});

async function refusal(work: Promise<unknown>): Promise<ExitError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof ExitError);
    return error;
  }
  throw new Error("it was not refused");
}

Deno.test("the directory of a role is created, locked while it is used, and free again afterwards", async () => {
  await using dir = new TempDir();
  const base = { path: dir.file("a/b"), from: "--state-dir" };
  {
    using first = await StateDirectory.open(base, "client");
    assert.equal(first.path, dir.file("a/b/client"));
    assert.equal(Deno.statSync(first.path).mode! & 0o777, 0o750);
    using _server = await StateDirectory.open(base, "server");
    const { exitCode, message } = await refusal(StateDirectory.open(base, "client"));
    assert.equal(exitCode, EXIT.unavailable);
    assert.match(message, /Cannot use the state directory \S+\/a\/b\/client \(by --state-dir\)/);
    assert.match(message, new RegExp(`process ${Deno.pid} uses it; stop .*--state-dir`));
  }
  await unlocked(dir.file("a/b/client/lock"));
  using _again = await StateDirectory.open(base, "client");
});

Deno.test("the errors about a missing and an unwritable directory say what to do", async () => {
  const nowhere = await refusal(StateDirectory.open(null, "client"));
  assert.equal(nowhere.exitCode, EXIT.config);
  assert.match(nowhere.message, /STATE_DIRECTORY.*XDG_STATE_HOME.*HOME.*--state-dir/);
  await using dir = new TempDir();
  await Deno.writeTextFile(dir.file("file"), "");
  const refused = await refusal(
    StateDirectory.open({ path: dir.file("file"), from: "XDG_STATE_HOME" }, "hop"),
  );
  assert.equal(refused.exitCode, EXIT.unavailable);
  assert.match(refused.message, /file\/hop \(by XDG_STATE_HOME\): .*--state-dir/);
});
