/**
 * Flags of V8 that the program is compiled with, and measured with.
 *
 * Hot paths allocate nothing per point, so a large young generation would only hold garbage for longer: with 2 MB
 * instead of 16 the server of 100 clients needs a third less memory, and no more time (bench/README.md).
 * A client collects its garbage every five minutes (lib/agent/spare_memory.ts).
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=2,--expose-gc";
