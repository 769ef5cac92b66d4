/** Every plugin of the product, in the order in which `config regen` shows them. */
import { amdGpu } from "./inputs/amd_gpu.ts";
import { cgroups } from "./inputs/cgroups.ts";
import { graceHopper } from "./inputs/grace_hopper.ts";
import { hwmon } from "./inputs/hwmon.ts";
import { intelGpu } from "./inputs/intel_gpu.ts";
import { ipmi } from "./inputs/ipmi.ts";
import { jetson } from "./inputs/jetson.ts";
import { k8s } from "./inputs/k8s.ts";
import { kwollectInput } from "./inputs/kwollect_input.ts";
import { oar } from "./inputs/oar.ts";
import { nvml } from "./inputs/nvml.ts";
import { perf } from "./inputs/perf.ts";
import { lines } from "./inputs/lines.ts";
import { powerSupply } from "./inputs/power_supply.ts";
import { procfs } from "./inputs/procfs.ts";
import { rapl } from "./inputs/rapl.ts";
import { slurm } from "./inputs/slurm.ts";
import { redfish } from "./inputs/redfish.ts";
import { aggregation } from "./transforms/aggregation.ts";
import { energyAttribution } from "./transforms/energy_attribution.ts";
import { energyEstimationTdp } from "./transforms/energy_estimation_tdp.ts";
import { energyToCarbon } from "./transforms/energy_to_carbon.ts";
import { filter } from "./transforms/filter.ts";
import { convert } from "./transforms/convert.ts";
import { processToCgroupBridge } from "./transforms/process_to_cgroup_bridge.ts";
import { rates } from "./transforms/rates.ts";
import { relabel } from "./transforms/relabel.ts";
import { csv } from "./outputs/csv.ts";
import { influxdb } from "./outputs/influxdb.ts";
import { opentelemetry } from "./outputs/opentelemetry.ts";
import { parquet } from "./outputs/parquet.ts";
import { postgresql } from "./outputs/postgresql.ts";
import { prometheusExporter } from "./outputs/prometheus_exporter.ts";
import { scrape } from "./inputs/scrape.ts";
import { socketControl } from "./inputs/socket_control.ts";
import { sqlite } from "./outputs/sqlite.ts";
import type { Plugin } from "./plugin.ts";
import { relayClient } from "./outputs/relay_client.ts";
import { relayServer } from "./inputs/relay_server.ts";

export const plugins: readonly Plugin[] = [
  procfs,
  rapl,
  hwmon,
  graceHopper,
  jetson,
  nvml,
  amdGpu,
  intelGpu,
  powerSupply,
  ipmi,
  redfish,
  kwollectInput,
  cgroups,
  k8s,
  slurm,
  oar,
  perf,
  processToCgroupBridge,
  relabel,
  convert,
  rates,
  energyEstimationTdp,
  energyAttribution,
  filter,
  energyToCarbon,
  aggregation,
  lines,
  scrape,
  socketControl,
  relayServer,
  relayClient,
  csv,
  sqlite,
  parquet,
  influxdb,
  postgresql,
  prometheusExporter,
  opentelemetry,
];
