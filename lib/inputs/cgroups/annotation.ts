/** Adds what an input knows of groups to the points of other inputs, by the group or the process that they are about. */
import type { Clock } from "../../base/clock.ts";
import type { Attribute, Batch } from "../../points/measurement.ts";
import { SeriesColumn } from "../../points/series_column.ts";
import type { SeriesStore } from "../../points/series_store.ts";
import type { Transform } from "../../plugin.ts";
import { groupsOfProcess } from "../../transforms/process_to_cgroup_bridge/process_groups.ts";
import { Rewriter, type Rewriting } from "../../transforms/rewriting.ts";
import type { ProcFiles } from "../polling/files.ts";

/** How long it is believed that a process is in a group, and that a group is what it is, in ms. */
const BELIEVED_MS = 10_000;

export interface AnnotationOptions {
  readonly files: ProcFiles;
  readonly clock: Clock;
  /** What is known of the group with this path, or of one around it; `undefined`: nothing. @default nothing of any */
  readonly attributesOf?: (path: string) => readonly Attribute[] | undefined;
  /** What all points get that have no attribute of the name `unless`. @default nothing */
  readonly everywhere?: { readonly unless: string; readonly attributes: () => readonly Attribute[] };
  /** Changes when other attributes are known. */
  readonly revision: () => number;
}

/** What a column has of a series: it stays as it is, or the number of the annotated one and 1. */
const UNKNOWN = 0;
const UNCHANGED = 1;

/**
 * Attributes that a point has stay as they are. Points that came from clients are not looked at: their groups are on
 * other machines.
 */
export class Annotation implements Transform {
  readonly #options: AnnotationOptions;
  readonly #rewriter = new Rewriter();
  readonly #rewriting: Rewriting;
  #store: SeriesStore | null = null;
  #numbers!: SeriesColumn;
  #generations!: SeriesColumn;
  #revision = NaN;
  #believedUntilMs = -Infinity;

  constructor(options: AnnotationOptions) {
    this.#options = options;
    this.#rewriting = {
      keep: () => false,
      derive: (batch, row, out) => out.pushFrom(batch, row, this.#annotated(batch, row)),
    };
  }

  apply(batch: Batch): Batch {
    const { attributesOf, everywhere } = this.#options;
    const addsNothing = !attributesOf && everywhere?.attributes().length === 0;
    if (batch.origins.length > 0 || addsNothing) return batch;
    this.#prepare(batch);
    for (let row = 0; row < batch.length; row++) {
      if (this.#annotated(batch, row) === batch.series[row]) continue;
      return this.#rewriter.rewrite(batch, this.#rewriting);
    }
    return batch;
  }

  /** Forgets what may no longer hold. */
  #prepare({ store }: Batch): void {
    const { clock, revision, attributesOf } = this.#options;
    const nowMs = clock.monotonicMs();
    if (store !== this.#store) {
      this.#store = store;
      this.#numbers = new SeriesColumn(store);
      this.#generations = new SeriesColumn(store);
    } else if (nowMs < this.#believedUntilMs && revision() === this.#revision) return;
    this.#numbers.clear();
    this.#revision = revision();
    this.#believedUntilMs = attributesOf ? nowMs + BELIEVED_MS : Infinity;
  }

  /** The number of the series that the point of a row gets. */
  #annotated(batch: Batch, row: number): number {
    const { store } = batch;
    const series = batch.series[row];
    const known = this.#numbers.values[series];
    if (known === UNCHANGED) return series;
    const number = known - 1;
    if (known !== UNKNOWN && this.#generations.values[series] === store.generations[number]) return number;
    const { attributes, ...rest } = batch.seriesAt(row);
    const has = new Set(attributes.map(([name]) => name));
    const added: Attribute[] = [];
    const add = (list: readonly Attribute[]) => {
      for (const attribute of list) if (!has.has(attribute[0])) added.push(attribute);
    };
    add(this.#known(rest.consumerKind, rest.consumerId) ?? []);
    const { everywhere } = this.#options;
    const { unless } = everywhere ?? {};
    if (everywhere && !has.has(unless!) && !added.some(([name]) => name === unless)) {
      add(everywhere.attributes());
    }
    if (added.length === 0) {
      this.#numbers.values[series] = UNCHANGED;
      return series;
    }
    const made = store.internDefinition({ ...rest, attributes: [...added, ...attributes] });
    this.#numbers.values[series] = made + 1;
    this.#generations.values[series] = store.generations[made];
    return made;
  }

  #known(consumerKind: string, consumerId: string): readonly Attribute[] | undefined {
    const { attributesOf } = this.#options;
    if (!attributesOf) return undefined;
    if (consumerKind === "cgroup") return attributesOf(consumerId);
    if (consumerKind !== "process" || !/^\d+$/.test(consumerId)) return undefined;
    const { files } = this.#options;
    for (const path of groupsOfProcess(files.text(`${files.proc}/${consumerId}/cgroup`) ?? "")) {
      const attributes = attributesOf(path);
      if (attributes) return attributes;
    }
    return undefined;
  }
}
