/** A register that may be there: finding it and opening it are two steps, as others may measure the same place. */
import type { NumberFailure } from "../polling/number_file.ts";
import type { EnergyRegister, Place } from "./register.ts";

export interface Candidate extends Place {
  readonly file: string;
  /** The command that would allow reading it; `undefined`: a denial is not reported. */
  readonly allow: string | undefined;
  open(): EnergyRegister | NumberFailure;
}
