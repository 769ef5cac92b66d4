/** What is changed of pages, commands and what systemd is told, and the tests that know it. */
import type { MutationTarget } from "./entry.ts";

const PRINTED = "tests/cli/printed_test.ts";

export const DOOR_TARGETS: readonly MutationTarget[] = [
  { file: "lib/agent/event_loop_delay.ts", tests: ["tests/agent/figures_test.ts"] },
  { file: "lib/agent/figures.ts", tests: ["tests/agent/figures_test.ts"] },
  {
    file: "lib/agent/lag_meter.ts",
    tests: ["tests/agent/figures_test.ts"],
    filter: "/lag|points from before|samples/",
  },
  {
    file: "lib/agent/reconfigure.ts",
    tests: ["tests/agent/reload_test.ts"],
    filter: "/^(live keys|a list of tables|added and)/",
  },
  {
    file: "lib/agent/series_memory.ts",
    tests: ["tests/base/memory_test.ts"],
    filter: "series get a quarter",
  },
  { file: "lib/agent/special_paths.ts", tests: ["tests/agent/special_paths_test.ts"] },
  { file: "lib/cli/agents/text.ts", tests: [PRINTED] },
  { file: "lib/cli/agents/top_screen.ts", tests: [PRINTED] },
  { file: "lib/cli/completions/bash.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/completions/fish.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/completions/grammar.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/completions/zsh.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/exec/options.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/help.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/man.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/parse.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/query_selection.ts", tests: ["tests/cli/parse_test.ts"] },
  { file: "lib/cli/exec/counts.ts", tests: [PRINTED] },
  { file: "lib/cli/exec/energy.ts", tests: [PRINTED] },
  {
    file: "lib/cli/exec/report.ts",
    tests: [PRINTED, "tests/cli/exec_test.ts"],
    filter: "/^(a report has|the table |means and|the program's share|parts that|a program that ended)/",
  },
  { file: "lib/cli/export/formats.ts", tests: [PRINTED] },
  { file: "lib/cli/export/text.ts", tests: [PRINTED] },
  { file: "lib/cli/export/parquet.ts", tests: ["tests/cli/import_test.ts"] },
  { file: "lib/cli/import/files.ts", tests: ["tests/cli/import_test.ts"] },
  { file: "lib/cli/import/parquet.ts", tests: ["tests/cli/import_test.ts"], filter: "Parquet" },
  { file: "lib/cli/import/rows.ts", tests: ["tests/cli/import_test.ts"] },
  { file: "lib/cli/import/text.ts", tests: ["tests/cli/import_test.ts"] },
  {
    file: "lib/cli/rows.ts",
    tests: [PRINTED, "tests/cli/query_test.ts"],
    filter: "/^(the first 200|infinities|CSV has|JSON is|a table is|in every format|rows are)/",
  },
  {
    file: "lib/seeing/access.ts",
    tests: ["tests/seeing/seeing_test.ts"],
    filter: "/^(with a token|without a token|only the networks)/",
  },
  { file: "lib/agent/resolve.ts", tests: ["tests/agent/resolve_test.ts"] },
  { file: "lib/agent/stats.ts", tests: ["tests/agent/books_test.ts"] },
  { file: "lib/seeing/api.ts", tests: ["tests/seeing/api_test.ts"] },
  { file: "lib/seeing/exposition.ts", tests: ["tests/seeing/families_test.ts"] },
  {
    file: "lib/seeing/families.ts",
    tests: ["tests/seeing/families_test.ts", "tests/agent/books_test.ts"],
    filter: "/metrics|totals of a name|a family has/",
  },
  { file: "lib/seeing/pages.ts", tests: ["tests/seeing/families_test.ts"] },
  {
    file: "lib/seeing/tap.ts",
    tests: ["tests/seeing/tap_test.ts"],
    filter: "/^(?!a tap that is not read)/",
  },
  {
    file: "lib/systemd/journal_stream.ts",
    tests: ["tests/systemd/systemd_test.ts"],
    filter: "standard error is",
  },
  { file: "lib/systemd/quoting.ts", tests: ["tests/systemd/unit_test.ts"], filter: "arguments reach" },
  { file: "lib/systemd/status.ts", tests: ["tests/systemd/systemd_test.ts"], filter: "the status has" },
  {
    file: "lib/systemd/unit.ts",
    tests: ["tests/systemd/unit_test.ts"],
    filter: "/^(packaging|the unit |a process gets|only packaged)/",
  },
];
