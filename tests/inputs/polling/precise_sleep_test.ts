import assert from "node:assert/strict";
import { PreciseSleep } from "../../../lib/inputs/polling/precise_sleep.ts";
import { linux, needs } from "../../kit/needs.ts";

Deno.test({
  name: "a precise sleep may be shorter than a millisecond, and is never shorter than asked for",
  ...needs(linux),
  async fn() {
    using precise = PreciseSleep.open()!;
    let shortest = Infinity;
    for (let n = 0; n < 50; n++) {
      const began = performance.now();
      await precise.sleep(0.2);
      shortest = Math.min(shortest, performance.now() - began);
    }
    // A busy machine delays some of them; a timer would delay all.
    assert.ok(shortest >= 0.19 && shortest < 1, `${shortest} ms`);
  },
});

Deno.test({
  name: "a precise sleep ends after 100 ms, so that nobody waits for it for long",
  ...needs(linux),
  async fn() {
    using precise = PreciseSleep.open()!;
    await precise.sleep(1e12);
  },
});
