/** Points for the contract suite: every type, odd texts in every place, values at the ends of their ranges. */
import type { Attribute, Metric } from "../../../lib/points/measurement.ts";
import { LOCAL_MACHINE } from "../../../lib/points/measurement.ts";
import { metricOf } from "../decode.ts";

/** One point, as an object. The value is a bigint where the metric's type is u64. */
export interface Point {
  readonly metric: Metric;
  readonly seconds: number;
  readonly nanos: number;
  readonly value: number | bigint;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly consumerKind: string;
  readonly consumerId: string;
  readonly attributes: readonly Attribute[];
}

export const START_SECONDS = 1_700_000_000;
export const GAUGE: Metric = {
  name: "contract_gauge",
  type: "f64",
  unit: { base: "W", prefix: "milli" },
  description: "",
};
export const COUNTER: Metric = metricOf("contract_counter", "u64", { base: "By", prefix: "" });

/** A point of the whole machine, but for what is given. */
export function point(given: Partial<Point> = {}): Point {
  const metric = given.metric ?? (typeof given.value === "bigint" ? COUNTER : GAUGE);
  return {
    metric,
    seconds: START_SECONDS,
    nanos: 0,
    value: metric.type === "u64" ? 0n : 0,
    resourceKind: LOCAL_MACHINE,
    resourceId: "",
    consumerKind: LOCAL_MACHINE,
    consumerId: "",
    attributes: [],
    ...given,
  };
}

/** `count` points of `seriesCount` series that number themselves in value and time, from `first` on. */
export function numberedPoints(count: number, first = 0, seriesCount = 5): Point[] {
  return Array.from({ length: count }, (_, i) => {
    const n = first + i;
    return point({
      metric: COUNTER,
      value: BigInt(n),
      seconds: START_SECONDS + Math.floor(n / 1000),
      nanos: (n % 1000) * 1_000_000,
      resourceKind: "cpu_core",
      resourceId: String(n % seriesCount),
      attributes: [["core", BigInt(n % seriesCount)]],
    });
  });
}

