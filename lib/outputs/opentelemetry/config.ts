/** The keys of the `opentelemetry` output: Alumet's, and ours. */
import { duration, flag, type Infer, integer, list, live, table, text } from "../../schema.ts";

/** `Name: value`, as in HTTP. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\u0080-\u00ff]*?)[ \t]*$/;
/** Headers that say what a request is. */
const OWN_HEADERS = [
  "content-type",
  "content-encoding",
  "content-length",
  "transfer-encoding",
  "host",
  "connection",
];

function headerProblem(line: string): string | undefined {
  const match = HEADER.exec(line);
  if (!match) return "expected NAME: VALUE";
  if (OWN_HEADERS.includes(match[1].toLowerCase())) return `${match[1]} is set by the output itself`;
}

/** The headers of lines that have been checked. */
export function headersOf(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(lines.map((line) => {
    const [, name, value] = HEADER.exec(line)!;
    return [name.toLowerCase(), value];
  }));
}

export const config = table({
  collector_host: text({
    doc:
      "Where the collector is: OTLP over HTTP, usually on port 4318 (4317 is gRPC, which is not spoken). Databases have " +
      "a path before that of the API: http://victoria:8428/opentelemetry, http://prometheus:9090/api/v1/otlp.",
    default: "http://localhost:4318",
  }),
  path: text({
    doc: "The path of the API, behind that of collector_host.",
    default: "/v1/metrics",
    check: (path) =>
      /^\/[!-~]*$/.test(path) && !/[?#]/.test(path) ? undefined : "expected a path such as /v1/metrics",
  }),
  prefix: text({ doc: "Before the name of each metric.", default: "" }),
  suffix: text({ doc: "Behind the name of each metric.", default: "_alumet" }),
  use_unit_display_name: flag({
    doc: "Write units as people read them (`mW`, `°C`), not by name (`milliW`, `Cel`).",
    default: true,
  }),
  add_attributes_to_labels: flag({
    doc: "Send attributes. Without them, points that differ in attributes alone cannot be told apart.",
    default: true,
  }),
  service_name: text({ doc: "The resource attribute service.name.", default: "alumet-otlp-grpc" }),
  headers: list(
    text({ doc: "A header: `X-Scope-OrgID: physics`.", default: "", secret: true, check: headerProblem }),
    { doc: 'Headers of each request: ["X-Scope-OrgID: physics"].', default: [] },
  ),
  token: text({ doc: "A token that is sent as `Authorization: Bearer TOKEN`.", default: "", secret: true }),
  token_file: text({
    doc: "A file with the token, instead of token. It is read again when a request fails.",
    default: "",
    secretFile: true,
  }),
  batch_size: integer({ doc: "Most points in a request.", default: 5000, min: 1, max: 100_000 }),
  flush_interval: live(duration({
    doc: "The longest that points wait for others to fill a request.",
    default: "1s",
    min: "1ms",
  })),
  gzip: flag({ doc: "Compress requests.", default: true }),
  timeout: duration({ doc: "The longest that one request may take.", default: "10s", min: "100ms" }),
  ca_file: text({
    doc: "A file with certificates (PEM) of authorities to trust beside the system's.",
    default: "",
  }),
}, {
  doc: "Sends measurements to an OpenTelemetry collector, or to a database that speaks OTLP over HTTP.",
  check(config) {
    const url = URL.parse(config.collector_host);
    if (!url || !["http:", "https:"].includes(url.protocol)) {
      return { key: "collector_host", problem: "expected a URL such as http://localhost:4318" };
    }
    if (url.username !== "" || url.password !== "") {
      return {
        key: "collector_host",
        problem: "a user and a password belong in headers (what was found is not shown)",
      };
    }
    if (url.search !== "" || url.hash !== "") {
      return { key: "collector_host", problem: "expected a URL without ? and #" };
    }
    if (config.token !== "" && config.token_file !== "") {
      return { key: "token_file", problem: "cannot be used together with token; keep one of them" };
    }
    const authorized = "authorization" in headersOf(config.headers);
    if (authorized && (config.token !== "" || config.token_file !== "")) {
      return {
        key: "headers",
        problem: "there is an Authorization in it, and a token beside; keep one of them",
      };
    }
  },
});

export type OpenTelemetryConfig = Infer<typeof config>;
