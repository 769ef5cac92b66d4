import type { StatementSync } from "node:sqlite";

/** The only number that a statement returns, 0 for NULL: a count, or a PRAGMA. */
export function numberOf(statement: StatementSync, ...values: number[]): number {
  return Number(Object.values(statement.get(...values)!)[0]);
}
