import assert from "node:assert/strict";
import { PreciseSleep } from "../../../lib/inputs/polling/precise_sleep.ts";
import { linux, needs } from "../../kit/needs.ts";
import { PATIENCE_MS, until } from "../../kit/waiting.ts";

Deno.test({
  name: "a precise sleep may be shorter than a millisecond, and is never shorter than asked for",
  ...needs(linux),
  async fn() {
    using precise = PreciseSleep.open()!;
    let shortest = Infinity;
    const sleep = async () => {
      const began = performance.now();
      await precise.sleep(0.2);
      shortest = Math.min(shortest, performance.now() - began);
    };
    for (let n = 0; n < 50; n++) await sleep();
    // A busy machine delays many of them; a timer would delay all.
    await until(async () => (await sleep(), shortest < 1), PATIENCE_MS, () => `${shortest} ms`);
    assert.ok(shortest >= 0.19, `${shortest} ms`);
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
