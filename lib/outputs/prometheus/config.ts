/** The keys of `[plugins.prometheus-exporter]`: names and defaults are those of Alumet. */
import { addressProblem } from "../../net/address.ts";
import { duration, flag, type Infer, integer, live, table, text } from "../../schema.ts";

/** Host and port as an address; brackets around an IPv6 may be left out. */
export function addressText(host: string, port: number): string {
  if (host === "") return `[::]:${port}`;
  return host.includes(":") && !host.startsWith("[") ? `[${host}]:${port}` : `${host}:${port}`;
}

const hostProblem = (host: string) =>
  /^\[?[^[\]]*\]?$/.test(host) && !/^[^:[]*:[0-9]+$/.test(host)
    ? addressProblem(addressText(host, 0), { listen: true })
    : "it is a host without a port; the port has its own key";

export const config = table({
  host: text({
    doc:
      "Where to listen: an address of this machine, IPv4 or IPv6; 0.0.0.0 is every IPv4 of it, :: (or an empty text) " +
      "every address.",
    default: "0.0.0.0",
    check: hostProblem,
  }),
  port: integer({
    doc: "The page is http://HOST:PORT/metrics. 0 is any free port.",
    default: 9091,
    min: 0,
    max: 65_535,
  }),
  prefix: text({ doc: "Before the name of each metric.", default: "" }),
  suffix: text({ doc: "Behind the name of each metric, before its unit.", default: "_alumet" }),
  add_attributes_to_labels: flag({
    doc: "Attributes are labels. Without them, series that differ in attributes alone are one.",
    default: true,
  }),
  stale_after: live(duration({
    doc: "A series for which nothing has arrived for so long disappears.",
    default: "5m",
    min: "1s",
  })),
  max_series: live(integer({
    doc:
      "How many series there may be. While there are so many, new ones are left out, counted, and reported in the log.",
    default: 100_000,
    min: 1,
    max: 10_000_000,
  })),
  timestamps: flag({
    doc:
      "Show the times of the points. Prometheus then refuses late ones and does not notice when a series ends; " +
      "without, a value has the time of the scrape.",
    default: false,
  }),
}, { doc: "Shows the last value of every series to Prometheus." });

export type PrometheusConfig = Infer<typeof config>;
