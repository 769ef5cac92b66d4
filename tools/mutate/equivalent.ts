/** Mutants that change nothing that anybody could see, each with the reason. */

export interface EquivalentMutant {
  readonly file: string;
  /** The line, without the space around it, and what it becomes. */
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

export const EQUIVALENT: readonly EquivalentMutant[] = [];
