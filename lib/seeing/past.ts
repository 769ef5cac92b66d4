/** What the API says of longer spans than the memory holds: an output that stores values looks back. */
import { messageOf } from "../base/errors.ts";
import { textResponse } from "../http/head.ts";
import type { History } from "../plugin.ts";
import type { Live } from "./live/live.ts";
import type { Page } from "./pages.ts";
import type { View } from "./view.ts";

/** Spans that can be asked for, in seconds. */
const MIN_SECONDS = 60;
const MAX_SECONDS = 5 * 366 * 86_400;

/** A page that answers from memory, and where the query has a `span`, from what is stored. */
export function pastOr(live: Page, past: Page): Page {
  return async (request) => {
    const span = new URLSearchParams(request.query).get("span");
    if (span === null) return live(request);
    if (!(Number(span) >= MIN_SECONDS && Number(span) <= MAX_SECONDS)) {
      return textResponse(400, `span is a number of seconds from ${MIN_SECONDS} to ${MAX_SECONDS}.`);
    }
    try {
      return await past(request);
    } catch (error) {
      return textResponse(503, `There are no older values: ${messageOf(error)}.`, { "retry-after": "5" });
    }
  };
}

function ask(view: View, live: () => Live | null, query: URLSearchParams) {
  const now = live();
  const history: History | undefined = view.agent?.history;
  if (!now || !history) throw new Error("no output stores them; the output sqlite does");
  return { history, hosts: now.hosts, seconds: Number(query.get("span")) };
}

export async function pastPower(view: View, live: () => Live | null, query: URLSearchParams) {
  const { history, hosts, seconds } = ask(view, live, query);
  const { stepSeconds, newest, isWhole, hosts: found } = await history.power(seconds);
  return {
    ...{ step_seconds: stepSeconds, newest, whole: isWhole },
    hosts: found.map((host) => ({ ...host, name: host.rest ? host.name : hosts.shown(host.name) })),
  };
}

export async function pastHost(view: View, live: () => Live | null, query: URLSearchParams) {
  const { history, hosts, seconds } = ask(view, live, query);
  const name = hosts.named(query.get("name") ?? "");
  const { stepSeconds, newest, isWhole, others, series } = await history.host(name, seconds);
  return { step_seconds: stepSeconds, newest, whole: isWhole, other_series: others, series };
}
