/** Mutants that change nothing that anybody could see, each with the reason. */
import { BYTES } from "./equivalent/bytes.ts";
import type { EquivalentMutant } from "./equivalent/entry.ts";
import { OUTPUTS } from "./equivalent/outputs.ts";
import { POINTS } from "./equivalent/points.ts";
import { TEXTS } from "./equivalent/texts.ts";

export const EQUIVALENT: readonly EquivalentMutant[] = [...BYTES, ...POINTS, ...OUTPUTS, ...TEXTS];
