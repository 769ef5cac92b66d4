/** Who takes the points: its address, what proves that we may send, and what its answers mean. */
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { Secret } from "../../base/secrets.ts";
import { authoritiesIn } from "../http/keys.ts";
import type { Backoff } from "../../base/backoff.ts";
import { judgeStatus, type Verdict } from "../http/verdict.ts";
import { type HttpReply, HttpSender } from "../http/sender.ts";
import { headersOf, type OpenTelemetryConfig } from "./config.ts";
import { readStatusMessage } from "./messages.ts";

const KEY = "plugins.opentelemetry";
/** Where gRPC is, by convention. */
const GRPC_PORT = "4317";
export interface ReceiverOptions {
  /** Waits after failures: short in tests. */
  backoff?: Backoff;
}

/** Where requests are posted to. */
export function exportUrl({ collector_host, path }: OpenTelemetryConfig): string {
  const url = new URL(collector_host);
  url.pathname = url.pathname.replace(/\/+$/, "") + path;
  return url.href;
}

/**
 * What an answer means. The specification drops the data after all refusals but four (OTLP 1.9, "Failures"); this would
 * drop everything while a receiver has a fault of its own, so only what is due to the points counts as refused.
 */
export function judge(reply: HttpReply): Verdict {
  const verdict = judgeStatus(reply.status);
  return verdict !== "taken" || isExportAnswer(reply) ? verdict : "misconfigured";
}

/** Whether a receiver says this of what it has taken: an ExportMetricsServiceResponse, or nothing. A page does not count. */
function isExportAnswer({ headers, bytes, text }: HttpReply): boolean {
  if (bytes.length === 0) return true;
  const type = headers.get("content-type") ?? "";
  if (/^application\/x-protobuf\b/i.test(type)) return true;
  return /^application\/json\b/i.test(type) && text.trimStart().startsWith("{");
}

/**
 * @param version Of this program.
 * @throws {ExitError} 78 if a file with a secret or with certificates cannot be used.
 */
export async function openReceiver(
  config: OpenTelemetryConfig,
  context: { log: Logger; clock: Clock },
  version: string,
  options: ReceiverOptions = {},
): Promise<HttpSender> {
  const url = exportUrl(config);
  if (new URL(url).port === GRPC_PORT) {
    context.log.warn(
      "Port 4317 is usually OTLP over gRPC; this is OTLP over HTTP, which is usually on port 4318",
      {
        url,
      },
    );
  }
  const token = new Secret(config.token, config.token_file, `${KEY}.token_file`);
  const given = headersOf(config.headers);
  return await HttpSender.open({
    target: `the OpenTelemetry receiver at ${url}`,
    url,
    headers: () => ({
      "content-type": "application/x-protobuf",
      "user-agent": `alumet-relay/${version}`,
      ...token.value === "" ? {} : { authorization: `Bearer ${token.value}` },
      ...given,
    }),
    secrets: () => [token.value, ...Object.values(given)],
    gzip: config.gzip,
    timeoutMs: config.timeout,
    backoff: options.backoff,
    caCerts: authoritiesIn(config.ca_file, `${KEY}.ca_file`),
    judge,
    textOf: (bytes, headers) =>
      /^application\/x-protobuf\b/i.test(headers.get("content-type") ?? "")
        ? readStatusMessage(bytes)
        : undefined,
    advise: adviceFor,
    beforeRetry: () => {
      const problem = token.refresh();
      if (problem !== undefined) context.log.debug(problem);
    },
  }, context);
}

/** What somebody should do about an answer that takes nothing. */
export function adviceFor({ status }: HttpReply): string | undefined {
  if (status === 401 || status === 403) return `check ${KEY}.token, token_file or headers`;
  if (status === 404 || status === 405 || status >= 300 && status < 400) {
    return `check ${KEY}.collector_host and path`;
  }
  if (status < 300) {
    return `this is not an answer of an OpenTelemetry receiver; check ${KEY}.collector_host and path`;
  }
  if (status === 415) return "it does not take protobuf";
  if (status === 400) return "it refuses everything: is that OTLP over HTTP?";
}
