/** The contract suite on the `csv` output: a file on a disk that is full for a while. */
import type { Attribute } from "../../../lib/points/measurement.ts";
import { csv } from "../../../lib/outputs/csv.ts";
import { CsvOutput } from "../../../lib/outputs/csv/output.ts";
import { formatAttribute } from "../../../lib/outputs/rendering/numbers.ts";
import { unitDisplayName } from "../../../lib/points/units.ts";
import type { Output, PluginContext } from "../../../lib/plugin.ts";
import { contract, type Instance } from "../../kit/contract.ts";
import type { Point } from "../../kit/contract/points.ts";
import { parseCsv } from "../../kit/csv.ts";
import { linux, namespaces } from "../../kit/needs.ts";
import { SmallDisk } from "../../kit/small_disk.ts";

const FIXED = [
  "metric",
  "timestamp",
  "value",
  "resource_kind",
  "resource_id",
  "consumer_kind",
  "consumer_id",
];

class CsvInstance implements Instance {
  readonly #path: string;

  constructor(readonly disk: SmallDisk) {
    this.#path = disk.file("measures.csv");
  }

  open(context: PluginContext): Promise<Output> {
    return CsvOutput.open({ ...csv.config.defaultValue(), output_path: this.#path }, context);
  }

  async expected(points: readonly Point[]) {
    const [header] = parseCsv(await Deno.readTextFile(this.#path));
    const columns = header.slice(FIXED.length, -1);
    return { stored: points.map((point) => JSON.stringify(rowOf(point, columns))) };
  }

  async stored(): Promise<string[]> {
    return parseCsv(await Deno.readTextFile(this.#path)).slice(1).map((row) => JSON.stringify(row));
  }

  async stop(): Promise<void> {
    await this.disk.fill();
  }

  async start(): Promise<void> {
    await this.disk.empty();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disk[Symbol.asyncDispose]();
  }
}

/** The cells of a point's row; how single values are written has tests of its own. */
function rowOf(point: Point, columns: string[]): string[] {
  const { metric, seconds, nanos, value } = point;
  const unit = unitDisplayName(metric.unit);
  const fraction = String(nanos).padStart(9, "0").replace(/0+$/, "");
  const time = new Date(seconds * 1000).toISOString().slice(0, 19) + (fraction && `.${fraction}`) + "Z";
  const attributes = new Map<string, Attribute[1]>(point.attributes);
  const cells = columns.map((column) => {
    const value = attributes.get(column);
    attributes.delete(column);
    return value === undefined ? "" : formatAttribute(value);
  });
  const late = [...attributes].map(([name, value]) =>
    `${name}=${formatAttribute(value).replaceAll(",", "\\,")}`
  );
  const { resourceKind, resourceId, consumerKind, consumerId } = point;
  const head = [unit ? `${metric.name}_${unit}` : metric.name, time, formatAttribute(value)];
  return [...head, resourceKind, resourceId, consumerKind, consumerId, ...cells, late.join(",")];
}

contract({
  name: "csv",
  delivers: "exactly_once",
  ordered: true,
  needs: [linux, namespaces],
  except: {
    "a target that refuses for a while gets everything afterwards":
      "a file that is open takes what it is given",
    "a target that stays silent for a while gets everything afterwards": "a file answers",
    "a slow target gets everything, and what waits for it is bounded": "see the pipe in csv_test.ts",
  },
  fresh: async () => new CsvInstance(await SmallDisk.mount()),
});
