/** Stand-in for `@std/cli`: {@linkcode parseArgs}. */
export * from "./parse_args.ts";
