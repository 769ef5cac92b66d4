/** A polled input as small as one can be: how long a machine has been running, from /proc/uptime. */
import { definePolledInput } from "../../../lib/inputs/polling/declaration.ts";
import { ProcFile } from "../../../lib/inputs/polling/files.ts";
import { f64Metric, type Points, type Series, seriesOf } from "../../../lib/inputs/polling/points.ts";
import { type Measuring, oneSource, type PolledSource } from "../../../lib/inputs/polling/source.ts";
import { duration, live, table } from "../../../lib/schema.ts";

const config = table({
  poll_interval: live(duration({ doc: "Time between two measurements.", default: "1s", min: "1ms" })),
}, { doc: "How long this machine has been running." });

class UptimeSource implements PolledSource {
  readonly name = "uptime";
  readonly #file: ProcFile;
  readonly #series: Series;

  constructor({ files, registry }: Measuring) {
    this.#file = new ProcFile(files, `${files.proc}/uptime`);
    this.#series = seriesOf(
      registry.register(f64Metric("uptime", { base: "s", prefix: "" }, "time since the boot")),
    );
  }

  poll(points: Points): void {
    const text = this.#file.text();
    if (text !== undefined) points.f64(this.#series, parseFloat(text));
  }

  close(): void {
    this.#file.close();
  }
}

export const uptime = definePolledInput({
  name: "uptime",
  description: "How long this machine has been running",
  config,
  load: (_, measuring) => Promise.resolve(oneSource("uptime", () => new UptimeSource(measuring))),
});
