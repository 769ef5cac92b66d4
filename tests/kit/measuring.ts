/** What sources of polled inputs measure with, and what came of it, for tests. */
import { type Clock, SystemClock } from "../../lib/base/clock.ts";
import { Shared } from "../../lib/base/shared.ts";
import { createLogger, type Logger } from "../../lib/base/log.ts";
import { ProcFiles, type ProcRoots } from "../../lib/inputs/polling/files.ts";
import { Findings } from "../../lib/inputs/polling/findings.ts";
import { Points } from "../../lib/inputs/polling/points.ts";
import type { Measuring } from "../../lib/inputs/polling/source.ts";
import { Batch } from "../../lib/points/measurement.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";

/** The time of all points. */
export const T = { seconds: 1_795_456_886, nanos: 123_456_000 };

/** A log that puts its lines, debug included, into `lines`. */
export function logTo(lines: string[]): Logger {
  return createLogger("test", { level: "debug", write: (line) => lines.push(line) });
}

export function measuringOf(
  roots: ProcRoots,
  lines: string[] = [],
  clock: Clock = new SystemClock(),
): Measuring {
  const log = logTo(lines);
  return {
    files: new ProcFiles(roots, clock),
    registry: new MetricRegistry(),
    log,
    clock,
    findings: new Findings(log),
    shared: new Shared(),
  };
}

/** Collects the points of one poll. */
export function collect(fill: (points: Points) => void, lines: string[] = []): Batch {
  const points = new Points(new SystemClock(), logTo(lines));
  const batch = new Batch();
  points.begin(batch, T);
  fill(points);
  return batch;
}

/** Polls a source into a new batch. */
export function pollOnce(source: { poll(points: Points, last: boolean): void }): Batch {
  return collect((points) => source.poll(points, false));
}

/** A source that is closed at the end of the test. */
export function closing<S extends { close?(): void }>(source: S): S & Disposable {
  return Object.assign(source, { [Symbol.dispose]: () => source.close?.() });
}

/** `metric{attribute=value …} resource consumer value` for each point. */
export function rows(batch: Batch): string[] {
  return Array.from({ length: batch.length }, (_, row) => {
    const { metric, resourceKind, resourceId, consumerKind, consumerId, attributes } = batch.seriesAt(row);
    const list = attributes.map(([name, value]) => `${name}=${value}`).join(" ");
    const resource = resourceId === "" ? resourceKind : `${resourceKind}:${resourceId}`;
    const consumer = consumerId === "" ? consumerKind : `${consumerKind}:${consumerId}`;
    const value = metric.type === "u64" ? batch.exactValue(row) : batch.values[row];
    return `${metric.name}{${list}} ${resource} ${consumer} ${value}`;
  });
}

export function values(batch: Batch): number[] {
  return [...batch.values.subarray(0, batch.length)];
}
