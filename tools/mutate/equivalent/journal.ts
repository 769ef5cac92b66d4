/** Mutants of journals that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const JOURNAL: readonly EquivalentMutant[] = [
  {
    file: "lib/journal/disk/format/record.ts",
    before: "for (let left = reader.length(3); left > 0; left--) {",
    after: "for (let left = reader.length(4); left > 0; left--) {",
    reason: "It is a bound for a number of entries that is checked against the bytes that are there.",
  },
  {
    file: "lib/journal/disk/format/record.ts",
    before: "const count = reader.length(3);",
    after: "const count = reader.length(4);",
    reason: "It is a bound for a number of entries that is checked against the bytes that are there.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "const PIECE_BYTES = 128 * 1024;",
    after: [
      "const PIECE_BYTES = 128 / 1024;",
      "const PIECE_BYTES = 129 * 1024;",
      "const PIECE_BYTES = 128 * 1025;",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "const SEARCH_SUM_BYTES = 64 * 1024 * 1024;",
    after: [
      "const SEARCH_SUM_BYTES = 65 * 1024 * 1024;",
      "const SEARCH_SUM_BYTES = 64 * 1025 * 1024;",
      "const SEARCH_SUM_BYTES = 64 * 1024 * 1025;",
    ],
    reason: "A limit of effort that was chosen.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "#summedInVain = 0;",
    after: ["#summedInVain = 1;"],
    reason: "A limit of effort that was chosen.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: 'if (left < RECORD_HEAD_BYTES || !await this.#fill(RECORD_HEAD_BYTES, left)) return "torn";',
    after: [
      'if (!!0 && left < RECORD_HEAD_BYTES || !await this.#fill(RECORD_HEAD_BYTES, left)) return "torn";',
    ],
    reason: "So few bytes do not fill the head, either.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: 'if (whole > left || !await this.#fill(whole, left)) return "torn";',
    after: ['if (!!0 && whole > left || !await this.#fill(whole, left)) return "torn";'],
    reason: "So few bytes do not fill the record, either.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "this.#start = this.#end = 0;",
    after: ["this.#start = this.#end = 1;"],
    reason: "Any place will do for an empty buffer to begin.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "if (badEnd > 0 && await this.#isGoodAt(badEnd, left)) {",
    after: [
      "if (badEnd >= 0 && await this.#isGoodAt(badEnd, left)) {",
      "if (badEnd > 1 && await this.#isGoodAt(badEnd, left)) {",
    ],
    reason: "The place of the damaged record itself is not good, and a record has more than a byte.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before:
      "for (let at = RECORD_HEAD_BYTES + 1; at <= Math.min(SEARCH_BYTES, count - RECORD_HEAD_BYTES); at++) {",
    after: [
      "for (let at = RECORD_HEAD_BYTES - 1; at <= Math.min(SEARCH_BYTES, count - RECORD_HEAD_BYTES); at++) {",
    ],
    reason: "No record is shorter than nine bytes.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "if (size > 0 && at + RECORD_HEAD_BYTES + size <= count && this.#isGood(at)) return at;",
    after: [
      "if (size >= 0 && at + RECORD_HEAD_BYTES + size <= count && this.#isGood(at)) return at;",
      "if (size > 0 && at - RECORD_HEAD_BYTES + size <= count && this.#isGood(at)) return at;",
    ],
    reason: "An empty record, or one that is cut, is not good.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before:
      "if (at + RECORD_HEAD_BYTES > left || !await this.#fill(at + RECORD_HEAD_BYTES, left)) return false;",
    after: [
      "if (!!0 && at + RECORD_HEAD_BYTES > left || !await this.#fill(at + RECORD_HEAD_BYTES, left)) return false;",
      "if (at - RECORD_HEAD_BYTES > left || !await this.#fill(at + RECORD_HEAD_BYTES, left)) return false;",
      "if (at + RECORD_HEAD_BYTES >= left || !await this.#fill(at + RECORD_HEAD_BYTES, left)) return false;",
    ],
    reason: "A head that is cut, or without a payload, is not that of a record.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "if (size === 0 || this.#summedInVain + size > SEARCH_SUM_BYTES) return false;",
    after: ["if (size === 0 || this.#summedInVain + size >= SEARCH_SUM_BYTES) return false;"],
    reason: "A limit of effort that was chosen.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "this.#summedInVain += size;",
    after: "this.#summedInVain -= size;",
    reason: "A limit of effort that was chosen.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "if (!read) return true;",
    after: ["if (!!0 && !read) return true;", "if (!read) return false;"],
    reason: "The bytes that were read are looked at again, which are zeros.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "if (this.#end - this.#start >= count) return true;",
    after: [
      "if (!!0 && this.#end - this.#start >= count) return true;",
      "if (this.#end - this.#start > count) return true;",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "const target = count > this.#buffer.length ? new Uint8Array(count) : this.#buffer;",
    after: "const target = count >= this.#buffer.length ? new Uint8Array(count) : this.#buffer;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/journal/disk/format/segment.ts",
    before:
      "if (bytes.length < at + length || crc32c(bytes, at) !== view.getUint32(HEADER_BYTES + 4, true)) return null;",
    after: [
      "if (!!0 && bytes.length < at + length || crc32c(bytes, at) !== view.getUint32(HEADER_BYTES + 4, true)) return null;",
      "if (bytes.length < at - length || crc32c(bytes, at) !== view.getUint32(HEADER_BYTES + 4, true)) return null;",
    ],
    reason: "A payload that is cut has another checksum.",
  },
  {
    file: "lib/journal/disk/format/snapshot.ts",
    before: "const writer = new PostcardWriter(64 * (states.length + 1));",
    after: [
      "const writer = new PostcardWriter(65 * (states.length + 1));",
      "const writer = new PostcardWriter(64 / (states.length + 1));",
      "const writer = new PostcardWriter(64 * (states.length - 1));",
      "const writer = new PostcardWriter(64 * (states.length + 2));",
    ],
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/journal/memory.ts",
    before: "if (count <= 0) return;",
    after: "if (count < 0) return;",
    reason: "Forgetting nothing changes nothing.",
  },
  {
    file: "lib/journal/memory.ts",
    before: 'if (left <= 0) return "timeout";',
    after: ['if (left < 0) return "timeout";', 'if (left <= 1) return "timeout";'],
    reason: "A millisecond more or less of a time that was chosen.",
  },
  {
    file: "lib/journal/memory.ts",
    before: 'if (this.#bytes > this.#limitBytes && this.#onFull === "drop_oldest") this.#dropOldest();',
    after: 'if (this.#bytes >= this.#limitBytes && this.#onFull === "drop_oldest") this.#dropOldest();',
    reason: "Nothing is dropped then.",
  },
  {
    file: "lib/journal/disk/format/record_reader.ts",
    before: "if (seen >= left) return true;",
    after: ["if (seen > left) return true;", "if (!!0 && seen >= left) return true;"],
    reason: "The reading of no more bytes ends it, too.",
  },
  {
    file: "lib/journal/disk/ledger.ts",
    before: "const retention = new RetentionClock(now, monotonicMs(), Math.max(0, ...contacts) || now);",
    after: "const retention = new RetentionClock(now, monotonicMs(), Math.max(1, ...contacts) || now);",
    reason: "It is 1970 either way, or the time of a contact.",
  },
  {
    file: "lib/journal/disk/ledger.ts",
    before: "if (state.sequence > account.sequence) account.sequence = state.sequence;",
    after: "if (state.sequence >= account.sequence) account.sequence = state.sequence;",
    reason: "It becomes what it is.",
  },
  {
    file: "lib/journal/disk/tail.ts",
    before: "if (number <= this.written) return;",
    after: "if (number < this.written) return;",
    reason: "There is nothing between a number and itself.",
  },
  {
    file: "lib/journal/disk/tail.ts",
    before: "if (entries.length === 0 || number <= entries[0].number) return 0;",
    after: "if (entries.length === 0 || number < entries[0].number) return 0;",
    reason: "The distance to the first entry is 0 then.",
  },
  {
    file: "lib/journal/disk/tail.ts",
    before: "let at = Math.min(number - entries[0].number, entries.length);",
    after: "let at = Math.min(number + entries[0].number, entries.length);",
    reason: "The search goes back from there, and begins further behind.",
  },
  {
    file: "lib/journal/disk/tail.ts",
    before: "while (at > 0 && entries[at - 1].number >= number) at--;",
    after: [
      "while (at >= 0 && entries[at - 1].number >= number) at--;",
      "while (at > 1 && entries[at - 1].number >= number) at--;",
    ],
    reason: "The first entry has a smaller number, and ends the search.",
  },
];