const F64 = [
  ...[0, -0, 1, -1, 0.1, 1 / 3, 123456789.123456789, 2 ** 53, 2 ** 53 + 2, -(2 ** 63), 1e21, 1e-7],
  ...[1e300, 1e-300, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, Number.EPSILON],
];
const U64 = [
  0n,
  1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
export const NOT_FINITE = [NaN, Infinity, -Infinity];

/** Values of both types, one series, a millisecond apart; then attributes of every type. */
export function typedPoints(): Point[] {
  const at = (i: number) => ({ nanos: i * 1_000_000 });
  const attributes: Attribute[][] = [
    [["f64", 0.5], ["f64_whole", 3], ["f64_large", 1e21], ["f64_small", 1e-9], ["f64_zero", -0]],
    [["u64", 0n], ["u64_large", 2n ** 64n - 1n]],
    [["yes", true], ["no", false]],
    [["text", "text"], ["text_of_digits", "42"], ["text_true", "true"], ["text_empty", ""]],
    [["list", [1n, 2n, 3n]], ["list_of_one", [2n ** 64n - 1n]], ["list_empty", []]],
    [["list_long", Array.from({ length: 500 }, (_, i) => BigInt(i))]],
    // The same name with another type in each series.
    ...([1.5, 2n, true, "three", [4n]] as const).map((value): Attribute[] => [["changing", value]]),
  ];
  return [
    ...F64.map((value, i) => point({ value, ...at(i) })),
    ...U64.map((value, i) => point({ value, ...at(i) })),
    ...attributes.map((attributes, i) => point({ attributes, value: i + 0.5 })),
    ...attributes.map((attributes, i) => point({ attributes, value: BigInt(i) })),
  ];
}

/** Texts that break what is put together carelessly. */
export const ODD_TEXTS: readonly string[] = [
  ...["", " ", "a b", "  padded  ", 'quo"te', '"', "apo'strophe", "back`tick", "semi;colon", "com,ma"],
  ...[
    "equals=sign",
    "back\\slash",
    "ends in \\",
    "\\,",
    "\\n",
    "new\nline",
    "\n",
    "carriage\rreturn",
    "\r\n",
  ],
  ...[
    "tab\there",
    "nul\0l",
    "bell\u0007",
    "escape\u001b[31m",
    "delete\u007f",
    "c1\u0085",
    "line\u2028separator",
  ],
  ...[
    "é",
    "e\u0301",
    "日本語",
    "🔋",
    "\ufeffmark",
    "\u202eright to left",
    "{brace}",
    "}",
    "[1, 2]",
    "$1 ${x}",
  ],
  ...[
    "%s %00",
    "#comment",
    "-- comment",
    "'; DROP TABLE points; --",
    "../../up",
    "/",
    ".",
    "?",
    "NULL",
    "null",
  ],
  ...["NaN", "inf", "true", "1", "1i", "0x10", "2023-11-14T22:13:20Z", "A".repeat(5000), "ü".repeat(3000)],
];

/** Attributes called as columns, labels, tags and fields usually are. */
const RESERVED = [
  ...["metric", "timestamp", "time", "value", "resource_kind", "resource_id", "consumer_kind", "consumer_id"],
  ...[
    "resource_consumer_kind",
    "resource_consumer_id",
    "__late_attributes",
    "__name__",
    "le",
    "_field",
    "id",
  ],
  ...["_measurement", "series", "attributes", "name", "host", "job", "instance", "service.name", "__proto__"],
];

/** Each odd text in each place where there can be one, alone, and reserved words as names of attributes. */
export function oddPoints(): Point[] {
  const places: ((text: string) => Partial<Point>)[] = [
    (text) => ({ metric: metricOf(text) }),
    (text) => ({ resourceKind: text }),
    (text) => ({ resourceId: text }),
    (text) => ({ consumerKind: text }),
    (text) => ({ consumerId: text }),
    (text) => ({ attributes: [[text, "value"]] }),
    (text) => ({ attributes: [["odd", text]] }),
    (text) => ({ attributes: [["list of texts", `${text},${text}`], [`${text}=`, 1n]] }),
  ];
  const points = places.flatMap((place, p) =>
    ODD_TEXTS.map((text, i) =>
      point({ metric: COUNTER, value: BigInt(i), seconds: START_SECONDS + p, nanos: i, ...place(text) })
    )
  );
  points.push(
    ...RESERVED.map((name, i) =>
      point({ value: BigInt(i), seconds: START_SECONDS + 100, nanos: i, attributes: [[name, "attribute"]] })
    ),
  );
  points.push(point({ value: 1n, resourceId: "x".repeat(100_000), seconds: START_SECONDS + 200 }));
  points.push(
    point({ value: 2n, attributes: [["long", "y".repeat(100_000)]], seconds: START_SECONDS + 200 }),
  );
  return points;
}

/** From the first to the last second of the calendar, to the nanosecond. */
export function timedPoints(): Point[] {
  const times: [number, number][] = [
    ...[[0, 0], [0, 1], [1, 999_999_999], [START_SECONDS, 1], [START_SECONDS, 999_999_999]],
    // The ends of 2^31 and 2^32 seconds, of 2^63 and 2^64 nanoseconds, and of the calendar.
    ...[[2_147_483_648, 0], [4_294_967_296, 0], [9_223_372_036, 854_775_807], [9_223_372_036, 854_775_808]],
    ...[[18_446_744_073, 709_551_615], [18_446_744_073, 709_551_616], [253_402_300_799, 999_999_999]],
  ] as [number, number][];
  return times.map(([seconds, nanos], i) => point({ value: BigInt(i), seconds, nanos }));
}

/** A key of a series, by content. */
export function seriesKey({ metric, ...rest }: Point): string {
  const { resourceKind, resourceId, consumerKind, consumerId, attributes } = rest;
  const shown = attributes.map(([name, value]) => [
    name,
    typeof value,
    Object.is(value, -0) ? "-0" : String(value),
  ]);
  return JSON.stringify([
    metric.name,
    metric.type,
    resourceKind,
    resourceId,
    consumerKind,
    consumerId,
    shown,
  ]);
}
