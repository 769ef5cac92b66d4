/** What `deno task mutate` changes: the parts that compute and touch nothing outside, and the tests that know them. */

export interface MutationTarget {
  readonly file: string;
  readonly tests: readonly string[];
}

export const TARGETS: readonly MutationTarget[] = [
  { file: "lib/postcard.ts", tests: ["tests/postcard_test.ts"] },
  { file: "lib/wire/frames.ts", tests: ["tests/wire/frames_test.ts"] },
  { file: "lib/wire/point_decoder.ts", tests: ["tests/wire"] },
  { file: "lib/wire/point_encoder.ts", tests: ["tests/wire"] },
  { file: "lib/wire/protocol.ts", tests: ["tests/wire"] },
  { file: "lib/batches/encoder.ts", tests: ["tests/batches"] },
  { file: "lib/batches/decoder.ts", tests: ["tests/batches"] },
  {
    file: "lib/outputs/csv/format.ts",
    tests: [
      "tests/outputs/csv/csv_test.ts",
      "tests/outputs/csv/format_test.ts",
      "tests/outputs/csv/header_test.ts",
    ],
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    tests: ["tests/outputs/csv/csv_test.ts", "tests/outputs/influxdb/lines_test.ts"],
  },
  { file: "lib/net/address.ts", tests: ["tests/net/address_test.ts"] },
  { file: "lib/net/networks.ts", tests: ["tests/intake/admission_test.ts"] },
  { file: "lib/base/complaint.ts", tests: ["tests/base/complaint_test.ts"] },
  { file: "lib/base/size.ts", tests: ["tests/base/size_test.ts"] },
  { file: "lib/base/duration.ts", tests: ["tests/base/duration_test.ts"] },
  { file: "lib/config/toml_lines.ts", tests: ["tests/config/toml_lines_test.ts"] },
];
