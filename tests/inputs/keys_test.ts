/** What is wrong with the configuration of an input, and what its keys mean for others. */
import assert from "node:assert/strict";
import { capabilities as gpuCapabilities } from "../../lib/inputs/drm/keys.ts";
import { config as cgroups } from "../../lib/inputs/cgroups/config.ts";
import { config as k8s } from "../../lib/inputs/k8s/config.ts";
import { config as kwollect } from "../../lib/inputs/kwollect_input/config.ts";
import { advise as adviseLines, config as lines } from "../../lib/inputs/lines/config.ts";
import { config as oar } from "../../lib/inputs/oar/config.ts";
import { perf as perfPlugin } from "../../lib/inputs/perf.ts";
import { config as perf, metrics as perfMetrics } from "../../lib/inputs/perf/config.ts";
import { capabilities as procfsCapabilities, config as procfs } from "../../lib/inputs/procfs/config.ts";
import { entryNote } from "../../lib/inputs/procfs/meminfo_entries.ts";
import { config as redfish } from "../../lib/inputs/redfish/config.ts";
import { advise as adviseScrape, config as scrape } from "../../lib/inputs/scrape/config.ts";
import { config as slurm } from "../../lib/inputs/slurm/config.ts";
import type { Key } from "../../lib/schema.ts";
import { contextWith } from "../kit/context.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { LogLines } from "../kit/log_lines.ts";

/** The problems of a section, in words: `key: what is wrong`. */
function problemsOf(config: Key<unknown>, section: unknown): string {
  const problems: string[] = [];
  config.check(section, [], ({ path, message }) => problems.push(`${path.join(".")}: ${message}`));
  return problems.join("\n");
}

const valid = <T>(config: Key<T>, section: unknown): T =>
  config.check(section, [], ({ path, message }) => assert.fail(`${path.join(".")}: ${message}`));

