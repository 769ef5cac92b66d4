/** The keys of `[http]`: the agent's own page, metrics and API. */
import { addressProblem, isLoopback, parseAddress } from "../net/address.ts";
import { networkProblem } from "../net/networks.ts";
import { flag, type Infer, list, optional, size, table, text } from "../schema.ts";
import { tlsKeys, tlsProblem } from "../schema/listening.ts";
import type { Path } from "../schema/path.ts";

/** Where the page is if no address is given. */
export const DEFAULT_HTTP_ADDRESS = "127.0.0.1:9092";

const isOpen = (address: string) => !isLoopback(parseAddress(address, { listen: true }).hostname);

export const http = table({
  enable: optional(flag({
    doc: "Whether this process has a page. If it is not set: yes if it receives from clients, otherwise no.",
    default: true,
  })),
  address: optional(text({
    doc:
      "Address and port of the page. Other addresses than those of this machine alone (127.0.0.1, ::1) need a token, " +
      "allow or tls.client_ca. If it is not set and another program uses the port of 127.0.0.1:9092, this process runs " +
      "without a page.",
    unset: DEFAULT_HTTP_ADDRESS,
    default: DEFAULT_HTTP_ADDRESS,
    check: (value) => addressProblem(value, { listen: true }),
  })),
  allow: list(text({ doc: "A network.", default: "", check: networkProblem }), {
    doc: "Networks that may see the page, such as 10.0.0.0/8. Empty: all.",
    default: [],
  }),
  token: text({
    doc:
      "Whoever asks for a page must have it: as the password that a browser asks for (with any name), or in the header " +
      "Authorization: Bearer TOKEN.",
    default: "",
    secret: true,
  }),
  token_file: text({
    doc: "A file that contains the token, instead of token. It is read at the start.",
    default: "",
    secretFile: true,
  }),
  tls: table(tlsKeys, { doc: "TLS. The files are read again when they change.", check: tlsProblem }),
  memory: size({
    doc:
      "Most memory for the values of the last quarter of an hour. Series that find no room are shown with their last " +
      "value alone.",
    default: "8MiB",
    min: "1MiB",
  }),
}, {
  doc:
    "The page of this process: its hosts, their power, metrics of the process itself (/metrics), and whether it works " +
    "(/healthz, /readyz).",
  check: ({ address, token, token_file, allow, tls }) => {
    if (token !== "" && token_file !== "") {
      return { key: "token_file", problem: "cannot be combined with token" };
    }
    if (address === undefined || !isOpen(address)) return;
    if (token === "" && token_file === "" && allow.length === 0 && tls.client_ca === "") {
      return {
        key: "address",
        problem:
          "shows the page to everybody on the network: set token, token_file or allow, or listen on 127.0.0.1",
      };
    }
  },
});

export type HttpConfig = Infer<typeof http>;

/** What others could read, although they should not. */
export function adviseHttp({ address, tls }: HttpConfig): { path: Path; problem: string }[] {
  if (address === undefined || !isOpen(address) || tls.cert !== "") return [];
  return [{
    path: ["address"],
    problem:
      "the page and its token are sent in clear text: set tls.cert and tls.key, or use a proxy with TLS",
  }];
}
