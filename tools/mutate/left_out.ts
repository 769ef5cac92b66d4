/** What `deno task mutate` leaves alone, by what it touches: whole programs and the tests of each folder run it. */

export interface LeftOut {
  readonly reason: string;
  /** Files, and folders whose files are not targets. */
  readonly paths: readonly string[];
}

export const LEFT_OUT: readonly LeftOut[] = [
  {
    reason: "Sockets, TLS and HTTP.",
    paths: [
      ...[
        "lib/client.ts",
        "lib/client/",
        "lib/http/",
        "lib/intake/",
        "lib/net/",
        "lib/server.ts",
        "lib/server/",
      ],
      ...[
        "lib/seeing.ts",
        "lib/agent/program_pages.ts",
        "lib/cli/agents/",
        "lib/cli/probe.ts",
        "lib/cli/send.ts",
      ],
      ...["lib/outputs/http/", "lib/outputs/influxdb.ts", "lib/outputs/influxdb/"],
      ...["lib/outputs/opentelemetry.ts", "lib/outputs/opentelemetry/", "lib/outputs/prometheus/"],
      ...["lib/inputs/k8s/api.ts", "lib/inputs/kwollect_input/", "lib/inputs/lines/", "lib/inputs/redfish/"],
      ...["lib/inputs/scrape/", "lib/inputs/socket_control/"],
    ],
  },
  {
    reason: "Files: journals, dead letters, archives, locks and the state directory.",
    paths: [
      ...[
        "lib/agent/kept.ts",
        "lib/agent/state_directory.ts",
        "lib/base/file_lock.ts",
        "lib/base/file_system.ts",
      ],
      ...["lib/dead_letters/", "lib/journal/", "lib/outputs/csv/", "lib/cli/state.ts", "lib/cli/token.ts"],
      ...["lib/cli/dead_letters.ts", "lib/cli/dead_letters_replay.ts", "lib/cli/journal.ts"],
      ...[
        "lib/cli/journal_access.ts",
        "lib/cli/journal_dump.ts",
        "lib/cli/import.ts",
        "lib/cli/import/",
        "lib/cli/replace_file.ts",
      ],
    ],
  },
  {
    reason: "Databases, and threads of a database or of an encoder.",
    paths: [
      ...["lib/outputs/parquet.ts", "lib/outputs/parquet/", "lib/outputs/postgresql.ts"],
      ...["lib/outputs/postgresql/", "lib/outputs/sqlite.ts", "lib/outputs/sqlite/", "lib/outputs/threads/"],
      ...["lib/cli/export.ts", "lib/cli/export/", "lib/cli/forecast.ts", "lib/cli/query.ts"],
      "lib/cli/query_database.ts",
    ],
  },
  {
    reason: "The kernel: its devices, counters, notifications, schedulers and the C library.",
    paths: [
      ...["lib/agent/spare_memory.ts", "lib/base/libc.ts", "lib/inputs/cgroups/", "lib/inputs/ipmi/"],
      "lib/inputs/polling/",
    ],
  },
  { reason: "The library of the vendor of GPUs, and its program.", paths: ["lib/inputs/nvml/"] },
  {
    reason: "Other processes: the program that is measured, kubectl and systemd.",
    paths: [
      ...["lib/cli/exec.ts", "lib/cli/exec/", "lib/cli/watch.ts", "lib/cli/systemd_unit.ts", "lib/systemd/"],
      "lib/inputs/k8s/token.ts",
    ],
  },
  {
    reason: "What puts the parts together: a whole program shows whether they fit.",
    paths: [
      ...["lib/agent.ts", "lib/service.ts", "lib/cli.ts", "lib/cli/completions.ts", "lib/cli/config.ts"],
      ...["lib/cli/inputs.ts", "lib/cli/loading.ts", "lib/cli/plugins.ts", "lib/cli/run.ts"],
      ...["lib/outputs/prometheus_exporter.ts", "lib/outputs/relay_client.ts"],
      ...["lib/transforms/aggregation.ts", "lib/transforms/energy_attribution.ts"],
      ...["lib/transforms/process_to_cgroup_bridge.ts", "lib/transforms/rates.ts"],
    ],
  },
  { reason: "Words, which other tests compare with the documents.", paths: ["lib/cli/declarations.ts"] },
];
