/** The keys of `[plugins.kwollect-input]`: Alumet's, and how the API is asked. */
import { isOpenUrl } from "../../net/address.ts";
import { duration, type Infer, integer, list, optional, table, text } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";

const metric = text({
  doc: "A metric of Kwollect.",
  default: "",
  check: (name) => /^\w{1,200}$/.test(name) ? undefined : "a metric has letters, digits and _ alone",
});

const place = (doc: string, value: string) =>
  text({
    doc,
    default: value,
    check: (name) => /^[\w.-]+$/.test(name) ? undefined : "a name has letters, digits, . and - alone",
  });

function urlProblem(url: string): string | undefined {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return "write a URL such as https://api.grid5000.fr/stable";
  }
  const { protocol, username, password, search, hash } = parsed;
  if (protocol !== "https:" && protocol !== "http:") return "write https://";
  if (username !== "" || password !== "") return "login and password are keys";
  if (search !== "" || hash !== "") return "write it without a query";
  return isOpenUrl(url) ? "write https://, because the password would be sent in clear text" : undefined;
}

export const config = table({
  site: place("The site of the node.", "cluster"),
  hostname: place("The node.", "node"),
  metrics: list(metric, { doc: "The metrics, such as wattmetre_power_watt.", default: ["metric"] }),
  login: text({ doc: "The user. Empty: no login, as from inside Grid'5000.", default: "" }),
  password: text({ doc: "The user's password.", default: "", secret: true }),
  password_file: text({
    doc: "A file with the password, instead of password. It is read for each request.",
    default: "",
    secretFile: true,
  }),
  utc_offset: optional(integer({
    doc: "Accepted as in Alumet's file, without effect: times have their offset.",
    default: 2,
    min: -24,
    max: 24,
  })),
  api_url: text({ doc: "The API.", default: "https://api.grid5000.fr/stable", check: urlProblem }),
  poll_interval: pollInterval("10s"),
  flush_interval: flushInterval("10s"),
  look_back: duration({
    doc: "How late values may be there: this much of the past is asked for each time.",
    default: "1m",
    min: "1s",
  }),
  timeout: duration({ doc: "The longest time that a request may take.", default: "10s", min: "10ms" }),
}, {
  doc: "Metrics of a node of Grid'5000, from Kwollect.",
  check({ login, password, password_file, metrics }) {
    if (metrics.length === 0) return { key: "metrics", problem: "name a metric" };
    if (password !== "" && password_file !== "") {
      return { key: "password_file", problem: "cannot be used together with password; keep one of them" };
    }
    const hasPassword = password !== "" || password_file !== "";
    if (hasPassword && login === "") return { key: "login", problem: "the user is missing" };
    if (login !== "" && !hasPassword) return { key: "password_file", problem: "the password is missing" };
  },
});

export type KwollectConfig = Infer<typeof config>;
