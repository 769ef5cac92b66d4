import assert from "node:assert/strict";
import { parseIsoMs } from "../../lib/base/iso_time.ts";

Deno.test("a day that its month does not have is not a time", () => {
  for (const day of ["2026-02-28", "2028-02-29", "2026-01-31", "9999-12-31"]) {
    assert.equal(parseIsoMs(day), Date.parse(day), day);
    assert.equal(parseIsoMs(`${day}T23:59:59.5+05:00`), Date.parse(`${day}T18:59:59.5Z`), day);
  }
  for (
    const day of ["2026-02-29", "2026-02-31", "2026-04-31", "2026-13-01", "2026-12-32", "2026-00-29", "soon"]
  ) {
    assert.equal(parseIsoMs(day), NaN, day);
    assert.equal(parseIsoMs(`${day}T12:00:00Z`), NaN, day);
  }
});
