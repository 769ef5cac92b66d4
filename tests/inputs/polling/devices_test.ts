import assert from "node:assert/strict";
import { type Device, Devices } from "../../../lib/inputs/polling/devices.ts";
import { FakeClock } from "../../kit/fake_clock.ts";

function kit() {
  const clock = new FakeClock();
  let keys: string[] = [];
  const open = new Set<string>();
  const opened: string[] = [];
  function* find(): Generator<Device<{ key: string; close(): void }>> {
    for (const key of keys) {
      yield {
        key,
        open() {
          opened.push(key);
          if (key.startsWith("bad")) return undefined;
          open.add(key);
          return { key, close: () => void open.delete(key) };
        },
      };
    }
  }
  const devices = new Devices(clock, find);
  let hasLooked = false;
  /** What is open after a minute in which the machine has got these devices. */
  const after = (next: string[], ms = 60_000) => {
    keys = next;
    clock.spend(ms);
    hasLooked = devices.refresh();
    return [...devices].map(({ key }) => key);
  };
  return {
    devices,
    open,
    opened,
    after,
    get hasLooked() {
      return hasLooked;
    },
  };
}

Deno.test("devices are looked for at once and then every minute; those that stay are not opened again", () => {
  const k = kit();
  assert.deepEqual(k.after(["a", "b"], 0), ["a", "b"]);
  assert.ok(k.hasLooked);
  assert.deepEqual(k.after(["c"], 59_999), ["a", "b"]);
  assert.ok(!k.hasLooked);
  assert.deepEqual(k.after(["c", "b"], 1), ["c", "b"]);
  assert.deepEqual(k.opened, ["a", "b", "c"]);
  assert.deepEqual([...k.open], ["b", "c"]);
});

Deno.test("a device that cannot be opened is tried again, and one that is listed twice is open once", () => {
  const k = kit();
  assert.deepEqual(k.after(["bad", "a", "a"]), ["a"]);
  assert.deepEqual(k.opened, ["bad", "a"], "nobody would close the other one");
  k.after(["bad", "a"]);
  assert.deepEqual(k.opened.filter((key) => key === "bad"), ["bad", "bad"]);
  k.devices.close();
  assert.equal(k.devices.size + k.open.size, 0, k.opened.join());
});

Deno.test("10,000 devices that come and go leave nothing behind", () => {
  const k = kit();
  for (let n = 0; n < 1000; n++) k.after(Array.from({ length: 10 }, (_, i) => `device ${n} ${i}`));
  assert.equal(k.devices.size, 10);
  assert.equal(k.open.size, 10);
  k.after([]);
  assert.equal(k.open.size, 0);
});
