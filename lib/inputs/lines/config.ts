/** The keys of `[plugins.lines]`. */
import { isScoped } from "../../net/networks.ts";
import { network, tlsKeys, tlsProblem } from "../../intake/keys.ts";
import { addressProblem, isLoopback, parseAddress } from "../../net/address.ts";
import type { Advice } from "../../plugin.ts";
import { choice, flag, type Infer, integer, list, live, size, table, text } from "../../schema.ts";
import { rulesKey } from "../decoding/rules.ts";

const listenAddress = (doc: string, example: string) =>
  text({
    doc: `${doc}, such as ${example}. Empty: no.`,
    default: "",
    check: (value) => value === "" ? undefined : addressProblem(value, { listen: true }),
  });

const path = text({
  doc: "A file.",
  default: "",
  check: (value) => value === "" ? "it is empty" : undefined,
});

export const config = table({
  stdin: flag({ doc: "Read lines from standard input.", default: false }),
  files: list(path, {
    doc:
      "Files to follow, also when they are rotated. The place in each is kept in the state directory over restarts.",
    default: [],
  }),
  unix: text({ doc: "Path of a Unix socket to listen on. Empty: no.", default: "" }),
  unix_mode: text({
    doc: "Who may connect to it: the mode of its file.",
    default: "0660",
    check: (value) => /^0?[0-7]{3}$/.test(value) ? undefined : "write a mode such as 0660",
  }),
  tcp: listenAddress("Address to take lines on over TCP", "127.0.0.1:8094"),
  udp: listenAddress(
    "Address to take lines on over UDP, where lines that come too fast are lost and counted",
    "127.0.0.1:8089",
  ),
  http: listenAddress(
    "Address for InfluxDB's clients (POST /write and /api/v2/write), answered when the points are safe",
    "127.0.0.1:8086",
  ),
  precision: choice(["ns", "us", "ms", "s"], {
    doc: "The unit of the times of lines; over HTTP the parameter precision goes before it.",
    default: "ns",
  }),
  allow: live(list(network, { doc: "Networks from which lines are accepted. Empty: all.", default: [] })),
  deny: live(list(network, { doc: "Networks that are refused, even if they are in allow.", default: [] })),
  tokens: text({
    doc:
      "File of tokens (alumet-relay token new NAME adds one): who posts over HTTP must show one of them. Empty: everybody " +
      "may. The file is read again when it changes.",
    default: "",
    secretFile: true,
  }),
  without_token: live(list(network, {
    doc:
      "Networks that need no token, although tokens is set. TCP and UDP have none: only these networks may use them.",
    default: [],
  })),
  tls: table(tlsKeys, {
    doc: "TLS, for TCP and HTTP. The files are read again when they change.",
    check: tlsProblem,
  }),
  limits: table({
    connections: integer({
      doc:
        "Open connections, at most, for each way; fewer where the limit of open files (LimitNOFILE) is low.",
      default: 256,
      min: 1,
    }),
    connections_per_address: integer({ doc: "Open connections of one address.", default: 64, min: 1 }),
    bytes_per_second: live(size({
      doc:
        "What one connection may send per second, over HTTP one address: more waits, or gets 429 (503 at /write). 0: no limit.",
      default: "0",
    })),
    new_series_per_second: live(integer({
      doc:
        "New series that one connection, over HTTP and UDP one address, may bring per second while there is no room for " +
        "them: its series take more than series.memory_per_client, or all series more than series.memory. More waits, " +
        "gets 429, or is dropped.",
      default: 10_000,
      min: 1,
    })),
    body: live(size({
      doc: "A body over HTTP, before and after it is unpacked; a larger one gets 413.",
      default: "16MiB",
      min: "1KiB",
    })),
    line_length: size({ doc: "A line; a longer one is left out.", default: "64KiB", min: "64" }),
    metrics: integer({
      doc: "Metrics, at most; points of further ones are refused and counted.",
      default: 16_384,
      min: 1,
      max: 65_536,
    }),
    metrics_per_address: integer({
      doc: "Metrics that one address may bring over TCP, UDP and HTTP: the others keep room for theirs.",
      default: 4096,
      min: 1,
      max: 65_536,
    }),
    name_length: integer({
      doc: "Bytes of the name of a metric, a tag and a kind.",
      default: 255,
      min: 1,
      max: 65_535,
    }),
  }, { doc: "How much senders may use." }),
  rules: rulesKey,
}, {
  doc: "Takes numbers that programs write as lines: InfluxDB's line protocol, or JSON.",
  check: (config) => {
    const { stdin, files, unix, tcp, udp, http } = config;
    if (!stdin && files.length === 0 && [unix, tcp, udp, http].every((text) => text === "")) {
      return { key: "stdin", problem: "nothing to read: set stdin, files, unix, tcp, udp or http" };
    }
    for (const key of ["allow", "deny", "without_token"] as const) {
      const scoped = config[key].find(isScoped);
      if (scoped !== undefined) {
        return { key, problem: `cannot use ${scoped}: the interface of a peer is not known` };
      }
    }
  },
});

export type LinesConfig = Infer<typeof config>;

/** What others could read or send, although they should not. */
export function advise({ tcp, udp, http, tls, tokens, allow, without_token }: LinesConfig): Advice[] {
  const isOpen = (address: string) =>
    address !== "" && !isLoopback(parseAddress(address, { listen: true }).hostname);
  const advice: Advice[] = [];
  for (const [key, address] of Object.entries({ tcp, udp, http })) {
    if (!isOpen(address)) continue;
    if (key === "udp" || tls.cert === "") {
      advice.push({
        path: [key],
        problem: key === "udp"
          ? "lines come in clear text, from whatever address a packet claims: listen on 127.0.0.1"
          : "lines come in clear text, which others on the network can read: set tls.cert and tls.key",
      });
    }
    if (
      allow.length === 0 && (key === "http" ? tokens === "" : without_token.length === 0 && tokens === "")
    ) {
      advice.push({ path: [key], problem: "accepts lines from everyone: set tokens or allow" });
    }
  }
  return advice;
}
