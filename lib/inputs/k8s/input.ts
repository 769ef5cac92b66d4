/** The source of the input `k8s`. */
import { KnownGroups } from "../cgroups/known_groups.ts";
import type { Measuring, Sources } from "../polling/source.ts";
import { type ApiOptions, PodApi } from "./api.ts";
import type { K8sConfig } from "./config.ts";
import { PodKnowledge } from "./knowledge.ts";
import { PodNames } from "./pod_names.ts";

export function openK8s(config: K8sConfig, measuring: Measuring, options?: ApiOptions): Sources<K8sConfig> {
  const names = new PodNames(new PodApi(config, options), measuring);
  return new KnownGroups("k8s", config, measuring, new PodKnowledge(config, names));
}
