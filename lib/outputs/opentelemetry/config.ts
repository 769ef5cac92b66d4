/** The keys of the `opentelemetry` output: Alumet's, and ours. */
import { flag, type Infer, list, table, text } from "../../schema.ts";
import { requestKeys, urlProblem } from "../http/keys.ts";

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

/** The name of a tenant is in the URLs of its dashboards, too. */
const isSecretHeader = (header: string) => !/^\s*x-scope-orgid\s*:/i.test(header);

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
    text({
      doc: "A header: `X-Scope-OrgID: physics`.",
      default: "",
      secret: isSecretHeader,
      check: headerProblem,
    }),
    { doc: 'Headers of each request: ["X-Scope-OrgID: physics"].', default: [] },
  ),
  token: text({ doc: "A token that is sent as `Authorization: Bearer TOKEN`.", default: "", secret: true }),
  token_file: text({
    doc: "A file with the token, instead of token. It is read again when a request fails.",
    default: "",
    secretFile: true,
  }),
  ...requestKeys({ timeout: "10s" }),
}, {
  doc: "Sends measurements to an OpenTelemetry collector, or to a database that speaks OTLP over HTTP.",
  check(config) {
    const problem = urlProblem(config.collector_host, { example: "http://localhost:4318", login: "headers" });
    if (problem !== undefined) return { key: "collector_host", problem };
    if (config.token !== "" && config.token_file !== "") {
      return { key: "token_file", problem: "cannot be used together with token; keep one of them" };
    }
    const authorized = "authorization" in headersOf(config.headers);
    if (authorized && (config.token !== "" || config.token_file !== "")) {
      return {
        key: "headers",
        problem: "it has an Authorization, and a token is set as well; keep one of them",
      };
    }
  },
});

export type OpenTelemetryConfig = Infer<typeof config>;
