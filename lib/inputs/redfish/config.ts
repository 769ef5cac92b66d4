/** The keys of `[plugins.redfish]`. */
import { isOpenUrl } from "../../net/address.ts";
import { duration, type Infer, table, tables, text } from "../../schema.ts";
import { flushInterval, pollInterval } from "../polling/keys.ts";
import { digitsOf } from "./fingerprint.ts";

function urlProblem(url: string): string | undefined {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return "write a URL such as https://bmc-1.example.org";
  }
  const { protocol, username, password, pathname, search, hash } = parsed;
  if (username !== "" || password !== "") return "username and password_file are keys";
  if (pathname !== "/" || search !== "" || hash !== "") return "write it without a path";
  if (protocol !== "https:" && protocol !== "http:") return "write https://";
  return isOpenUrl(url) ? "write https://, because the password would be sent in clear text" : undefined;
}

const target = table({
  url: text({
    doc: "The controller, without a path.",
    default: "https://bmc-1.example.org",
    check: urlProblem,
  }),
  username: text({ doc: "The user; one that may only read is enough. Empty: no login.", default: "" }),
  password_file: text({
    doc: "A file with the user's password. It is read for each measurement.",
    default: "",
    secretFile: true,
  }),
  ca: text({
    doc: "PEM file of the CAs that may sign the controller's certificate. Empty: those of the system.",
    default: "",
  }),
  fingerprint: text({
    doc:
      "The SHA-256 fingerprint of the controller's certificate, such as sha256:68:BE:…, instead of a CA: for " +
      "self-signed certificates.",
    default: "",
    check: (fingerprint) =>
      fingerprint === "" || digitsOf(fingerprint) !== undefined
        ? undefined
        : "write sha256: and 64 hexadecimal digits, as of openssl x509 -noout -fingerprint -sha256",
  }),
}, {
  doc: "A management controller.",
  check({ url, username, password_file, ca, fingerprint }) {
    if (fingerprint !== "" && ca !== "") {
      return { key: "fingerprint", problem: "give ca or fingerprint, not both" };
    }
    if (fingerprint !== "" && !url.startsWith("https:")) {
      return { key: "fingerprint", problem: "only https:// has a certificate" };
    }
    if (username !== "" && password_file === "") {
      return { key: "password_file", problem: "name a file with the user's password" };
    }
    if (username === "" && password_file !== "") return { key: "username", problem: "the user is missing" };
  },
});

export type RedfishTarget = Infer<typeof target>;

export const config = table({
  poll_interval: pollInterval("10s"),
  flush_interval: flushInterval("10s"),
  timeout: duration({
    doc: "The longest time that a controller may take for one measurement.",
    default: "5s",
    min: "10ms",
  }),
  targets: tables(target, { doc: "The controllers.", default: [] }),
}, {
  doc: "Power of machines, from their management controllers, by Redfish.",
  check({ targets, poll_interval, timeout }) {
    if (timeout > poll_interval) {
      return { key: "timeout", problem: "must not be longer than poll_interval" };
    }
    const urls = targets.map(({ url }) => new URL(url).origin);
    const twice = urls.find((url, i) => urls.indexOf(url) < i);
    if (twice !== undefined) return { key: "targets", problem: `${twice} is there twice` };
  },
});
