/** The keys of `[plugins.relay-client]`. */
import { addressProblem } from "../net/address.ts";
import { duration, flag, type Infer, integer, live, oneOrMore, table, text } from "../schema.ts";
import { retryKeys } from "./retrying.ts";
import type { TlsKeys } from "./tls_problem.ts";

export const config = table({
  client_name: text({
    doc: "The name of this client: the attribute relay_client of its points.",
    default: () => Deno.hostname(),
    defaultDoc: "the name of this host",
    check: (value) => value === "" ? "must not be empty" : undefined,
  }),
  relay_server: oneOrMore(text({
    doc:
      "The server, by IP address or by name, and its port. Or a list of servers, which are tried in order.",
    default: "[::1]:50051",
    check: (value) => addressProblem(value),
  })),
  buffer_max_length: live(integer({
    doc: "Bytes of encoded measurements that are gathered before all are sent; 0 sends them as they come.",
    default: 4096,
    min: 0,
    max: 30_000_000,
  })),
  buffer_timeout: live(duration({
    doc: "Longest wait before measurements are sent all the same.",
    default: "30s",
  })),
  token: text({
    doc:
      "Shows the server that this client may use its name (alumet-relay token new NAME). It is only sent in TLS, or " +
      "to this host itself.",
    default: "",
    secret: true,
  }),
  token_file: text({ doc: "A file with the token, instead.", default: "", secretFile: true }),
  tls: table({
    enable: flag({ doc: "Speak TLS to the server, which must be one of ours.", default: false }),
    ca: text({
      doc: "PEM file of the CAs that may have signed the server's certificate. Empty: those of the system.",
      default: "",
    }),
    server_name: text({
      doc: "The name in the server's certificate, where it is not the one in relay_server.",
      default: "",
    }),
    cert: text({
      doc: "A certificate of this client, a PEM file, for servers that ask for one.",
      default: "",
    }),
    key: text({ doc: "Its private key, a PEM file.", default: "", secretFile: true }),
  }, {
    doc: "TLS. Files are read again for each connection.",
    check: ({ cert, key }) => {
      if ((cert === "") !== (key === "")) {
        return { key: cert === "" ? "cert" : "key", problem: "must be given with the other of cert and key" };
      }
    },
  }),
  retry: live(retryKeys),
}, {
  doc: "Sends measurements to a relay server.",
  check: ({ token, token_file }) => {
    if (token !== "" && token_file !== "") {
      return { key: "token_file", problem: "must not be given with token" };
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
