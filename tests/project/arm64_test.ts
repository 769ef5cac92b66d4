/** The program for arm64, compiled and started on another machine. */
import assert from "node:assert/strict";
import { type Need, needs, program } from "../kit/needs.ts";
import { TempDir } from "../kit/temp_dir.ts";

const ROOT = `${import.meta.dirname}/../..`;
const TARGET = "aarch64-unknown-linux-gnu";
const QEMU = "qemu-aarch64-static";
/** A folder with glibc and libgcc of arm64, as Debian's packages libc6 and libgcc-s1 lay them out. */
const SYSROOT = Deno.env.get("ARM64_SYSROOT") || "";

const sysroot: Need = () => SYSROOT ? undefined : "needs the libraries of arm64 (ARM64_SYSROOT)";
const needed = needs(program(QEMU, "qemu-user-static", "--version"), sysroot);

async function run(command: string, args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, cwd: ROOT, stdin: "null" })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("the program compiles for arm64, and starts there", needed, async () => {
  await using directory = new TempDir();
  const path = `${directory.path}/alumet-relay`;
  const compiled = await run("./denow", ["task", "compile", "--target", TARGET, "--output", path]);
  assert.equal(compiled.code, 0, compiled.err);
  const started = await run(QEMU, ["-L", SYSROOT, path, "--version"]);
  const { version } = JSON.parse(Deno.readTextFileSync(`${ROOT}/deno.json`));
  assert.deepEqual([started.code, started.out], [0, `alumet-relay ${version}\n`], started.err);
  const config = await run(QEMU, ["-L", SYSROOT, path, "config", "regen", "--config", "-"]);
  assert.equal(config.out, Deno.readTextFileSync(`${ROOT}/config.example.toml`), config.err);
});
