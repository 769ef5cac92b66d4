import assert from "node:assert/strict";
import { tryLock } from "../../lib/base/file_lock.ts";
import { pause } from "../kit/waiting.ts";

/** A file whose lock is free after some timers, and timers that come two seconds late, as in a process that was stopped. */
class LateLock {
  closed = 0;
  readonly #freed = Promise.withResolvers<void>();
  readonly #setTimeout = globalThis.setTimeout;
  readonly #now = performance.now;
  #timers = 0;

  constructor(readonly freeAfter: number) {
    globalThis.setTimeout = ((action: () => void) => {
      if (++this.#timers === this.freeAfter) this.#freed.resolve();
      return this.#setTimeout.call(globalThis, action, 0);
    }) as typeof setTimeout;
    performance.now = () => this.#now.call(performance) + 2000 * this.#timers;
  }

  file(version: "2.6" | "2.9"): Deno.FsFile {
    const common = { close: () => this.closed++ };
    const file = version === "2.6"
      ? { ...common, lock: () => this.#freed.promise }
      : { ...common, tryLock: () => Promise.resolve(this.#timers >= this.freeAfter) };
    return file as unknown as Deno.FsFile;
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#setTimeout;
    performance.now = this.#now;
    this.#freed.resolve();
  }
}

for (const version of ["2.6", "2.9"] as const) {
  Deno.test(`a lock is waited for although the process was stopped meanwhile, with Deno ${version}`, async () => {
    using late = new LateLock(5);
    assert.ok(await tryLock(late.file(version)));
    assert.equal(late.closed, 0);
  });

  Deno.test(`a file whose lock another process keeps is closed, with Deno ${version}`, async () => {
    {
      using late = new LateLock(1000);
      assert.ok(!await tryLock(late.file(version)));
      assert.equal(late.closed, version === "2.9" ? 1 : 0, "Deno 2.6 waits for the lock, to let it go");
      late[Symbol.dispose]();
      await pause(0);
      assert.equal(late.closed, 1);
    }
  });

  Deno.test(`a file that cannot be locked is closed, with Deno ${version}`, async () => {
    let closed = 0;
    const fail = () => Promise.reject(new Error("no locks here"));
    const file = { close: () => closed++, ...version === "2.6" ? { lock: fail } : { tryLock: fail } };
    await assert.rejects(tryLock(file as unknown as Deno.FsFile), /no locks here/);
    assert.equal(closed, 1);
  });
}
