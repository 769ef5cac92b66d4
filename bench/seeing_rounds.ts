/** In which rounds of a load seeing_server.ts remembers what a page shows, for it and for seeing.ts. */

/** How many times it does. */
export const AMPLIFIED = 10;

/**
 * One of the rounds 2n and 2n + 1. Which one it is has no period (it is the sequence of Thue and Morse), as collections of
 * garbage come at regular times.
 */
export function isSeen(round: number): boolean {
  let isOdd = false;
  for (let rest = round; rest > 0; rest = Math.floor(rest / 2)) if (rest % 2 === 1) isOdd = !isOdd;
  return isOdd;
}
