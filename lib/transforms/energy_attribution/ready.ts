/** Attributions that need no formula. */
import type { SeriesRule } from "./series_rules.ts";

export const READY = ["process", "cgroup", "job"] as const;
export type Ready = typeof READY[number];

/** What {@linkcode ./shares.ts} must know of one. */
export interface ReadyShare {
  readonly metric: string;
  readonly uses: SeriesRule;
  readonly by: { readonly attribute: string; readonly kind: string } | null;
  readonly isNested: boolean;
}

const CPU_TIME = { metric: "cpu_time_delta", keep_attributes: true, attributes: {}, except: {} };

export const READY_SHARES: Readonly<Record<Ready, ReadyShare>> = {
  process: {
    metric: "process_energy",
    // Guests are counted in `user`.
    uses: { ...CPU_TIME, consumer_kind: "process", except: { kind: ["guest", "total"] } },
    by: null,
    isNested: false,
  },
  cgroup: {
    metric: "cgroup_energy",
    uses: { ...CPU_TIME, consumer_kind: "cgroup", attributes: { kind: "total" } },
    by: null,
    isNested: true,
  },
  job: {
    metric: "job_energy",
    // The levels below a job are in the job.
    uses: { ...CPU_TIME, consumer_kind: "cgroup", attributes: { kind: "total" }, except: { step: ["*"] } },
    by: { attribute: "job_id", kind: "job" },
    isNested: false,
  },
};

/** All CPU time of the machine; that of guests is in `user` and `nice`, too. */
export const CAPACITY: SeriesRule = {
  metric: "kernel_cpu_time",
  resource_kind: "local_machine",
  keep_attributes: false,
  attributes: {},
  except: { cpu_state: ["guest*"] },
};
