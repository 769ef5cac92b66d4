/** The program. @module */
import { main } from "./lib/cli.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
