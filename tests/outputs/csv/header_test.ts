import assert from "node:assert/strict";
import { CsvRenderer } from "../../../lib/outputs/csv/format.ts";
import { compareTexts } from "../../../lib/outputs/rendering/numbers.ts";
import { columnsOf, MAX_HEADER_BYTES } from "../../../lib/outputs/csv/header.ts";
import { cases, Chance } from "../../kit/bytes.ts";

const FORMAT = { delimiter: ";", lateDelimiter: ",", appendUnit: true, unitDisplayName: true };
const FIXED = "metric;timestamp;value;resource_kind;resource_id;consumer_kind;consumer_id";
const encoder = new TextEncoder();

function columns(text: string, format = FORMAT): string[] | null {
  return columnsOf(encoder.encode(text), format);
}

Deno.test("the columns of a header are those that it was made of, whatever they are called, and whatever follows", () => {
  const chance = new Chance(31);
  for (let n = 0; n < cases(500); n++) {
    const delimiter = chance.pick([";", ",", "\t", "|", "→", "]", "\\", "."]);
    const format = { ...FORMAT, delimiter };
    const names = new Set(
      Array.from({ length: chance.int(20) }, () => chance.text() + chance.pick(["", delimiter])),
    );
    const sorted = [...names].sort(compareTexts);
    const { header } = new CsvRenderer(sorted, format);
    assert.deepEqual(columnsOf(header, format), sorted);
    const more = new Uint8Array([...header, ...encoder.encode("power;1;"), ...chance.bytes()]);
    assert.deepEqual(columnsOf(more, format), sorted);
    assert.equal(columnsOf(header.subarray(0, chance.int(header.length)), format), null);
  }
});

Deno.test("a header of another format is not taken", () => {
  assert.deepEqual(columns(`${FIXED};__late_attributes\n`), []);
  assert.deepEqual(columns(`${FIXED};a;b;__late_attributes\nx;y`), ["a", "b"]);
  for (
    const [what, text] of [
      ["empty", ""],
      ["no end of the line", `${FIXED};__late_attributes`],
      ["another program's", "time,value\n1,2\n"],
      ["another delimiter", `${FIXED};a;__late_attributes\n`.replaceAll(";", ",")],
      ["columns in another order", `${FIXED};b;a;__late_attributes\n`],
      ["a column with the name of a fixed one", `${FIXED};metric;__late_attributes\n`],
      ["a column twice", `${FIXED};a;a;__late_attributes\n`],
      ["without late attributes", `${FIXED};a\n`],
      ["fixed columns missing", "metric;timestamp;value;__late_attributes\n"],
      ["ends of lines of Windows", `${FIXED};__late_attributes\r\n`],
      ["a byte order mark", `\ufeff${FIXED};__late_attributes\n`],
      ["quotes that need not be", `${FIXED};"a";__late_attributes\n`],
      ["a quote that does not end", `${FIXED};"a;__late_attributes\n`],
      ["not from the beginning", `\n${FIXED};__late_attributes\n`],
    ]
  ) assert.equal(columns(text), null, what);
  assert.equal(columnsOf(new Uint8Array([0xff, 0xfe, 10]), FORMAT), null);
  assert.equal(columnsOf(new Uint8Array(MAX_HEADER_BYTES).fill(97), FORMAT), null);
});

Deno.test("a column whose name was written as no formula is that of the name, and a name with an apostrophe is itself", () => {
  const format = { ...FORMAT, escapeFormulas: true };
  for (const names of [["=a"], ["'b"], ["'"], ["''=c"], ["+", "-1", "@x", "a", "b=c"], ["=a;b", '="']]) {
    const sorted = names.toSorted(compareTexts);
    const { header } = new CsvRenderer(sorted, format);
    assert.deepEqual(columnsOf(header, format), sorted, names.join());
  }
  assert.deepEqual(columns(`${FIXED};'=a;__late_attributes\n`), ["'=a"]);
  assert.equal(columns(`${FIXED};=a;__late_attributes\n`, format), null);
});
