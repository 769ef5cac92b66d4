/** A mutant that changes nothing that anybody could see. It is known by its text, so that lines may move. */
export interface EquivalentMutant {
  readonly file: string;
  /** The line, without the space around it, and what it becomes: each of these is equivalent for the same reason. */
  readonly before: string;
  readonly after: string | readonly string[];
  readonly reason: string;
}
