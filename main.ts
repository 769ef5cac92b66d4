/** The program. @module */
import { runProcess } from "./lib/cli.ts";

if (import.meta.main) await runProcess(Deno.args);