Deno.test("a redfish section that would show the password, or asks nobody in time, is refused", () => {
  const problemOf = (section: unknown) => problemsOf(redfish, section);
  const target = (keys: object) => ({ targets: [{ url: "https://bmc", ...keys }] });
  assert.equal(problemOf(target({ username: "a", password_file: "/p" })), "");
  assert.equal(problemOf(target({ url: "http://127.0.0.1:1" })), "");
  assert.equal(problemOf(target({ ca: "/ca.pem" })), "");
  assert.match(problemOf(target({ url: "http://bmc" })), /clear text/);
  for (const user of ["a:b", "a", ":b"]) {
    assert.match(problemOf(target({ url: `https://${user}@bmc` })), /are keys/);
  }
  for (const rest of ["/redfish", "/?q", "/#h"]) {
    assert.match(problemOf(target({ url: `https://bmc${rest}` })), /without a path/);
  }
  for (const url of ["ftp://bmc", "ws://127.0.0.1"]) {
    assert.match(problemOf(target({ url })), /write https:\/\/$/, url);
  }
  const fingerprint = `sha256:${"0A:".repeat(31)}0a`;
  assert.equal(problemOf(target({ fingerprint })), "");
  assert.match(problemOf(target({ fingerprint: "sha256:0a" })), /write sha256: and 64 hexadecimal digits/);
  assert.match(problemOf(target({ fingerprint, ca: "/ca.pem" })), /give ca or fingerprint, not both/);
  assert.match(
    problemOf(target({ fingerprint, url: "http://127.0.0.1:1" })),
    /only https:\/\/ has a certificate/,
  );
  assert.match(problemOf(target({ username: "a" })), /name a file with the user's password/);
  assert.match(problemOf(target({ password_file: "/p" })), /the user is missing/);
  assert.match(problemOf({ timeout: "11s" }), /must not be longer than poll_interval/);
  assert.equal(problemOf({ timeout: "10s" }), "");
  const targets = ["https://bmc", "https://bmc/"].map((url) => ({ url }));
  assert.match(problemOf({ targets }), /https:\/\/bmc is there twice/);
  assert.equal(problemOf({ targets: [{ url: "https://a" }, { url: "https://b" }] }), "");
});

Deno.test("a kwollect-input section that would show the password, or has half a login, is refused", () => {
  const problemOf = (section: unknown) => problemsOf(kwollect, section);
  assert.equal(problemOf({ login: "a", password: "b", utc_offset: 2, metrics: ["m"] }), "");
  assert.equal(problemOf({ login: "a", password_file: "/b" }), "");
  assert.equal(problemOf({ api_url: "http://127.0.0.1:1/stable" }), "");
  assert.match(problemOf({ api_url: "http://api" }), /clear text/);
  assert.match(problemOf({ api_url: "ftp://api" }), /write https:\/\/$/);
  for (const user of ["a:b", "a", ":b"]) {
    assert.match(problemOf({ api_url: `https://${user}@api` }), /login and password are keys/);
  }
  for (const rest of ["?q", "#h"]) {
    assert.match(problemOf({ api_url: `https://api/${rest}` }), /without a query/);
  }
  assert.match(problemOf({ login: "a" }), /^password_file: the password is missing/);
  for (const key of ["password", "password_file"]) {
    assert.match(problemOf({ [key]: "a" }), /^login: the user is missing/);
  }
  assert.match(
    problemOf({ login: "a", password: "b", password_file: "/b" }),
    /^password_file: cannot be used together with password/,
  );
  assert.match(problemOf({ metrics: ["a,b"] }), /letters, digits and _ alone/);
  assert.match(problemOf({ metrics: [] }), /^metrics: name a metric/);
  assert.match(problemOf({ site: "../x" }), /letters, digits, . and - alone/);
});

Deno.test("a scrape section has URLs without a password, and a CA for https:// alone", () => {
  const problemOf = (keys: object) => problemsOf(scrape, { targets: [keys] });
  for (const url of ["http://a:1/metrics", "https://a/metrics"]) assert.equal(problemOf({ url }), "");
  assert.match(problemOf({ url: "ftp://a" }), /write http:\/\/ or https:\/\//);
  for (const user of ["a:b", "a", ":b"]) {
    assert.match(problemOf({ url: `https://${user}@h` }), /put a token into token_file/);
  }
  assert.match(problemOf({ url: "http://a", ca: "/c" }), /ca: only https:\/\/ has a certificate/);
  assert.equal(problemOf({ url: "https://a", ca: "/c" }), "");
  const targets = [["http://a", "/t"], ["http://a", ""], ["https://a", "/t"], ["http://[::1]:1", "/t"]]
    .map(([url, token_file]) => ({ url, token_file }));
  assert.deepEqual(adviseScrape(valid(scrape, { targets })), [
    { path: ["targets", 0, "url"], problem: "the token is sent in clear text: use https://" },
  ]);
});

Deno.test("a lines section has something to read, and addresses and networks that can be checked", () => {
  const problemOf = (section: unknown) => problemsOf(lines, section);
  assert.match(problemOf({}), /^stdin: nothing to read/);
  for (
    const section of [
      { stdin: true },
      { files: ["/a"] },
      { files: ["/a", "/b"] },
      { unix: "/s" },
      { tcp: ":1" },
      { udp: ":1" },
      { http: "[::]:1" },
    ]
  ) assert.equal(problemOf(section), "", JSON.stringify(section));
  assert.match(problemOf({ files: [""] }), /it is empty/);
  // A port alone is an address to listen on.
  assert.match(problemOf({ tcp: "nonsense" }), /tcp: .*it has no port/);
  for (const key of ["allow", "deny", "without_token"]) {
    assert.match(
      problemOf({ tcp: ":1", [key]: ["10.0.0.0/8", "fe80::1%eth0"] }),
      new RegExp(`^${key}: cannot use fe80`),
    );
    assert.equal(problemOf({ tcp: ":1", [key]: ["10.0.0.0/8"] }), "");
  }
});

Deno.test("lines says what others could read or send", () => {
  const advice = (section: unknown) =>
    adviseLines(valid(lines, { stdin: true, ...section as object })).map(({ path, problem }) =>
      `${path}: ${/clear text, from|clear text, which|from everyone/.exec(problem)}`
    );
  const [CLAIMED, READ, ALL] = ["clear text, from", "clear text, which", "from everyone"];
  assert.deepEqual(advice({}), []);
  assert.deepEqual(advice({ tcp: "127.0.0.1:1", udp: "[::1]:1", http: "localhost:1" }), []);
  const open = { tcp: ":1", udp: ":2", http: ":3" };
  assert.deepEqual(advice(open), [
    ...[`tcp: ${READ}`, `tcp: ${ALL}`],
    ...[`udp: ${CLAIMED}`, `udp: ${ALL}`],
    ...[`http: ${READ}`, `http: ${ALL}`],
  ]);
  const inClear = [`tcp: ${READ}`, `udp: ${CLAIMED}`, `http: ${READ}`];
  assert.deepEqual(advice({ ...open, allow: ["10.0.0.0/8"] }), inClear);
  assert.deepEqual(advice({ ...open, tokens: "/t" }), inClear);
  // HTTP has tokens, the others are taken from these networks alone.
  assert.deepEqual(advice({ ...open, without_token: ["10.0.0.0/8"] }), [...inClear, `http: ${ALL}`]);
  const tls = { cert: "/c", key: "/k" };
  assert.deepEqual(advice({ ...open, tls, tokens: "/t" }), [`udp: ${CLAIMED}`]);
});

Deno.test("a k8s section has a URL without a password, of the cluster that the environment names", () => {
  const problemOf = (k8s_api_url: string) => problemsOf(k8s, { k8s_api_url });
  for (const url of ["http://127.0.0.1:8080", "https://a:1/pods"]) assert.equal(problemOf(url), "");
  for (const url of ["nonsense", "ftp://a"]) assert.match(problemOf(url), /expected a URL/);
  for (const user of ["a:b", "a", ":b"]) {
    assert.match(problemOf(`https://${user}@h`), /user and password are not used/);
  }
  const NAMES = ["NODE_NAME", ...["HOST", "PORT", "PORT_HTTPS"].map((name) => `KUBERNETES_SERVICE_${name}`)];
  const before = NAMES.map((name) => Deno.env.get(name));
  const set = (values: readonly (string | undefined)[]) => {
    for (const [i, name] of NAMES.entries()) {
      if (values[i] === undefined) Deno.env.delete(name);
      else Deno.env.set(name, values[i]);
    }
  };
  const found = (...values: (string | undefined)[]) => {
    set(values);
    const { k8s_node, k8s_api_url } = k8s.defaultValue();
    return `${k8s_node} ${k8s_api_url}`;
  };
  try {
    assert.equal(found(), `${Deno.hostname()} http://127.0.0.1:8080`);
    assert.equal(found("n1", "10.0.0.1"), "n1 https://10.0.0.1:443");
    assert.equal(found("n1", "10.0.0.1", "80"), "n1 https://10.0.0.1:80");
    assert.equal(found("n1", "10.0.0.1", "80", "6443"), "n1 https://10.0.0.1:6443");
    assert.equal(found("n1", "fd00::1"), "n1 https://[fd00::1]:443");
  } finally {
    set(before);
  }
});

Deno.test("what processes of other users ask for is said where it is configured", () => {
  const names = (section: unknown) =>
    procfsCapabilities(valid(procfs, { processes: section })).map(({ name, reason }) =>
      `${name} ${/memory_mode|exe_regex/.exec(reason)}`
    );
  const groups = (...list: object[]) => names({ groups: list });
  assert.deepEqual(names({}), []);
  assert.deepEqual(groups({}, { memory_mode: "slow_but_accurate" }), ["CAP_SYS_PTRACE memory_mode"]);
  assert.deepEqual(groups({ exe_regex: "x" }, {}), ["CAP_SYS_PTRACE exe_regex"]);
  const both = [{ exe_regex: "x", memory_mode: "slow_but_accurate" }];
  assert.equal(groups(...both).length, 2);
  assert.deepEqual(names({ groups: both, enabled: false }), []);
  assert.deepEqual(names({ groups: both, strategy: "event" }), []);
  const gpu = (processes: "permitted" | "all" | "none") =>
    gpuCapabilities({ poll_interval: 1, flush_interval: 1, processes }).length;
  assert.deepEqual([gpu("permitted"), gpu("all"), gpu("none")], [0, 1, 0]);
});

Deno.test("an entry of /proc/meminfo that no kernel has gets a note with the nearest one", () => {
  assert.equal(entryNote("MemTotal"), undefined);
  assert.match(entryNote("MemTotl")!, /no entry MemTotl .*did you mean MemTotal\?/);
  assert.match(problemsOf(procfs, { memory: { metrics: ["Mem:"] } }), /not the name of an entry/);
});

Deno.test("perf makes metrics of the events that a machine may have, under their own names or others", () => {
  const names = (...events: unknown[]) => perfMetrics(perf.check({ events }, [], () => {}));
  assert.deepEqual(
    names("CPU_CYCLES", { event: "CACHE_MISSES" }, { event: "INSTRUCTIONS", rename: "work" }),
    [
      "perf_cpu_cycles 1",
      "perf_cache_misses 1",
      "perf_work 1",
    ],
  );
  assert.deepEqual(names("skx::INST_RETIRED:ANY"), [], "it is valid, and is not counted");
});

Deno.test("sections of control groups may have keys that Alumet's have, and nobody knows here", () => {
  for (const config of [cgroups, k8s, slurm, oar]) {
    assert.match(problemsOf(config, { other: 1 }), /^other: ignored: unknown key/);
  }
  assert.match(problemsOf(perf, { other: 1 }), /^other: unknown key/);
});

Deno.test({
  name: "an input that cannot begin in a pause says that it measures from the beginning",
  // The C library is open as long as the process runs.
  sanitizeResources: false,
  async fn() {
    const logs = new LogLines();
    for (const add_source_in_pause_state of [false, true]) {
      const config = { ...perf.defaultValue(), add_source_in_pause_state };
      const context = contextWith({ log: logs.log, clock: new FakeClock() });
      await using _input = await perfPlugin.open(config, context);
    }
    assert.equal(logs.matching(/WARN.*add_source_in_pause_state has no effect/).length, 1);
  },
});
