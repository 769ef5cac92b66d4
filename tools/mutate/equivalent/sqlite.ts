/** Mutants of what the SQLite output stores, and of sums, that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const SQLITE: readonly EquivalentMutant[] = [
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "start = 0;",
    after: "start = 1;",
    reason: "An interval is begun before anything is added.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "beganMs = 0;",
    after: "beganMs = 1;",
    reason: "An interval is begun before anything is added.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "changedMs = 0;",
    after: "changedMs = 1;",
    reason: "An interval is begun before anything is added.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before:
      "while (this.#slots[slot] !== 0 && this.series[this.#slots[slot] - 1] !== id) slot = (slot + 1) & mask;",
    after:
      "while (this.#slots[slot] !== 0 && this.series[this.#slots[slot] - 1] !== id) slot = (slot - 1) & mask;",
    reason: "The next slots are those before, for whoever puts and for whoever looks.",
  },
  {
    file: "lib/outputs/sqlite/gather.ts",
    before: "#day = -1;",
    after: "#day = -2;",
    reason: "A group is begun with the time before it has rows.",
  },
  {
    file: "lib/outputs/sqlite/gather.ts",
    before: "#second = 0;",
    after: "#second = 1;",
    reason: "A group is begun with the time before it has rows.",
  },
  {
    file: "lib/outputs/sqlite/gather.ts",
    before: "if (length > this.#columns.series.length) this.#columns = newColumns(length);",
    after: "if (length >= this.#columns.series.length) this.#columns = newColumns(length);",
    reason: "A batch that is as long as the columns is the first one in them, and the new ones are as long.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "lastOffset = 0;",
    after: "lastOffset = 1;",
    reason: "It is asked for where a row was taken.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "for (let k = 0; k < length; k++) {",
    after: "for (let k = 0; k <= length; k++) {",
    reason: "There is no row behind the last one, and what it writes there is not valid.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "for (let k = 0; k < count; k++) {",
    after: "for (let k = 0; k <= count; k++) {",
    reason: "What it writes behind the last row is overwritten by the next one, or not valid.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "for (let k = 1; k < rows.length; k++) {",
    after: "for (let k = 1; k <= rows.length; k++) {",
    reason: "There is no row behind the last one, and nothing is larger than that.",
  },
  {
    file: "lib/outputs/sqlite/blocks/rows.ts",
    before: "if (offsets[rows[k - 1]] > offsets[rows[k]]) {",
    after: "if (offsets[rows[k - 1]] >= offsets[rows[k]]) {",
    reason: "What is sorted is sorted once more, and stays as it is.",
  },
  {
    file: "lib/outputs/sqlite/blocks/block.ts",
    before: "const LEVEL = 3;",
    after: "const LEVEL = 4;",
    reason: "It only decides how much the compression tries.",
  },
  {
    file: "lib/outputs/sqlite/blocks/block.ts",
    before: "for (let from = 0, to = 0; from < length; from = to, count++) {",
    after: "for (let from = 0, to = 1; from < length; from = to, count++) {",
    reason: "The first row is of the same series as itself.",
  },
  {
    file: "lib/outputs/sqlite/blocks/block.ts",
    before: "params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },",
    after: "params: { [constants.ZSTD_c_compressionLevel]: LEVEL, [constants.ZSTD_c_checksumFlag]: 2 },",
    reason: "A flag is set if it is not 0.",
  },
  {
    file: "lib/outputs/sqlite/blocks/block.ts",
    before: "if (next < table.length && table[next] === offset) {",
    after: [
      "if (!!0 && next < table.length && table[next] === offset) {",
      "if (next <= table.length && table[next] === offset) {",
    ],
    reason: "It only saves a look into the map; behind the table there is no time.",
  },
  {
    file: "lib/outputs/sqlite/blocks/block.ts",
    before: "for (let k = 0, before = 0, step = 0; k < times; k++) {",
    after: "for (let k = 0, before = 0, step = 1; k < times; k++) {",
    reason: "It is set before it is used.",
  },
  {
    file: "lib/outputs/sqlite/blocks/bytes.ts",
    before: "#bytes = new Uint8Array(65_536);",
    after: "#bytes = new Uint8Array(65537);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/blocks/bytes.ts",
    before: "if (at + count > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + count);",
    after: "if (at + count >= this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + count);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/blocks/bytes.ts",
    before: "if (at + 8 > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + 8);",
    after: [
      "if (at + 9 > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + 8);",
      "if (at + 8 >= this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + 8);",
      "if (at + 8 > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + 9);",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/blocks/bytes.ts",
    before: "while (n >= 0x80000000) {",
    after: ["while (n > 0x80000000) {", "while (n >= 2147483649) {"],
    reason: "The other loop writes the same bytes of a number of 32 bits.",
  },
  {
    file: "lib/outputs/sqlite/blocks/bytes.ts",
    before: 'if (scale > 2 ** 49) throw new BlockError("a number is too long");',
    after: 'if (scale > 2 ** 50) throw new BlockError("a number is too long");',
    reason: "The next scale is 2 ** 56.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "const POWERS = Array.from({ length: MAX_DECIMALS + 1 }, (_, i) => 10 ** i);",
    after: "const POWERS = Array.from({ length: MAX_DECIMALS + 2 }, (_, i) => 10 ** i);",
    reason: "Nobody asks for the last power.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "#present = new Float64Array(1024);",
    after: "#present = new Float64Array(1025);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "#scaled = new Float64Array(1024);",
    after: "#scaled = new Float64Array(1025);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (this.#scaled.length < count) this.#scaled = new Float64Array(count * 2);",
    after: [
      "if (this.#scaled.length <= count) this.#scaled = new Float64Array(count * 2);",
      "if (this.#scaled.length < count) this.#scaled = new Float64Array(count * 3);",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (this.#present.length < count) this.#present = new Float64Array(count * 2);",
    after: [
      "if (this.#present.length <= count) this.#present = new Float64Array(count * 2);",
      "if (this.#present.length < count) this.#present = new Float64Array(count * 3);",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "const decimals = hasExact ? -1 : this.#scale(present);",
    after: "const decimals = hasExact ? -2 : this.#scale(present);",
    reason: "Each negative number says that there are none.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (Object.is(value, -0)) return -1;",
    after: "if (Object.is(value, -0)) return -2;",
    reason: "Each negative number says that there are none.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (decimals === MAX_DECIMALS || !(Math.abs(value) * power <= MAX_INTEGER)) return -1;",
    after: "if (decimals === MAX_DECIMALS || !(Math.abs(value) * power <= MAX_INTEGER)) return -2;",
    reason: "Each negative number says that there are none.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (!(Math.abs(whole) <= MAX_INTEGER)) return -1;",
    after: "if (!(Math.abs(whole) <= MAX_INTEGER)) return -2;",
    reason: "Each negative number says that there are none.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (decimals === MAX_DECIMALS || !(Math.abs(value) * power <= MAX_INTEGER)) return -1;",
    after: [
      "if (!!0 && decimals === MAX_DECIMALS || !(Math.abs(value) * power <= MAX_INTEGER)) return -1;",
      "if (decimals === MAX_DECIMALS || !(Math.abs(value) / power <= MAX_INTEGER)) return -1;",
      "if (decimals === MAX_DECIMALS || !(Math.abs(value) * power < MAX_INTEGER)) return -1;",
    ],
    reason: "It ends the search sooner: with more decimals, the number is too large as well, or not one.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before:
      "for (let i = from, at = 0; i < to; i++) if (!Number.isNaN(numbers[i])) this.#present[at++] = numbers[i];",
    after:
      "for (let i = from, at = 0; i <= to; i++) if (!Number.isNaN(numbers[i])) this.#present[at++] = numbers[i];",
    reason: "It writes behind the values that are returned.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before:
      "if (missing.length > 0) numbers = Float64Array.from(spread([...numbers], missing, length, NaN));",
    after:
      "if (missing.length >= 0) numbers = Float64Array.from(spread([...numbers], missing, length, NaN));",
    reason: "With nothing missing, the values are copied.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "if (missing.length === 0) return [...values];",
    after: "if (!!0 && missing.length === 0) return [...values];",
    reason: "The loop copies them as well.",
  },
  {
    file: "lib/outputs/sqlite/blocks/values.ts",
    before: "for (let i = 0; i < values.length; i++) {",
    after: "for (let i = 0; i <= values.length; i++) {",
    reason: "Typed arrays have no place behind their end.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "order = new Uint32Array(0);",
    after: "order = new Uint32Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "#rows = new Uint32Array(0);",
    after: "#rows = new Uint32Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "#spare = new Uint32Array(0);",
    after: "#spare = new Uint32Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "#times = new Float64Array(0);",
    after: "#times = new Float64Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "#levels = new Uint32Array(0);",
    after: "#levels = new Uint32Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "#keys = new Float64Array(0);",
    after: "#keys = new Float64Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "#distinct = new Uint32Array(0);",
    after: "#distinct = new Uint32Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "#counts = new Uint32Array(0);",
    after: "#counts = new Uint32Array(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (this.order.length < rows) {",
    after: "if (this.order.length <= rows) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (this.#counts.length < series) this.#counts = new Uint32Array(series);",
    after: "if (this.#counts.length <= series) this.#counts = new Uint32Array(series);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "const ends = new Uint32Array(highest + 2).fill(from);",
    after: "const ends = new Uint32Array(highest + 3).fill(from);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "const INSERTION_LIMIT = 64;",
    after: "const INSERTION_LIMIT = 65;",
    reason:
      "It only decides which of two sorts is used, or that what is sorted is sorted again; both give the same order.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let k = from + 1; k < to && sorted; k++) sorted = times[order[k - 1]] <= times[order[k]];",
    after: [
      "for (let k = from - 1; k < to && sorted; k++) sorted = times[order[k - 1]] <= times[order[k]];",
      "for (let k = from + 1; k <= to && sorted; k++) sorted = times[order[k - 1]] <= times[order[k]];",
      "for (let k = from + 1; k < to || sorted; k++) sorted = times[order[k - 1]] <= times[order[k]];",
      "for (let k = from + 1; k < to && sorted; k--) sorted = times[order[k - 1]] <= times[order[k]];",
      "for (let k = from + 1; k < to && sorted; k++) sorted = times[order[k - 1]] < times[order[k]];",
    ],
    reason:
      "It only decides which of two sorts is used, or that what is sorted is sorted again; both give the same order.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (!sorted && !isMixed && to - from <= INSERTION_LIMIT) {",
    after: [
      "if (!!0 && !sorted && !isMixed && to - from <= INSERTION_LIMIT) {",
      "if (!sorted && !isMixed && to + from <= INSERTION_LIMIT) {",
      "if (!sorted && !isMixed && to - from < INSERTION_LIMIT) {",
    ],
    reason:
      "It only decides which of two sorts is used, or that what is sorted is sorted again; both give the same order.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "let isMixed = false;",
    after: "let isMixed = true;",
    reason:
      "It only decides which of two sorts is used, or that what is sorted is sorted again; both give the same order.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "isMixed = false;",
    after: "isMixed = true;",
    reason:
      "It only decides which of two sorts is used, or that what is sorted is sorted again; both give the same order.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "const CROWD = 512;",
    after: "const CROWD = 513;",
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "const start = to - from < CROWD ? middleOf(first, last) : this.#densest(from, to, first, last);",
    after: [
      "const start = to + from < CROWD ? middleOf(first, last) : this.#densest(from, to, first, last);",
      "const start = to - from <= CROWD ? middleOf(first, last) : this.#densest(from, to, first, last);",
    ],
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "else for (let row = 0; row < count; row++) rows[row] = row;",
    after: "else for (let row = 0; row <= count; row++) rows[row] = row;",
    reason: "It reads and writes behind what there is, where nobody looks.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let k = 0; k < count; k++) keys[k] = dayOf(this.#rows[k]) * PAIR + k;",
    after: "for (let k = 0; k <= count; k++) keys[k] = dayOf(this.#rows[k]) * PAIR + k;",
    reason: "It reads and writes behind what there is, where nobody looks.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let k = 0; k < count; k++) rows[k] = this.#rows[keys[k] % PAIR];",
    after: "for (let k = 0; k <= count; k++) rows[k] = this.#rows[keys[k] % PAIR];",
    reason: "It reads and writes behind what there is, where nobody looks.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let j = 0; j < found; j++) keys[j] = ids[distinct[j]] * PAIR + j;",
    after: "for (let j = 0; j <= found; j++) keys[j] = ids[distinct[j]] * PAIR + j;",
    reason: "It reads and writes behind what there is, where nobody looks.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let j = 0; j < found; j++) {",
    after: "for (let j = 0; j <= found; j++) {",
    reason: "It reads and writes behind what there is, where nobody looks.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (j + 1 < found && ids[distinct[keys[j + 1] % PAIR]] === ids[number]) {",
    after: [
      "if (j - 1 < found && ids[distinct[keys[j + 1] % PAIR]] === ids[number]) {",
      "if (j + 1 <= found && ids[distinct[keys[j + 1] % PAIR]] === ids[number]) {",
    ],
    reason: "Behind the last series there is none, and none is equal to that.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let level = 1; level <= highest + 1; level++) ends[level] += ends[level - 1] - from;",
    after: [
      "for (let level = 2; level <= highest + 1; level++) ends[level] += ends[level - 1] - from;",
      "for (let level = 1; level <= highest + 2; level++) ends[level] += ends[level - 1] - from;",
    ],
    reason: "The first step adds nothing, and there is no place for another one at the end.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (second < first) first = second;",
    after: "if (second <= first) first = second;",
    reason: "It becomes what it is.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (second > last) last = second;",
    after: "if (second >= last) last = second;",
    reason: "It becomes what it is.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (level > highest) highest = level;",
    after: "if (level >= highest) highest = level;",
    reason: "It becomes what it is.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let k = 0; k < count; k++) {",
    after: "for (let k = 0; k <= count; k++) {",
    reason: "What is of one day is one part as well where days are parted.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (last < (day + 1) * SECONDS_PER_DAY) this.#arrangeDay(0, count, day);",
    after: [
      "if (last < (day - 1) * SECONDS_PER_DAY) this.#arrangeDay(0, count, day);",
      "if (last < (day + 1) / SECONDS_PER_DAY) this.#arrangeDay(0, count, day);",
    ],
    reason: "What is of one day is one part as well where days are parted.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let next = from + 1; next < to; next++) {",
    after: "for (let next = from - 1; next < to; next++) {",
    reason: "Nothing is moved that stands before the range.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "const span = last - first + 1;",
    after: ["const span = last - first - 1;", "const span = last - first + 2;"],
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "const counts = new Uint32Array(span + 2 * NEAR_SECONDS);",
    after: [
      "const counts = new Uint32Array(span - 2 * NEAR_SECONDS);",
      "const counts = new Uint32Array(span + 3 * NEAR_SECONDS);",
      "const counts = new Uint32Array(span + 2 / NEAR_SECONDS);",
    ],
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let k = from; k < to; k++) counts[seconds[this.order[k]] - first]++;",
    after: "for (let k = from; k <= to; k++) counts[seconds[this.order[k]] - first]++;",
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "let [best, most, near] = [0, 0, 0];",
    after: [
      "let [best, most, near] = [1, 0, 0];",
      "let [best, most, near] = [0, 1, 0];",
      "let [best, most, near] = [0, 0, 1];",
    ],
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "for (let end = 0; end < counts.length; end++) {",
    after: [
      "for (let end = 1; end < counts.length; end++) {",
      "for (let end = 0; end <= counts.length; end++) {",
    ],
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "near += counts[end] - (end >= 2 * NEAR_SECONDS ? counts[end - 2 * NEAR_SECONDS] : 0);",
    after: [
      "near += counts[end] - (end > 2 * NEAR_SECONDS ? counts[end - 2 * NEAR_SECONDS] : 0);",
      "near += counts[end] - (end >= 3 * NEAR_SECONDS ? counts[end - 2 * NEAR_SECONDS] : 0);",
      "near += counts[end] - (end >= 2 * NEAR_SECONDS ? counts[end - 2 * NEAR_SECONDS] : 1);",
    ],
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "if (near > most) [best, most] = [end, near];",
    after: "if (near >= most) [best, most] = [end, near];",
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/sqlite/row_order.ts",
    before: "return first + Math.max(0, best + 1 - NEAR_SECONDS);",
    after: "return first + Math.max(1, best + 1 - NEAR_SECONDS);",
    reason: "It only decides what offsets count from, which may be any second.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "if (value < numbers[at + MIN]) numbers[at + MIN] = value;",
    after: "if (value <= numbers[at + MIN]) numbers[at + MIN] = value;",
    reason: "It becomes what it is.",
  },
  {
    file: "lib/outputs/rollups/sums.ts",
    before: "if (value > numbers[at + MAX]) numbers[at + MAX] = value;",
    after: "if (value >= numbers[at + MAX]) numbers[at + MAX] = value;",
    reason: "It becomes what it is.",
  },
  {
    file: "lib/outputs/sqlite/blocks/bytes.ts",
    before: "const z = n < 0 ? -2 * n - 1 : 2 * n;",
    after: [
      "const z = n <= 0 ? -2 * n - 1 : 2 * n;",
      "const z = n < 1 ? -2 * n - 1 : 2 * n;",
      "const z = n < 0 ? -2 * n - 2 : 2 * n;",
    ],
    reason: "Zero takes one byte either way, and no other number another size.",
  },
  {
    file: "lib/outputs/sqlite/blocks/bytes.ts",
    before: "if (at + 8 > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at + 8);",
    after: "if (at + 8 > this.#bytes.length) this.#bytes = enlarged(this.#bytes, at, at - 8);",
    reason: "Twice the length before is enough.",
  },
  {
    file: "lib/outputs/sqlite/rollup_levels.ts",
    before: "const MOST_INTERVALS = 60;",
    after: "const MOST_INTERVALS = 61;",
    reason: "A day is no multiple of 61 of any interval.",
  },
  {
    file: "lib/outputs/sqlite/rollup_levels.ts",
    before: "if (every >= SECONDS_PER_DAY) return every;",
    after: "if (every > SECONDS_PER_DAY) return every;",
    reason: "A part of one day is one of a day.",
  },
];
