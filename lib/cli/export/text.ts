/** Points as lines of text: CSV, and JSON lines. */
import type { ExportedSeries, PointBlock } from "./points.ts";
import type { PointSink } from "./sink.ts";

const COLUMNS =
  "metric,timestamp,value,resource_kind,resource_id,consumer_kind,consumer_id,relay_client,attributes,unit";
const NS_PER_SECOND = 1_000_000_000n;

/** Texts of a series around its timestamp and value. */
interface Frame {
  readonly before: string;
  readonly after: string;
}

export class TextSink implements PointSink {
  readonly #write: (text: string) => void;
  readonly #isCsv: boolean;
  readonly #frames = new Map<ExportedSeries, Frame>();
  #second = -1n;
  #secondText = "";

  constructor(write: (text: string) => void, format: "csv" | "jsonl") {
    this.#write = write;
    this.#isCsv = format === "csv";
    if (this.#isCsv) write(`${COLUMNS}\n`);
  }

  add({ length, series, times, values, integers }: PointBlock): void {
    let text = "";
    const [between, nothing] = this.#isCsv ? [",", ""] : ['","value":', "null"];
    for (let row = 0; row < length; row++) {
      const { before, after } = this.#frame(series[row]);
      const integer = integers[row];
      const value = integer === null ? floatText(values[row], nothing, this.#isCsv) : String(integer);
      text += before + this.#time(times[row]) + between + value + after;
    }
    this.#write(text);
  }

  end(): void {}

  #time(time: bigint): string {
    const second = time / NS_PER_SECOND;
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(Number(second) * 1000).toISOString().slice(0, 19);
    }
    return `${this.#secondText}.${String(time % NS_PER_SECOND).padStart(9, "0")}Z`;
  }

  #frame(series: ExportedSeries): Frame {
    let frame = this.#frames.get(series);
    if (!frame) this.#frames.set(series, frame = this.#isCsv ? csvFrame(series) : jsonFrame(series));
    return frame;
  }
}

/** Bit for bit, with a point or an exponent in JSON, so that it is read as a float. */
function floatText(value: number, nan: string, isCsv: boolean): string {
  if (Number.isNaN(value)) return nan;
  if (!Number.isFinite(value)) return isCsv ? (value > 0 ? "inf" : "-inf") : value > 0 ? "9e999" : "-9e999";
  const text = Object.is(value, -0) ? "-0" : String(value);
  return isCsv || /[.e]/.test(text) ? text : `${text}.0`;
}

function csvFrame(series: ExportedSeries): Frame {
  const { metric, resourceKind, resourceId, consumerKind, consumerId, client, attributes, unit } = series;
  const cell = (text: string) => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const rest = [resourceKind, resourceId, consumerKind, consumerId, client, attributes, unit];
  return { before: `${cell(metric)},`, after: `,${rest.map(cell).join(",")}\n` };
}

function jsonFrame(series: ExportedSeries): Frame {
  const { metric, resourceKind, resourceId, consumerKind, consumerId, client, attributes, unit } = series;
  const rest = { resource_kind: resourceKind, resource_id: resourceId, consumer_kind: consumerKind };
  const more = { consumer_id: consumerId, relay_client: client, unit };
  const texts = JSON.stringify({ ...rest, ...more }).slice(1, -1);
  return {
    before: `{"metric":${JSON.stringify(metric)},"timestamp":"`,
    after: `,${texts},"attributes":${attributes}}\n`,
  };
}
