/** The sources of an input that knows what certain groups are: pods, jobs. */
import type { Attribute } from "../polling/points.ts";
import type { Measuring, Sources, WantedSource } from "../polling/source.ts";
import { Annotation, type AnnotationOptions } from "./annotation.ts";
import { type GroupDescriber, GroupsSource } from "./source.ts";

/** What an input knows of groups. */
export interface GroupKnowledge extends GroupDescriber {
  /** What all points get, whatever they are about: see {@linkcode AnnotationOptions}. @default nothing */
  readonly everywhere?: AnnotationOptions["everywhere"];
  /** What is known of the group with this path, or of one around it, for the points of other inputs. */
  attributesAt(path: string): readonly Attribute[] | undefined;
  /** Counters since the start. */
  readonly stats?: Readonly<Record<string, number>>;
  close?(): void | Promise<void>;
}

/** The keys that such inputs have in common. */
export interface KnownGroupsConfig {
  readonly poll_interval: number;
  readonly disable_sources: boolean;
  readonly annotate_foreign_measurements: boolean;
}

export class KnownGroups<C extends KnownGroupsConfig> implements Sources<C> {
  readonly transform: Annotation | undefined;
  readonly #name: string;
  readonly #measuring: Measuring;
  readonly #knowledge: GroupKnowledge;

  constructor(name: string, config: C, measuring: Measuring, knowledge: GroupKnowledge) {
    const { files, clock } = measuring;
    this.#name = name;
    this.#measuring = measuring;
    this.#knowledge = knowledge;
    const annotates = config.annotate_foreign_measurements;
    if (!annotates && !knowledge.everywhere) return;
    this.transform = new Annotation({
      files,
      clock,
      attributesOf: annotates ? (path) => knowledge.attributesAt(path) : undefined,
      everywhere: knowledge.everywhere,
      revision: () => knowledge.revision ?? 0,
    });
  }

  wanted({ poll_interval, disable_sources }: C): WantedSource[] {
    const open = () => new GroupsSource(this.#name, this.#measuring, this.#knowledge, !disable_sources);
    return [{ name: this.#name, intervalMs: poll_interval, madeWith: disable_sources, open }];
  }

  get stats(): Readonly<Record<string, number>> | undefined {
    return this.#knowledge.stats;
  }

  async close(): Promise<void> {
    await this.#knowledge.close?.();
  }
}
