/** Stand-in for `@std/streams`: text from streams. */
export * from "./merge_readable_streams.ts";
export * from "./text_line_stream.ts";
export * from "./to_text.ts";
