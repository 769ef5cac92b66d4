/**
 * Dead letters: points that the target of an output refuses permanently are set aside with the reason, instead of being
 * lost or blocking the others. `alumet-relay dead-letters` shows, replays and purges them.
 *
 * An output adds each such point, and waits for {@linkcode DeadLetters.sync} before it commits the batch, so a crash loses
 * none. After a crash between the two, the batch is written again, and its dead letters may exist twice.
 */
export {
  DEAD_LETTERS_FOLDER,
  DeadLetterBox,
  deadLetterDirectory,
  type DeadLetterOptions,
  DEFAULT_MAX_BYTES,
} from "./dead_letters/box.ts";
