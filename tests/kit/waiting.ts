/** How tests wait: for a condition, for a promise, and, rarely, for time itself. */
import { delay } from "@std/async/delay";

/** How long a test waits for something that takes a moment on an idle machine, in ms; a busy one may need it. */
export const PATIENCE_MS = 90_000;

/** The real time, in ms: tests may have made another clock of `performance`. */
const nowMs = performance.now.bind(performance);

/** Between two looks at a condition, in ms. */
const LOOK_MS = 2;

/** Lets time pass. More than 100 ms need a reason: tests/project/tests_test.ts says how to state it. */
export function pause(ms: number): Promise<void> {
  return delay(ms);
}

/** Waits until `condition` holds. @throws after `ms`, with `what` */
export async function until(
  condition: () => boolean | Promise<boolean>,
  ms = PATIENCE_MS,
  what: string | (() => string) = String(condition),
): Promise<void> {
  const deadline = nowMs() + ms;
  while (!await condition()) {
    if (nowMs() > deadline) {
      throw new Error(`Not within ${ms} ms: ${typeof what === "string" ? what : what()}`);
    }
    await pause(LOOK_MS);
  }
}

/** How often, and how far apart, a number is looked at before it counts as settled. */
const SETTLED_LOOKS = 5;
const SETTLED_LOOK_MS = 100;

/** Waits until a number that has grown stays the same: who made it grow is stuck, or ready. @throws after `ms` */
export async function settled(read: () => number, ms = PATIENCE_MS): Promise<void> {
  const deadline = nowMs() + ms;
  for (let last = 0, same = 0; same < SETTLED_LOOKS;) {
    if (nowMs() > deadline) throw new Error(`Not settled within ${ms} ms: ${read} is ${last}`);
    const now = read();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
    await pause(SETTLED_LOOK_MS);
  }
}

/** Settles as the promise does. @throws after `ms`, with `what` */
export async function atMost<T>(ms: number, promise: Promise<T>, what: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not within ${ms} ms: ${what()}`)), ms);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
