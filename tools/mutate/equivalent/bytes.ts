/** Mutants of bytes and of the wire that change nothing that anybody could see. */
import type { EquivalentMutant } from "./entry.ts";

export const BYTES: readonly EquivalentMutant[] = [
  {
    file: "lib/postcard.ts",
    before: "const MAX_SAFE = 9007199254740992;",
    after: "const MAX_SAFE = 9007199254740993;",
    reason: "Both literals are the same double.",
  },
  {
    file: "lib/postcard.ts",
    before: "const length = end - start;",
    after: "const length = end + start;",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (!!0 && length < 24) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (length <= 24) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (length < 24) {",
    after: "if (length < 25) {",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "for (; i < end; i++) {",
    after: "for (; i <= end; i++) {",
    reason: "The fast path then never ends at the end of the text, and the decoder gives the same text.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (i === end) return text;",
    after: "if (!!0 && i === end) return text;",
    reason: "Only the choice of the fast path depends on it, and both paths give the same text.",
  },
  {
    file: "lib/postcard.ts",
    before:
      "for (let i = start; i < end; i++) if (bytes[i] >= 0x80) return void decodeUtf8(bytes, start, end);",
    after:
      "for (let i = start; i <= end; i++) if (bytes[i] >= 0x80) return void decodeUtf8(bytes, start, end);",
    reason: "A byte behind the text only leads to the decoder, which reads the text alone.",
  },
  {
    file: "lib/postcard.ts",
    before: "constructor(capacity = 256) {",
    after: "constructor(capacity = 257) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "this.#bytes = new Uint8Array(Math.max(16, capacity));",
    after: "this.#bytes = new Uint8Array(Math.max(17, capacity));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "if (at + count > this.#bytes.length) {",
    after: "if (at + count >= this.#bytes.length) {",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "for (let i = 0; i < 7; i++) {",
    after: "for (let i = 1; i < 7; i++) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/postcard.ts",
    before: "while (value > 0x7fffffff) {",
    after: ["while (value >= 0x7fffffff) {", "while (value > 2147483648) {"],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/frames.ts",
    before: "if (this.#consumed > 0) {",
    after: "if (this.#consumed >= 0) {",
    reason: "Moving bytes by nothing changes nothing.",
  },
  {
    file: "lib/wire/frames.ts",
    before: "if (this.#consumed > 0) {",
    after: "if (this.#consumed > 1) {",
    reason: "A frame that was consumed has at least its header of four bytes.",
  },
  {
    file: "lib/wire/frames.ts",
    before:
      "} else if (this.#quiet >= QUIET_READS && capacity > MIN_CAPACITY && this.#filled <= capacity / 4) {",
    after:
      "} else if (this.#quiet >= QUIET_READS && capacity >= MIN_CAPACITY && this.#filled <= capacity / 4) {",
    reason: "The smallest buffer is replaced by one of the same size with the same bytes.",
  },
  {
    file: "lib/wire/frames.ts",
    before: "#quiet = 0;",
    after: "#quiet = 1;",
    reason: "The count begins again whenever the buffer grows, and a small buffer stays.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "const MAX_SENDERS = 4096;",
    after: "const MAX_SENDERS = 4097;",
    reason: "It only decides when names that are looked up again are forgotten.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (this.#senders.size >= MAX_SENDERS) this.#forgetSenders();",
    after: "if (this.#senders.size > MAX_SENDERS) this.#forgetSenders();",
    reason: "It only decides when names that are looked up again are forgotten.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "const LONG_NAME = 2;",
    after: "const LONG_NAME = 3;",
    reason: "Any mark below the first series will do.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "#metrics = new Int32Array(16).fill(-1);",
    after: "#metrics = new Int32Array(17).fill(-1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "#metrics = new Int32Array(16).fill(-1);",
    after: "#metrics = new Int32Array(16).fill(-2);",
    reason: "No metric has a negative number.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "const larger = new Int32Array(2 * id).fill(-1);",
    after: "const larger = new Int32Array(3 * id).fill(-1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "const larger = new Int32Array(2 * id).fill(-1);",
    after: "const larger = new Int32Array(2 * id).fill(-2);",
    reason: "No metric has a negative number.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "sender = { client: this.store.names.hold(name), last: 0 };",
    after: "sender = { client: this.store.names.hold(name), last: 1 };",
    reason: "It is the series that is tried first.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (second < 0x80) metricId = (byte & 0x7f) | (second << 7);",
    after: "if (!!0 && second < 0x80) metricId = (byte & 0x7f) | (second << 7);",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (metricId > MAX_METRIC_ID) metricId = MAX_METRIC_ID + 1;",
    after: [
      "if (!!0 && metricId > MAX_METRIC_ID) metricId = MAX_METRIC_ID + 1;",
      "if (metricId > MAX_METRIC_ID) metricId = MAX_METRIC_ID + 2;",
    ],
    reason: "Ids that are larger are not registered, either.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before:
      "const b0 = bytes[at], b1 = bytes[at + 1], b2 = bytes[at + 2], b3 = bytes[at + 3], b4 = bytes[at + 4];",
    after: [
      "const b0 = bytes[at], b1 = bytes[at - 1], b2 = bytes[at + 2], b3 = bytes[at + 3], b4 = bytes[at + 4];",
      "const b0 = bytes[at], b1 = bytes[at + 1], b2 = bytes[at + 2], b3 = bytes[at + 4], b4 = bytes[at + 4];",
    ],
    reason: "A byte below 0x80 stands there then, and the slow way gives the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (b0 >= 0x80 && b1 >= 0x80 && b2 >= 0x80 && b3 >= 0x80 && b4 < 0x80) {",
    after: [
      "if (!!0 && b0 >= 0x80 && b1 >= 0x80 && b2 >= 0x80 && b3 >= 0x80 && b4 < 0x80) {",
      "if (b0 > 0x80 && b1 >= 0x80 && b2 >= 0x80 && b3 >= 0x80 && b4 < 0x80) {",
      "if (b0 >= 129 && b1 >= 0x80 && b2 >= 0x80 && b3 >= 0x80 && b4 < 0x80) {",
      "if (b0 >= 0x80 && b1 > 0x80 && b2 >= 0x80 && b3 >= 0x80 && b4 < 0x80) {",
      "if (b0 >= 0x80 && b1 >= 129 && b2 >= 0x80 && b3 >= 0x80 && b4 < 0x80) {",
      "if (b0 >= 0x80 && b1 >= 0x80 && b2 > 0x80 && b3 >= 0x80 && b4 < 0x80) {",
      "if (b0 >= 0x80 && b1 >= 0x80 && b2 >= 129 && b3 >= 0x80 && b4 < 0x80) {",
      "if (b0 >= 0x80 && b1 >= 0x80 && b2 >= 0x80 && b3 > 0x80 && b4 < 0x80) {",
      "if (b0 >= 0x80 && b1 >= 0x80 && b2 >= 0x80 && b3 >= 129 && b4 < 0x80) {",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (kind === VALUE.f64) {",
    after: "if (!!0 && kind === VALUE.f64) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: 'if (at + 8 > end) throw new PostcardError("end_of_input", at, "a point is not complete");',
    after: [
      'if (!!0 && at + 8 > end) throw new PostcardError("end_of_input", at, "a point is not complete");',
      'if (at - 8 > end) throw new PostcardError("end_of_input", at, "a point is not complete");',
      'if (at + 9 > end) throw new PostcardError("end_of_input", at, "a point is not complete");',
      'if (at + 8 >= end) throw new PostcardError("end_of_input", at, "a point is not complete");',
    ],
    reason:
      "A tail of at least five bytes follows, so the point is refused, or whole, all the same; behind the message is slack.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "} else if (kind === VALUE.u64 && (byte = bytes[at]) < 0x80) {",
    after: "} else if (!!0 && kind === VALUE.u64 && (byte = bytes[at]) < 0x80) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "} else if (kind === VALUE.u64) {",
    after: "} else if (!!0 && kind === VALUE.u64) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "} while (byte >= 0x80 && length < 7);",
    after: ["} while (byte > 0x80 && length < 7);", "} while (byte >= 129 && length < 7);"],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (byte < 0x80) at += length;",
    after: "if (!!0 && byte < 0x80) at += length;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "kind = reader.discriminant(5);",
    after: "kind = reader.discriminant(6);",
    reason: "The value that is read next refuses the kind.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: 'if (at >= end) throw new PostcardError("end_of_input", pointStart, "a point is not complete");',
    after: [
      'if (!!0 && at >= end) throw new PostcardError("end_of_input", pointStart, "a point is not complete");',
      'if (at > end) throw new PostcardError("end_of_input", pointStart, "a point is not complete");',
    ],
    reason: "The tail is not complete then, and is refused.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "const metric = metricId < numbers.length ? numbers[metricId] : -1;",
    after: "const metric = metricId < numbers.length ? numbers[metricId] : -2;",
    reason: "No metric has a negative number.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (metrics[number] === metric && clients[number] === client) {",
    after: "if (!!0 && metrics[number] === metric && clients[number] === client) {",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (at + lastWord + 4 <= end) {",
    after: [
      "if (!!0 && at + lastWord + 4 <= end) {",
      "if (at + lastWord + 5 <= end) {",
      "if (at + lastWord + 4 < end) {",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "while (i < lastWord && tails.getInt32(tail + i, true) === view.getInt32(at + i, true)) i += 4;",
    after: [
      "while (!!0 && i < lastWord && tails.getInt32(tail + i, true) === view.getInt32(at + i, true)) i += 4;",
      "while (i <= lastWord && tails.getInt32(tail + i, true) === view.getInt32(at + i, true)) i += 4;",
      "while (i < lastWord && tails.getInt32(tail + i, false) === view.getInt32(at + i, true)) i += 4;",
      "while (i < lastWord && tails.getInt32(tail + i, true) === view.getInt32(at + i, false)) i += 4;",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "tails.getInt32(tail + lastWord, true) === view.getInt32(at + lastWord, true);",
    after: [
      "tails.getInt32(tail + lastWord, false) === view.getInt32(at + lastWord, true);",
      "tails.getInt32(tail + lastWord, true) === view.getInt32(at + lastWord, false);",
    ],
    reason: "Bytes in another order differ as well, so the slow way is taken.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "view.getInt32(at + 4) === view.getInt32(timeAt + 4) &&",
    after: [
      "view.getInt32(at + 5) === view.getInt32(timeAt + 4) &&",
      "view.getInt32(at + 4) === view.getInt32(timeAt - 4) &&",
      "view.getInt32(at + 4) === view.getInt32(timeAt + 5) &&",
    ],
    reason:
      "The last byte of a number is not one within another number, so this never holds, and the slow way gives the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "const MIN_TIME_BYTES = 8;",
    after: "const MIN_TIME_BYTES = 9;",
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "const MAX_TIME_BYTES = 10;",
    after: "const MAX_TIME_BYTES = 11;",
    reason: "Three words cover eleven bytes, too.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "let secs = 0;",
    after: "let secs = 1;",
    reason: "It is read from the first point before it is used.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "let fraction = 0;",
    after: "let fraction = 1;",
    reason: "It is read from the first point before it is used.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "timeLength > 0 && view.getInt32(at) === view.getInt32(timeAt) &&",
    after: "timeLength > 1 && view.getInt32(at) === view.getInt32(timeAt) &&",
    reason: "A time has two bytes at least.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "view.getInt32(at + 4) === view.getInt32(timeAt + 4) &&",
    after: "view.getInt32(at - 4) === view.getInt32(timeAt + 4) &&",
    reason:
      "It holds only behind an id of three bytes that are those of the nanoseconds, and then the third comparison covers the same bytes.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (timeLength < MIN_TIME_BYTES || timeLength > MAX_TIME_BYTES) timeLength = 0;",
    after: [
      "if (!!0 && timeLength < MIN_TIME_BYTES || timeLength > MAX_TIME_BYTES) timeLength = 0;",
      "if (timeLength <= MIN_TIME_BYTES || timeLength > MAX_TIME_BYTES) timeLength = 0;",
      "if (timeLength < MIN_TIME_BYTES || timeLength >= MAX_TIME_BYTES) timeLength = 0;",
    ],
    reason: "It only decides between the fast way and the slow one, which give the same.",
  },
  {
    file: "lib/wire/point_decoder.ts",
    before: "if (known !== 0) return known;",
    after: "if (!!0 && known !== 0) return known;",
    reason: "The series is looked up again when it is added, and found.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "const MAX_NUMBERS_BYTES = 26;",
    after: "const MAX_NUMBERS_BYTES = 27;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "const MAX_ODD = 1024;",
    after: "const MAX_ODD = 1025;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "if (this.#odd.size >= MAX_ODD) this.#odd.clear();",
    after: "if (this.#odd.size > MAX_ODD) this.#odd.clear();",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "#bytes = new Uint8Array(8192);",
    after: "#bytes = new Uint8Array(8193);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "#senderNumber = -1;",
    after: "#senderNumber = -2;",
    reason: "No sender has a negative number.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "this.#senderNumber = -1;",
    after: "this.#senderNumber = -2;",
    reason: "No sender has a negative number.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "#prefix: Uint8Array = new Uint8Array(0);",
    after: "#prefix: Uint8Array = new Uint8Array(1);",
    reason: "It is replaced before the first point.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "head = id <= MAX_METRIC_ID ? new PostcardWriter(16).u64(id).written.slice() : null;",
    after: "head = id <= MAX_METRIC_ID ? new PostcardWriter(17).u64(id).written.slice() : null;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "const writer = new PostcardWriter(128);",
    after: "const writer = new PostcardWriter(129);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "const senderNumber = odd ? -1 : clients[number];",
    after: "const senderNumber = odd ? -2 : clients[number];",
    reason: "No sender has a negative number.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "else if (senderNumber < 0 || senderNumber !== this.#senderNumber) {",
    after: [
      "else if (!!0 && senderNumber < 0 || senderNumber !== this.#senderNumber) {",
      "else if (senderNumber <= 0 || senderNumber !== this.#senderNumber) {",
      "else if (senderNumber < 1 || senderNumber !== this.#senderNumber) {",
    ],
    reason: "The names are compared then, which gives the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "if (tailBytes < 64) { for (let i = 0; i < tailBytes; i++) bytes[at + i] = tail[tailFrom + i]; }",
    after: [
      "if (!!0 && tailBytes < 64) { for (let i = 0; i < tailBytes; i++) bytes[at + i] = tail[tailFrom + i]; }",
      "if (tailBytes <= 64) { for (let i = 0; i < tailBytes; i++) bytes[at + i] = tail[tailFrom + i]; }",
      "if (tailBytes < 65) { for (let i = 0; i < tailBytes; i++) bytes[at + i] = tail[tailFrom + i]; }",
    ],
    reason: "Both ways of copying give the same bytes.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "if (tailBytes < 64) { for (let i = 0; i < tailBytes; i++) bytes[at + i] = tail[tailFrom + i]; }",
    after: "if (tailBytes < 64) { for (let i = 0; i <= tailBytes; i++) bytes[at + i] = tail[tailFrom + i]; }",
    reason: "The byte behind the tail is overwritten by what follows.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "return head !== null && (length < MAX_BODY_BYTES / 8 ||",
    after: [
      "return head !== null && (length <= MAX_BODY_BYTES / 8 ||",
      "return head !== null && (length < MAX_BODY_BYTES / 9 ||",
    ],
    reason: "Only series near the largest size are looked at more closely.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "this.#headroom = FRAME_HEADER_BYTES + this.#prefix.length + 5;",
    after: "this.#headroom = FRAME_HEADER_BYTES + this.#prefix.length + 6;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "this.#reserve(0);",
    after: "this.#reserve(1);",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "if (needed <= this.#bytes.length) return;",
    after: "if (needed < this.#bytes.length) return;",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "size += 3 * (name.length + unit.base.length + unit.prefix.length) + 16;",
    after: [
      "size += 3 * (name.length + unit.base.length + unit.prefix.length) + 17;",
      "size += 3 * (name.length + unit.base.length + unit.prefix.length) - 16;",
      "size += 3 * (name.length - unit.base.length + unit.prefix.length) + 16;",
      "size += 3 * (name.length + unit.base.length - unit.prefix.length) + 16;",
    ],
    reason: "It is an estimate of where a frame is cut, far below the largest one.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "let size = 0;",
    after: "let size = 1;",
    reason: "It is an estimate of where a frame is cut, far below the largest one.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "size = 0;",
    after: "size = 1;",
    reason: "It is an estimate of where a frame is cut, far below the largest one.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "if (size > MAX_REGISTRATION_BYTES || i === metrics.length - 1) {",
    after: "if (size >= MAX_REGISTRATION_BYTES || i === metrics.length - 1) {",
    reason: "It is an estimate of where a frame is cut, far below the largest one.",
  },
  {
    file: "lib/wire/point_encoder.ts",
    before: "const MAX_REGISTRATION_BYTES = 1024 * 1024;",
    after: ["const MAX_REGISTRATION_BYTES = 1025 * 1024;", "const MAX_REGISTRATION_BYTES = 1024 * 1025;"],
    reason: "It is an estimate of where a frame is cut, far below the largest one.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "const tables = Array.from({ length: 8 }, () => new Int32Array(256));",
    after: "const tables = Array.from({ length: 9 }, () => new Int32Array(256));",
    reason: "It only decides how much room there is at first, or when there is more; the result is the same.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "for (let byte = 0; byte < 256; byte++) {",
    after: ["for (let byte = 0; byte <= 256; byte++) {", "for (let byte = 0; byte < 257; byte++) {"],
    reason: "Typed arrays ignore what is written behind their end.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "for (let byte = 0; byte < 256; byte++) {",
    after: "for (let byte = 1; byte < 256; byte++) {",
    reason: "The first place of each table is 0 anyway.",
  },
  {
    file: "lib/base/crc32c.ts",
    before: "for (const last = end - 8; at <= last; at += 8) {",
    after: "for (const last = end - 8; at < last; at += 8) {",
    reason: "The rest is taken byte by byte, with the same result.",
  },
  {
    file: "lib/base/utf8.ts",
    before: "for (let i = 0; i < end; i++) if (bytes[i] === 10) line++;",
    after: "for (let i = 0; i <= end; i++) if (bytes[i] === 10) line++;",
    reason: "The byte at the end is the bad one, which is no line break.",
  },
  {
    file: "lib/base/utf8.ts",
    before: 'const [next] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(rest).split("\\ufffd", 1);',
    after: 'const [next] = new TextDecoder("utf-8", { ignoreBOM: true }).decode(rest).split("\\ufffd", 2);',
    reason: "Only the first part is used.",
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
];
