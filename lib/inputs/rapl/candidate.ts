/** A register that may be there: finding it and opening it are two steps, as others may measure the same place. */
import type { NumberFailure } from "../polling/number_file.ts";
import type { EnergyRegister, Place } from "./register.ts";

export interface Candidate extends Place {
  readonly file: string;
  /** The command that would allow reading it; `undefined`: that it may not be read is not worth a word. */
  readonly allow: string | undefined;
  open(): EnergyRegister | NumberFailure;
}
