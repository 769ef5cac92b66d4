import assert from "node:assert/strict";
import { ExitError } from "../../lib/base/errors.ts";
import { Secret } from "../../lib/base/secrets.ts";
import { TempDir } from "../kit/temp_dir.ts";

Deno.test("a secret comes from a file without its line break, and again after the file changed", async () => {
  await using dir = new TempDir();
  const path = dir.file("token");
  Deno.writeTextFileSync(path, "t0 k+n=\n");
  const secret = new Secret("", path, "plugins.x.token_file");
  assert.equal(secret.value, "t0 k+n=");
  Deno.writeTextFileSync(path, "second");
  assert.equal(secret.refresh(), undefined);
  assert.equal(secret.value, "second");
  Deno.removeSync(path);
  assert.match(secret.refresh()!, /Cannot read .*token \(plugins.x.token_file\)/);
  assert.equal(secret.value, "second");
});

Deno.test("a secret that is given as a text stays", () => {
  const secret = new Secret("given", "", "plugins.x.token_file");
  assert.equal(secret.refresh(), undefined);
  assert.equal(secret.value, "given");
});

Deno.test("a file without a secret is a configuration error, which does not show the content of the file", async () => {
  await using dir = new TempDir();
  const path = dir.file("token");
  const refused = (pattern: RegExp) =>
    assert.throws(() => new Secret("", path, "plugins.x.token_file"), (error) => {
      assert.ok(error instanceof ExitError && error.exitCode === 78);
      assert.match(error.message, pattern);
      assert.ok(
        error.message.includes("plugins.x.token_file") && !error.message.includes("hidden"),
        error.message,
      );
      return true;
    });
  refused(/No such file/);
  for (
    const [content, pattern] of [
      ["", /it is empty/],
      ["\n", /it is empty/],
      ["hidden\nhidden\n", /expected one line/],
      ["hidden\u0000", /expected one line/],
      ["hidden".repeat(20_000), /has 120000 bytes/],
    ] as const
  ) {
    Deno.writeTextFileSync(path, content);
    refused(pattern);
  }
  Deno.writeFileSync(path, Uint8Array.of(0xff, 0xfe));
  refused(/Cannot read/);
});

Deno.test("a secret has 64 KiB at most", async () => {
  await using dir = new TempDir();
  const path = dir.file("token");
  Deno.writeTextFileSync(path, "x".repeat(65_536));
  assert.equal(new Secret("", path, "plugins.x.token_file").value.length, 65_536);
  Deno.writeTextFileSync(path, "x".repeat(65_537));
  assert.throws(
    () => new Secret("", path, "plugins.x.token_file"),
    /it has 65537 bytes, more than 65536/,
  );
});
