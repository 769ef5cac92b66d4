/** What is known of the groups of pods. */
import type { GroupKnowledge } from "../cgroups/known_groups.ts";
import { type Container, containerAttributes } from "../cgroups/path_facts.ts";
import type { Attribute } from "../polling/points.ts";
import type { K8sConfig } from "./config.ts";
import type { PodNames } from "./pod_names.ts";
import { podGroupOf } from "./pod_path.ts";

export class PodKnowledge implements GroupKnowledge {
  readonly #names: PodNames;
  readonly #node: string;
  readonly #withContainers: boolean;

  constructor({ k8s_node, annotate_containers }: K8sConfig, names: PodNames) {
    this.#names = names;
    this.#node = k8s_node;
    this.#withContainers = annotate_containers;
  }

  get stats(): Readonly<Record<string, number>> {
    return this.#names.stats;
  }

  get revision(): number {
    return this.#names.revision;
  }

  begin(): void {
    this.#names.tick();
  }

  readonly takes = (path: string) => {
    const group = podGroupOf(path);
    return group !== undefined && (group.isPod || this.#withContainers);
  };

  describe(path: string): readonly Attribute[] | undefined {
    return this.takes(path) ? this.attributesAt(path) : undefined;
  }

  attributesAt(path: string): readonly Attribute[] | undefined {
    const group = podGroupOf(path);
    if (!group) return undefined;
    const attributes = this.#podAttributes(group.uid);
    if (group.container && this.#withContainers) {
      attributes.push(...this.#containerAttributes(group.container));
    }
    return attributes;
  }

  #podAttributes(pathUid: string): Attribute[] {
    const pod = this.#names.pod(pathUid);
    if (!pod) return [["uid", pathUid], ["node", this.#node]];
    const { uid, name, namespace, node = this.#node } = pod;
    return [["uid", uid], ["name", name], ["namespace", namespace], ["node", node]];
  }

  #containerAttributes(container: Container): Attribute[] {
    const name = this.#names.container(container.id);
    const attributes: Attribute[] = name === undefined ? [] : [["container_name", name]];
    return [...attributes, ...containerAttributes(container)];
  }

  what(): string {
    return "pods of Kubernetes";
  }

  close(): Promise<void> {
    return this.#names.close();
  }
}
