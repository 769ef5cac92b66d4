/** A key that is one of two things: a value, or a table. */
import type { Key } from "./key.ts";
import { isTable } from "./tables.ts";

/** A value that `plain` declares, or a table that `table` does. Its default is that of `plain`. */
export function either<A, B>(plain: Key<A>, table: Key<B>): Key<A | B> {
  const isOfTable = (value: A | B): value is B => isTable(value);
  return {
    ...plain,
    keys: undefined,
    defaultValue: () => plain.defaultValue(),
    check: (value, path, report) =>
      isTable(value) ? table.check(value, path, report) : plain.check(value, path, report),
    literal: (value) => isOfTable(value) ? table.literal(value) : plain.literal(value),
  };
}
