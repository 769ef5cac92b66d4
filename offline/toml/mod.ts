/** Stand-in for `@std/toml`: {@linkcode parse} and {@linkcode stringify}. */
export * from "./parse.ts";
export * from "./stringify.ts";
