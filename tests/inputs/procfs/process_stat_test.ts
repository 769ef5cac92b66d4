import assert from "node:assert/strict";
import { ProcessStat } from "../../../lib/inputs/procfs/process_stat.ts";

Deno.test("a name with blanks and parentheses does not shift the fields", () => {
  const stat = new ProcessStat();
  const bytes = (name: string) =>
    new TextEncoder().encode(
      `7 (${name}) S 4 1 1 0 -1 0 1 2 3 4 55 66 7 8 20 0 1 0 99 123456 5` + " 0".repeat(18) + " 42 0\n",
    );
  for (const name of ["(sd-pam) x)", "a b", ")", "1 (2) 3 4", "", "tmux: server"]) {
    const text = bytes(name);
    assert.ok(stat.parse(text, text.length));
    assert.deepEqual({ ...stat }, {
      ppid: 4,
      utime: 55,
      stime: 66,
      minflt: 1,
      majflt: 3,
      starttime: 99,
      vsize: 123456,
      rss: 5,
      guestTime: 42,
    });
  }
});

Deno.test("stat without guest time, cut short, or of much memory is parsed as far as it goes", () => {
  const stat = new ProcessStat();
  const parse = (text: string) => stat.parse(new TextEncoder().encode(text), text.length);
  const start = "7 (a) S 4 1 1 -1 -1 0 1 2 3 4 55 66 7 8 20 0 1 0 99 ";
  assert.ok(parse(start + "72057594037923840 5 0\n"));
  assert.equal(stat.guestTime, -1);
  assert.equal(stat.vsize, 72057594037923840n);
  assert.ok(!parse(start.trim()));
  assert.ok(!parse("7 (a"));
});

Deno.test("what stands behind the end of stat, from a process that was read before, does not count", () => {
  const stat = new ProcessStat();
  const start = "7 (a ) S 4 1 1 -1 -1 0 1 2 3 4 55 66 7 8 20 0 1 0 99 ";
  const parse = (text: string, stale: string) => {
    const bytes = new TextEncoder().encode(text + stale);
    return stat.parse(bytes, text.length);
  };
  for (const stale of ["", "99", " 42 7", ") 1 2", "x) S 1 2 3 4 5 6 7 8 9 10 11 12"]) {
    assert.ok(parse(`${start}123456 57`, stale), stale);
    assert.deepEqual([stat.vsize, stat.rss, stat.starttime, stat.guestTime], [123456, 57, 99, -1], stale);
    assert.ok(!parse(`${start}123456`, stale), "it has no resident memory");
  }
});

Deno.test("fields may be negative, ticks are exact or none, and without a name in parentheses there is no process", () => {
  const stat = new ProcessStat();
  const parse = (text: string) => stat.parse(new TextEncoder().encode(text), text.length);
  assert.ok(parse("7 (a) S 4 1 1 -1 -1 0 1 2 3 4 9007199254740991 9007199254740993 7 8 20 0 1 0 99 5 -57\n"));
  assert.deepEqual([stat.utime, stat.stime, stat.rss], [9007199254740991, NaN, -57]);
  assert.ok(!parse("7 a S 4 1 1 -1 -1 0 1 2 3 4 55 66 7 8 20 0 1 0 99 123456 5 0 0 0 0 0\n"));
});
