/** What `deno task mutate` changes: the parts that compute and touch nothing outside, and the tests that know them. */

export interface MutationTarget {
  readonly file: string;
  readonly tests: readonly string[];
}

export const TARGETS: readonly MutationTarget[] = [
  // Bytes.
  { file: "lib/postcard.ts", tests: ["tests/postcard_test.ts"] },
  { file: "lib/base/crc32c.ts", tests: ["tests/base/crc32c_test.ts"] },
  { file: "lib/base/utf8.ts", tests: ["tests/base/utf8_test.ts"] },
  { file: "lib/wire/frames.ts", tests: ["tests/wire/frames_test.ts"] },
  {
    file: "lib/wire/point_decoder.ts",
    tests: ["tests/wire/point_bounds_test.ts", "tests/wire/points_test.ts"],
  },
  { file: "lib/wire/point_encoder.ts", tests: ["tests/wire/points_test.ts"] },
  {
    file: "lib/wire/protocol.ts",
    tests: ["tests/wire/protocol_test.ts", "tests/wire/introduction_test.ts"],
  },
  {
    file: "lib/batches/encoder.ts",
    tests: ["tests/batches/encoder_test.ts", "tests/batches/codec_test.ts"],
  },
  { file: "lib/batches/definition_reader.ts", tests: ["tests/batches"] },
  { file: "lib/batches/definition_writer.ts", tests: ["tests/batches"] },
  { file: "lib/batches/decoder.ts", tests: ["tests/batches"] },
  {
    file: "lib/journal/disk/format/record.ts",
    tests: ["tests/journal/disk/clients_test.ts", "tests/journal/disk/salvage_test.ts"],
  },
  { file: "lib/journal/disk/format/segment.ts", tests: ["tests/journal/disk/format_test.ts"] },
  { file: "lib/journal/disk/format/snapshot.ts", tests: ["tests/journal/disk/format_test.ts"] },
  { file: "lib/journal/disk/format/record_reader.ts", tests: ["tests/journal/disk/format_test.ts"] },
  // Series, limits, accounts.
  { file: "lib/points/registry.ts", tests: ["tests/points/registry_test.ts"] },
  { file: "lib/points/units.ts", tests: ["tests/points/units_test.ts"] },
  { file: "lib/points/series_store.ts", tests: ["tests/points/series_store_test.ts"] },
  { file: "lib/points/series_index.ts", tests: ["tests/points/series_index_test.ts"] },
  { file: "lib/points/arena.ts", tests: ["tests/points/series_store_test.ts"] },
  { file: "lib/points/holds.ts", tests: ["tests/points/series_store_test.ts"] },
  { file: "lib/points/client_names.ts", tests: ["tests/points/batch_builder_test.ts"] },
  { file: "lib/points/batch_builder.ts", tests: ["tests/points/batch_builder_test.ts"] },
  { file: "lib/points/origins.ts", tests: ["tests/points/origins_test.ts"] },
  { file: "lib/points/batch_check.ts", tests: ["tests/points/batch_check_test.ts"] },
  { file: "lib/journal/memory.ts", tests: ["tests/journal/memory_test.ts"] },
  { file: "lib/intake/gatherer.ts", tests: ["tests/intake/gatherer_test.ts"] },
  { file: "lib/server/frame_budget.ts", tests: ["tests/server/settings_test.ts"] },
  { file: "lib/net/networks.ts", tests: ["tests/intake/admission_test.ts"] },
  { file: "lib/net/address.ts", tests: ["tests/net/address_test.ts"] },
  // Texts and configuration.
  {
    file: "lib/outputs/csv/format.ts",
    tests: [
      "tests/outputs/csv/csv_test.ts",
      "tests/outputs/csv/format_test.ts",
      "tests/outputs/csv/header_test.ts",
    ],
  },
  {
    file: "lib/outputs/csv/cells.ts",
    tests: ["tests/outputs/csv/format_test.ts", "tests/outputs/csv/header_test.ts"],
  },
  { file: "lib/outputs/csv/row_ends.ts", tests: ["tests/outputs/csv/format_test.ts"] },
  { file: "lib/outputs/csv/header.ts", tests: ["tests/outputs/csv/header_test.ts"] },
  { file: "lib/transforms/rates/transform.ts", tests: ["tests/transforms/rates_test.ts"] },
  {
    file: "lib/transforms/energy_attribution/attribution.ts",
    tests: [
      "tests/transforms/attribution_formula_test.ts",
      "tests/transforms/attribution_shares_test.ts",
    ],
  },
  {
    file: "lib/transforms/energy_attribution/interpolation.ts",
    tests: [
      "tests/transforms/attribution_formula_test.ts",
      "tests/transforms/attribution_shares_test.ts",
    ],
  },
  {
    file: "lib/transforms/energy_attribution/point_list.ts",
    tests: [
      "tests/transforms/attribution_formula_test.ts",
      "tests/transforms/attribution_shares_test.ts",
    ],
  },
  {
    file: "lib/transforms/energy_attribution/groups.ts",
    tests: [
      "tests/transforms/attribution_formula_test.ts",
      "tests/transforms/attribution_shares_test.ts",
    ],
  },
  {
    file: "lib/transforms/energy_attribution/shares.ts",
    tests: ["tests/transforms/attribution_shares_test.ts"],
  },
  {
    file: "lib/transforms/energy_attribution/divide.ts",
    tests: ["tests/transforms/attribution_shares_test.ts"],
  },
  {
    file: "lib/outputs/rendering/numbers.ts",
    tests: [
      "tests/outputs/rendering/numbers_test.ts",
      "tests/outputs/csv/csv_test.ts",
      "tests/outputs/influxdb/lines_test.ts",
    ],
  },
  { file: "lib/outputs/postgresql/rows.ts", tests: ["tests/outputs/postgresql/rows_test.ts"] },
  { file: "lib/outputs/postgresql/rollups/ranges.ts", tests: ["tests/outputs/postgresql/rows_test.ts"] },
  { file: "lib/outputs/influxdb/lines.ts", tests: ["tests/outputs/influxdb/lines_test.ts"] },
  { file: "lib/base/complaint.ts", tests: ["tests/base/complaint_test.ts"] },
  { file: "lib/base/size.ts", tests: ["tests/base/size_test.ts"] },
  { file: "lib/base/duration.ts", tests: ["tests/base/duration_test.ts"] },
  { file: "lib/base/memory.ts", tests: ["tests/base/memory_test.ts"] },
  { file: "lib/config/toml_lines.ts", tests: ["tests/config/toml_lines_test.ts"] },
  { file: "lib/config/overrides.ts", tests: ["tests/config/overrides_test.ts"] },
  { file: "lib/schema/scalars.ts", tests: ["tests/schema"] },
  { file: "lib/schema/tables.ts", tests: ["tests/schema"] },
  { file: "lib/transforms/expressions/lexer.ts", tests: ["tests/transforms/expressions_test.ts"] },
  { file: "lib/transforms/expressions/parser.ts", tests: ["tests/transforms/expressions_test.ts"] },
  { file: "lib/transforms/expressions/expression.ts", tests: ["tests/transforms/expressions_test.ts"] },
  { file: "lib/transforms/expressions/machine.ts", tests: ["tests/transforms/expressions_test.ts"] },
  { file: "lib/transforms/expressions/operators.ts", tests: ["tests/transforms/expressions_test.ts"] },
  { file: "lib/transforms/expressions/functions.ts", tests: ["tests/transforms/expressions_test.ts"] },
  { file: "lib/transforms/expressions/floats.ts", tests: ["tests/transforms/expressions_test.ts"] },
];
