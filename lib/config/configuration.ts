/** A configuration that has been read and checked. */
import type { Plugin } from "../plugin.ts";
import type { Path } from "../schema/path.ts";
import type { Source } from "./source.ts";

/** A plugin that runs, with its checked and completed configuration. */
export interface ConfiguredPlugin {
  readonly plugin: Plugin;
  readonly config: unknown;
  /** Why it runs. */
  readonly source: Source;
}

/** A valid configuration. */
export interface Configuration<G> {
  readonly general: G;
  /** The plugins that run, in order. */
  readonly plugins: readonly ConfiguredPlugin[];
  /** The file that was read. */
  readonly file?: string;
  /** What the user should know, such as keys without effect and flags that override the file. */
  readonly notes: readonly string[];
  /** Of a template: what somebody must write into it. */
  readonly lacks?: readonly string[];
  /** The source of the value at a path. */
  source(path: Path): Source;
}
