/** The keys of `[plugins.scrape]`. */
import type { Advice } from "../../plugin.ts";
import { isOpenUrl } from "../../net/address.ts";
import { choice, duration, type Infer, integer, optional, size, table, tables, text } from "../../schema.ts";
import { rulesKey } from "../decoding/rules.ts";

const urlProblem = (url: string) => {
  try {
    const { protocol, username, password } = new URL(url);
    if (protocol !== "http:" && protocol !== "https:") return "write http:// or https://";
    if (username !== "" || password !== "") {
      return "put a token into token_file; the URL must not contain a password";
    }
  } catch {
    return "write a URL such as http://127.0.0.1:9400/metrics";
  }
};

const target = table({
  url: text({
    doc: "The page of the exporter.",
    default: "http://127.0.0.1:9400/metrics",
    check: urlProblem,
  }),
  poll_interval: duration({ doc: "Time between two scrapes.", default: "15s", min: "100ms" }),
  timeout: duration({
    doc: "The longest time that a scrape may take; not longer than poll_interval has an effect.",
    default: "10s",
    min: "10ms",
  }),
  counters: choice(["totals", "differences"], {
    doc:
      "How counters are reported: as the exporter has them, or as the difference since the last scrape, as other inputs " +
      "report theirs.",
    default: "totals",
  }),
  instance: optional(text({
    doc: "The attribute instance of its points. Default: host and port of the URL.",
    default: "node-1:9400",
  })),
  token_file: text({
    doc: "A file with a token, which is sent as Authorization: Bearer. It is read for each scrape.",
    default: "",
    secretFile: true,
  }),
  ca: text({
    doc: "PEM file of the CAs that may sign the exporter's certificate. Empty: those of the system.",
    default: "",
  }),
}, {
  doc: "An exporter.",
  check({ url, ca }) {
    if (ca !== "" && !url.startsWith("https:")) {
      return { key: "ca", problem: "only https:// has a certificate" };
    }
  },
});

export type ScrapeTarget = Infer<typeof target>;

export const config = table({
  targets: tables(target, { doc: "The exporters.", default: [] }),
  limits: table({
    body: size({
      doc: "A page, unpacked; the rest of a larger one is not read.",
      default: "64MiB",
      min: "1KiB",
    }),
    line_length: size({ doc: "A line; a longer one is left out.", default: "64KiB", min: "64" }),
    metrics: integer({
      doc: "Metrics, at most, of all exporters; points of further ones are refused and counted.",
      default: 8192,
      min: 1,
      max: 65_536,
    }),
    name_length: integer({
      doc: "Bytes of the name of a metric and a label.",
      default: 255,
      min: 1,
      max: 65_535,
    }),
  }, { doc: "How much exporters may use." }),
  rules: rulesKey,
}, { doc: "Reads the pages of Prometheus exporters, in its text format or OpenMetrics." });

export type ScrapeConfig = Infer<typeof config>;

/** What others could read, although they should not. */
export function advise({ targets }: ScrapeConfig): Advice[] {
  return targets.flatMap(({ url, token_file }, i) =>
    token_file !== "" && isOpenUrl(url)
      ? [{ path: ["targets", i, "url"], problem: "the token is sent in clear text: use https://" }]
      : []
  );
}
