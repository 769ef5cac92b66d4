/** Points as lines of text: CSV, and JSON lines. */
import { jsonF64 } from "../../outputs/rendering/numbers.ts";
import { csvCell } from "../rows.ts";
import type { ExportedSeries, PointBlock } from "./points.ts";
import type { PointSink } from "./sink.ts";

const COLUMNS =
  "metric,timestamp,value,resource_kind,resource_id,consumer_kind,consumer_id,relay_client,attributes,unit,type";
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
    const between = this.#isCsv ? "," : '","value":';
    const floatText = this.#isCsv ? csvFloat : jsonF64;
    for (let row = 0; row < length; row++) {
      const { before, after } = this.#frame(series[row]);
      const integer = integers[row];
      const value = integer === null ? floatText(values[row]) : String(integer);
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

/** As `query` prints it; NaN is an empty cell. */
function csvFloat(value: number): string {
  if (Number.isNaN(value)) return "";
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? String(value) : value > 0 ? "inf" : "-inf";
}

function csvFrame(series: ExportedSeries): Frame {
  const { metric, resourceKind, resourceId, consumerKind, consumerId, client, attributes, unit } = series;
  const type = series.isFloat ? "f64" : "u64";
  const rest = [resourceKind, resourceId, consumerKind, consumerId, client, attributes, unit, type];
  return { before: `${csvCell(metric)},`, after: `,${rest.map(csvCell).join(",")}\n` };
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
