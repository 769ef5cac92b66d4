/** The page /metrics, in the text format of Prometheus and in OpenMetrics. */
import { escapeLabelValue } from "../outputs/prometheus/naming.ts";
import { formatNumber } from "../outputs/prometheus/exposition.ts";
import type { PageFormat } from "../http/negotiation.ts";
import type { Family } from "./families.ts";

const PREFIX = "alumet_relay_";

/** @param families Their samples are shown if their values are numbers. */
export function renderFamilies(families: readonly Family[], format: PageFormat): Uint8Array<ArrayBuffer> {
  const isOpenMetrics = format === "openmetrics";
  let text = "";
  for (const { name, type, help, samples } of families) {
    const known = samples.filter(({ value }) => !Number.isNaN(value));
    if (known.length === 0) continue;
    const total = type === "counter" ? "_total" : "";
    const family = PREFIX + name + (isOpenMetrics ? "" : total);
    text += `# HELP ${family} ${help}\n# TYPE ${family} ${type}\n`;
    if (isOpenMetrics) {
      const unit = /_(seconds|bytes)$/.exec(name)?.[1];
      if (unit) text += `# UNIT ${family} ${unit}\n`;
    }
    for (const { suffix = total, labels, value } of known) {
      text += PREFIX + name + suffix;
      let list = "";
      for (const label in labels) {
        list += `${list === "" ? "" : ","}${label}="${escapeLabelValue(labels[label])}"`;
      }
      text += `${list === "" ? "" : `{${list}}`} ${formatNumber(value)}\n`;
    }
  }
  return new TextEncoder().encode(isOpenMetrics ? `${text}# EOF\n` : text);
}
