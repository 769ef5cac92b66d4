/** The keys of `[plugins.relay-client]`. */
import { addressProblem, isLoopback, parseAddress } from "../net/address.ts";
import type { Advice } from "../plugin.ts";
import { duration, flag, type Infer, integer, live, oneOrMore, optional, table, text } from "../schema.ts";
import { retryKeys } from "./retrying.ts";
import type { TlsKeys } from "./tls_problem.ts";
import { DEFAULT_NAME_BYTES, isLonger } from "../wire/names.ts";

const nameProblem = (name: string) => {
  if (name === "") return "must not be empty";
  if (isLonger(name, DEFAULT_NAME_BYTES)) return `is too long: servers accept ${DEFAULT_NAME_BYTES} bytes`;
};

export const config = table({
  client_name: text({
    doc: "The name of this client: the attribute relay_client of its points.",
    default: () => Deno.hostname(),
    defaultDoc: "the name of this host",
    check: nameProblem,
  }),
  relay_server: oneOrMore(text({
    doc: "The server, by IP address or name, and its port; or a list of servers, which are tried in order.",
    default: "[::1]:50051",
    check: (value) => addressProblem(value),
  })),
  buffer_max_length: live(integer({
    doc: "Bytes of encoded measurements to gather before they are sent; 0 sends each batch at once.",
    default: 4096,
    min: 0,
    max: 30_000_000,
  })),
  buffer_timeout: live(duration({
    doc: "The longest time that measurements wait before they are sent.",
    default: "30s",
  })),
  token: text({
    doc:
      "Proves to the server that this client may use its name (alumet-relay token new NAME). It is only sent over " +
      "TLS, or to this host itself.",
    default: "",
    secret: true,
  }),
  token_file: text({
    doc: "A file that contains the token, instead of token.",
    default: "",
    secretFile: true,
  }),
  tls: table({
    enable: optional(flag({
      doc:
        "Use TLS. The server must be an alumet-relay server. If it is not set: yes if another key of this section is set.",
      default: true,
    })),
    ca: text({
      doc: "PEM file of the CAs that may sign the server's certificate. Empty: those of the system.",
      default: "",
    }),
    server_name: text({
      doc: "The name in the server's certificate, if it differs from the name in relay_server.",
      default: "",
    }),
    cert: text({
      doc: "PEM file with the certificate of this client, for servers that ask for one.",
      default: "",
    }),
    key: text({ doc: "PEM file with its private key.", default: "", secretFile: true }),
  }, {
    doc: "TLS. The files are read again for each connection.",
    check: ({ cert, key }) => {
      if ((cert === "") !== (key === "")) {
        return { key: cert === "" ? "cert" : "key", problem: "is required: cert and key belong together" };
      }
    },
  }),
  retry: live(retryKeys),
}, {
  doc: "Sends measurements to a relay server.",
  check: ({ token, token_file }) => {
    if (token !== "" && token_file !== "") {
      return { key: "token_file", problem: "cannot be combined with token" };
    }
  },
});

/** What explanations of a TLS problem refer to. */
export const TLS_KEYS: TlsKeys = {
  ca: "plugins.relay-client.tls.ca",
  serverName: "plugins.relay-client.tls.server_name",
  cert: "plugins.relay-client.tls.cert",
};

export type RelayClientConfig = Infer<typeof config>;

/** Whether the client speaks TLS: any key of the section switches it on, unless `enable` says otherwise. */
export function usesTls({ enable, ...others }: RelayClientConfig["tls"]): boolean {
  return enable ?? Object.values(others).some((value) => value !== "");
}

/** What others could read, although they should not. */
export function advise({ relay_server, token, token_file, tls }: RelayClientConfig): Advice[] {
  if (usesTls(tls)) return [];
  const others = relay_server.filter((server) => !isLoopback(parseAddress(server).hostname));
  const loss = token === "" && token_file === "" ? "" : " (the token is not sent that way)";
  return others.map((server) => ({
    path: ["relay_server"],
    problem:
      `measurements are sent to ${server} in clear text, which others on the network can read and change${loss}: ` +
      "set tls.ca or tls.enable",
  }));
}
