/** Values in layers: the file, and the command line laid over it. */
import { isTable } from "../schema.ts";
import type { Path } from "../schema/path.ts";
import type { ConfigFile } from "./file.ts";
import { mergeTree, type Override } from "./overrides.ts";
import type { Source } from "./source.ts";

/** The value at a path of a tree, or `undefined`. */
function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === "number") value = value[step];
    else if (isTable(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** The file with the command line laid over it. */
export class LayeredValues {
  readonly tree: Record<string, unknown>;
  readonly #file: ConfigFile | undefined;
  readonly #overrides: readonly Override[];

  constructor(file: ConfigFile | undefined, overrides: readonly Override[]) {
    this.#file = file;
    this.#overrides = overrides;
    this.tree = overrides.reduce((tree, override) => mergeTree(tree, override.tree), file?.tree ?? {});
  }

  at(path: Path): unknown {
    return valueAt(this.tree, path);
  }

  /** The override that gave the value at this path, or put another value in the place of it. */
  #override(path: Path): Override | undefined {
    return this.#overrides.findLast(({ tree }) => {
      for (let length = path.length; length > 0; length--) {
        const value = valueAt(tree, path.slice(0, length));
        if (value !== undefined) return length === path.length || !isTable(value);
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

  /** The source of a value, or of the nearest table around it that was given. */
  nearestSource(path: Path): Source {
    for (let length = path.length; length > 0; length--) {
      const source = this.source(path.slice(0, length));
      if (source.kind !== "default") return source;
    }
    return this.#file ? { kind: "file", file: this.#file.path, variables: [] } : { kind: "default" };
  }
}
