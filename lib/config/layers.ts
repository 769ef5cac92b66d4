/** Values in layers: the command line overrides the file. */
import { isTable } from "../schema.ts";
import type { Path } from "../schema/path.ts";
import type { ConfigFile } from "./file.ts";
import { applyOverride, isPartial, type Override, valueAt } from "./overrides.ts";
import type { Source } from "./source.ts";

/** The values of the file, overridden by the command line. */
export class LayeredValues {
  readonly tree: Record<string, unknown>;
  readonly #file: ConfigFile | undefined;
  readonly #overrides: readonly Override[];

  constructor(file: ConfigFile | undefined, overrides: readonly Override[]) {
    this.#file = file;
    this.#overrides = overrides;
    this.tree = overrides.reduce(applyOverride, file?.tree ?? {});
  }

  at(path: Path): unknown {
    return valueAt(this.tree, path);
  }

  /** The override that set or replaced the value at this path. */
  #override(path: Path): Override | undefined {
    return this.#overrides.findLast(({ tree }) => {
      for (let length = path.length; length > 0; length--) {
        const value = valueAt(tree, path.slice(0, length));
        if (value !== undefined) return length === path.length || !isPartial(value);
      }
      return false;
    });
  }

  isOverridden(path: Path): boolean {
    const value = this.at(path);
    return value !== undefined && !isTable(value) && this.#override(path) !== undefined;
  }

  readonly source = (path: Path): Source => {
    const value = this.at(path);
    const inFile = this.#file !== undefined && valueAt(this.#file.tree, path) !== undefined;
    const override = value !== undefined && !(inFile && isTable(value)) ? this.#override(path) : undefined;
    if (override) return { kind: "flag", flag: override.flag };
    return inFile ? this.#file!.source(path) : { kind: "default" };
  };

  /** The source of a value, or of the nearest given table around it. */
  nearestSource(path: Path): Source {
    for (let length = path.length; length > 0; length--) {
      const source = this.source(path.slice(0, length));
      if (source.kind !== "default") return source;
    }
    return this.#file ? { kind: "file", file: this.#file.path, variables: [] } : { kind: "default" };
  }
}
