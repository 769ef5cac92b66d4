/**
 * Declarations of configuration keys. A plugin declares each of its keys once, with its documentation, default and
 * limits; checking a file, completing it, error messages and the commented default file come from the declaration.
 *
 *     const config = table({
 *       address: text({ doc: "Where to listen.", default: "[::]:50051", check: addressProblem }),
 *       poll_interval: duration({ doc: "Time between two polls.", default: "1s", min: "1ms" }),
 *     }, { doc: "Settings." });
 *     type Config = Infer<typeof config>; // { address: string; poll_interval: number }
 */
export * from "./schema/scalars.ts";
export * from "./schema/tables.ts";
export * from "./schema/either.ts";
export {
  type AnyKey,
  type Infer,
  type InferKeys,
  type Key,
  LooseText,
  type Problem,
  type Report,
} from "./schema/key.ts";
