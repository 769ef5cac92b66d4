/** Mutants that change nothing that anybody could see, each with the reason. */
import { BYTES } from "./equivalent/bytes.ts";
import { CORE } from "./equivalent/core.ts";
import { CSV } from "./equivalent/csv.ts";
import { DELIVERY } from "./equivalent/delivery.ts";
import { DOORS } from "./equivalent/doors.ts";
import type { EquivalentMutant } from "./equivalent/entry.ts";
import { EXPECTED } from "./equivalent/expected.ts";
import { INPUTS } from "./equivalent/inputs.ts";
import { JOURNAL } from "./equivalent/journal.ts";
import { OUTPUTS } from "./equivalent/outputs.ts";
import { POINTS } from "./equivalent/points.ts";
import { RECEIVED } from "./equivalent/received.ts";
import { REST } from "./equivalent/rest.ts";
import { SEEN } from "./equivalent/seen.ts";
import { SERIES } from "./equivalent/series.ts";
import { SQLITE } from "./equivalent/sqlite.ts";
import { STORED } from "./equivalent/stored.ts";
import { TAILS } from "./equivalent/tails.ts";
import { OUTPUT_TARGETS } from "./equivalent/targets.ts";
import { TEXT_INPUTS } from "./equivalent/text_inputs.ts";
import { TEXTS } from "./equivalent/texts.ts";
import { TRANSFORMS } from "./equivalent/transforms.ts";
import { WIRE } from "./equivalent/wire.ts";

export const EQUIVALENT: readonly EquivalentMutant[] = [
  ...BYTES,
  ...CORE,
  ...CSV,
  ...DELIVERY,
  ...DOORS,
  ...EXPECTED,
  ...INPUTS,
  ...JOURNAL,
  ...OUTPUTS,
  ...OUTPUT_TARGETS,
  ...POINTS,
  ...RECEIVED,
  ...REST,
  ...SEEN,
  ...SERIES,
  ...SQLITE,
  ...STORED,
  ...TAILS,
  ...TEXTS,
  ...TEXT_INPUTS,
  ...TRANSFORMS,
  ...WIRE,
];
