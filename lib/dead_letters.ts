/**
 * Dead letters: points that an output's target refuses permanently are set aside, with the reason, rather than lost or
 * in the way of the others. They are for `alumet-relay dead-letters`: to be looked at, written again, or thrown away.
 *
 * An output adds each such point, and waits for {@linkcode DeadLetters.sync} before it commits the batch: then a crash
 * loses none. A crash between the two writes the batch again, and its dead letters with it: they may be there twice.
 */
export {
  DEAD_LETTERS_FOLDER,
  DeadLetterBox,
  deadLetterDirectory,
  type DeadLetterOptions,
  DEFAULT_MAX_BYTES,
} from "./dead_letters/box.ts";
