/** Whatever happens to the log, measuring and storing go on, and signals work. */
import assert from "node:assert/strict";
import { linux, needs } from "../kit/needs.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { IN_MEMORY, POLL_FAST } from "./relay.ts";

/** A pipe without room, that somebody keeps open and nobody reads. */
const FULL_PIPE = 'mkfifo "$PIPE"; exec 3<>"$PIPE"; head -c 65536 /dev/zero >&3; exec "$@" 2>&3';
const KINDS: [string, string][] = [
  ["leads to a full disk", 'exec "$@" 2>/dev/full'],
  ["is a pipe that nobody reads", FULL_PIPE],
  ["is closed", 'exec "$@" 2>&-'],
];

for (const [what, script] of KINDS) {
  for (const signals of what.includes("pipe") ? [1, 3] : [1]) {
    Deno.test({
      name: `where standard error ${what}, points are stored, and ${signals} SIGTERM end the process`,
      ...needs(linux),
      fn: async () => {
        await using dir = new TempDir();
        const file = dir.file("out.csv");
        await using program = new Program(
          [
            "--plugins",
            "procfs,csv",
            "--output-file",
            file,
            "--log-level",
            "trace",
            ...POLL_FAST,
            ...IN_MEMORY,
          ],
          { wrapper: ["sh", "-c", script, "sh"], env: { PIPE: dir.file("pipe") } },
        );
        const rows = () => {
          try {
            return Deno.readTextFileSync(file).split("\n").length;
          } catch {
            return 0;
          }
        };
        await until(() => rows() > 0);
        const before = rows();
        await until(() => rows() > before + 20);
        for (let n = 1; n < signals; n++) program.signal("SIGTERM");
        const code = await program.stop("SIGTERM");
        if (signals === 1) assert.equal(code, 0);
        else assert.ok(code === 0 || code === 143, `${code}`);
      },
    });
  }
}
