/**
 * Pages in the text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/) and in OpenMetrics 1.0
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/).
 */
import { enlarged } from "../../base/bytes.ts";
import type { PageFormat } from "../../http/negotiation.ts";
import type { ExposedFamily, ExposedSeries } from "./exposed_store.ts";

/** UTF-16 units that are encoded at once. */
const CHUNK_LENGTH = 64 * 1024;

const encoder = new TextEncoder();

/** Text that is gathered as UTF-8. */
class PageBuffer {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  append(text: string): void {
    // A UTF-16 unit takes three bytes at most.
    const room = this.#length + 3 * text.length;
    if (room > this.#bytes.length) this.#bytes = enlarged(this.#bytes, this.#length, room);
    this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** A number as both formats and Go read it; exactly as many digits as read back the same. */
export function formatNumber(value: number): string {
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  return Object.is(value, -0) ? "-0" : String(value);
}

function helpText(help: string, format: PageFormat): string {
  const text = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return format === "openmetrics" ? text.replaceAll('"', '\\"') : text;
}

function familyHead({ name, unit, help }: ExposedFamily, format: PageFormat): string {
  let text = `# HELP ${name} ${helpText(help, format)}\n# TYPE ${name} gauge\n`;
  if (format === "openmetrics" && unit) text += `# UNIT ${name} ${unit}\n`;
  return text;
}

/** Milliseconds in the text format, seconds in OpenMetrics. */
function timeText({ seconds, nanos }: ExposedSeries, format: PageFormat): string {
  if (format === "text") return ` ${seconds * 1000 + Math.floor(nanos / 1e6)}`;
  return nanos === 0 ? ` ${seconds}` : ` ${seconds}.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
}

/** A page of all families that have series; it is about as long as it was expected to be. */
export function renderPage(
  families: Iterable<ExposedFamily>,
  format: PageFormat,
  timestamps: boolean,
  expectedBytes = 0,
): Uint8Array<ArrayBuffer> {
  // Room for the last chunk, which is reserved as if it took three bytes a unit.
  const page = new PageBuffer(expectedBytes + 4 * CHUNK_LENGTH);
  let text = "";
  for (const family of families) {
    text += familyHead(family, format);
    for (const members of family.metrics.values()) {
      for (const series of members.values()) {
        text += series.head + " " +
          (series.exact === null ? formatNumber(series.value) : String(series.exact));
        if (timestamps) text += timeText(series, format);
        text += "\n";
        if (text.length >= CHUNK_LENGTH) {
          page.append(text);
          text = "";
        }
      }
    }
  }
  page.append(format === "openmetrics" ? `${text}# EOF\n` : text);
  return page.take();
}
