/** Stand-in for `@std/async`: waiting and trying again. */
export * from "./abortable.ts";
export * from "./delay.ts";
export * from "./retry.ts";
