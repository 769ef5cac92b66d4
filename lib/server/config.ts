/** The keys of `[plugins.relay-server]`. */
import { addressProblem, isLoopback, parseAddress } from "../net/address.ts";
import type { Advice } from "../plugin.ts";
import { choice, duration, type Infer, integer, list, live, optional, size, table, text } from "../schema.ts";
import { isScoped } from "../net/networks.ts";
import { network, tlsKeys, tlsProblem } from "../intake/keys.ts";

/** Where the address is said in a configuration. */
export const ADDRESS_KEY = "plugins.relay-server.address";

/** Open connections, where nothing is configured and there are enough file descriptors. */
export const MAX_CONNECTIONS = 10_000;

export const config = table({
  address: text({
    doc:
      "Address and port to listen on: all interfaces (:50051 or [::]:50051), one IPv4 (10.0.0.1:50051), one " +
      "IPv6 ([::1]:50051), or a link-local one with its interface ([fe80::1%eth0]:50051).",
    default: "[::]:50051",
    check: (value) => addressProblem(value, { listen: true }),
  }),
  acknowledge: choice(["journal", "stored"], {
    doc:
      "When an alumet-relay client may forget what it sent: as soon as it is safe in the journal, or when every " +
      "output has stored it. The second is for several servers that write to one database (docs/scaling.md).",
    default: "journal",
  }),
  allow: live(list(network, {
    doc:
      "Networks whose clients are accepted, such as 10.0.0.0/8, 2001:db8::/32 or fe80::/10%eth0. Empty: all.",
    default: [],
  })),
  deny: live(
    list(network, { doc: "Networks whose clients are refused, even if they are in allow.", default: [] }),
  ),
  tokens: text({
    doc:
      "File of the clients that may send, with the hashes of their tokens (alumet-relay token new NAME adds one). " +
      "Empty: all clients may send. The file is read again when it changes.",
    default: "",
    secretFile: true,
  }),
  without_token: live(list(network, {
    doc: "Networks whose clients need no token, although tokens is set, such as those of real Alumet agents.",
    default: [],
  })),
  tls: table({
    ...tlsKeys,
    mode: choice(["required", "optional"], {
      doc: "With optional, clients without TLS are accepted as well, such as real Alumet agents.",
      default: "required",
    }),
  }, {
    doc: "TLS. The files are read again when they change.",
    check: tlsProblem,
  }),
  limits: live(table({
    connections: optional(integer({
      doc:
        "Open connections, at most. If it is not set: 10000, or what the limit of open files (LimitNOFILE) leaves, where " +
        "that is less; with TLS a connection takes three files.",
      default: MAX_CONNECTIONS,
      min: 1,
    })),
    connections_per_address: integer({
      doc: "Open connections of one address, at most.",
      default: 2_000,
      min: 1,
    }),
    bytes_per_second: size({
      doc: "What one connection may send per second; the rest waits. 0: no limit.",
      default: "0",
    }),
    new_series_per_second: integer({
      doc:
        "New series that one connection may bring per second while its client has more of them than its share of memory, " +
        "or all clients together have more than series.memory; the rest waits.",
      default: 10_000,
      min: 1,
    }),
    series_per_client: integer({
      doc:
        "Series that the stream of one alumet-relay client may have at a time, if half of series.memory has room for " +
        "as many. With more, the client begins its stream again.",
      default: 4_194_304,
      min: 256,
      max: 16_777_216,
    }),
    metrics_per_client: integer({
      doc: "Metrics that one client may define; further ones are refused, and their points are counted.",
      default: 4096,
      min: 1,
      max: 65_536,
    }),
    name_length: integer({
      doc: "Bytes of the name of a client, a metric or a unit, of a kind and of an attribute's key, at most.",
      default: 255,
      min: 1,
      max: 65_535,
    }),
    handshake_timeout: duration({
      doc: "From the connection to the end of the handshake.",
      default: "10s",
      min: "100ms",
    }),
    idle_timeout: duration({
      doc: "A client that is silent for this long is disconnected. 0: never.",
      default: "0s",
    }),
  }, { doc: "How much of this server clients may use." })),
}, {
  doc: "Receives measurements from relay clients.",
  check: ({ address, allow, deny, without_token }) => {
    if (parseAddress(address, { listen: true }).scope !== undefined) return;
    for (const [key, networks] of Object.entries({ allow, deny, without_token })) {
      const scoped = networks.find(isScoped);
      if (scoped === undefined) continue;
      const problem = `cannot use ${scoped}: the interface of a peer is only known where address names one`;
      return { key: key as "allow", problem };
    }
  },
});

export type RelayServerConfig = Infer<typeof config>;

/** What others could read or send, although they should not. */
export function advise({ address, tls, tokens, allow, without_token }: RelayServerConfig): Advice[] {
  if (isLoopback(parseAddress(address, { listen: true }).hostname)) return [];
  const advice: Advice[] = [];
  if (tls.cert === "") {
    advice.push({
      path: ["address"],
      problem: "clients send in clear text, which others on the network can read: set tls.cert and tls.key",
    });
  } else if (tls.mode === "optional" && tokens === "" && allow.length === 0) {
    advice.push({
      path: ["tls", "mode"],
      problem: "accepts clear text from everywhere: list the networks of clients without TLS in allow",
    });
  } else if (tls.mode === "optional" && tokens !== "" && without_token.length === 0) {
    advice.push({
      path: ["tls", "mode"],
      problem: "has no effect: clients without TLS have no token, and without_token is empty",
    });
  }
  if (tokens === "" && allow.length === 0 && tls.client_ca === "") {
    advice.push({
      path: ["address"],
      problem: "accepts measurements from everyone, under any name: set tokens or allow",
    });
  }
  for (const network of tokens === "" ? [] : without_token) {
    if (!/\/0$/.test(network)) continue;
    advice.push({
      path: ["without_token"],
      problem: `${network} is every address: then tokens have no effect`,
    });
  }
  return advice;
}
