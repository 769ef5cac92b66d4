export interface MutationTarget {
  readonly file: string;
  readonly tests: readonly string[];
  /** Which of these tests, as `deno test --filter` takes it: a file may also have tests that take long. @default all */
  readonly filter?: string;
}
