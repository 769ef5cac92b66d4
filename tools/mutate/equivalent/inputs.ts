/** Mutants of the inputs that measure, and of the intake, that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const INPUTS: readonly EquivalentMutant[] = [];
