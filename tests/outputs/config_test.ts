/** The keys of outputs: what applies where they are not given, what they may be, and what does not go together. */
import assert from "node:assert/strict";
import { ExitError } from "../../lib/base/errors.ts";
import { config as csv, rotates } from "../../lib/outputs/csv/config.ts";
import { adviceOnUrl, authoritiesIn, urlProblem } from "../../lib/outputs/http/keys.ts";
import { config as influxdb } from "../../lib/outputs/influxdb/config.ts";
import { config as opentelemetry, headersOf } from "../../lib/outputs/opentelemetry/config.ts";
import { config as parquet, pathOf } from "../../lib/outputs/parquet/config.ts";
import { config as postgresql } from "../../lib/outputs/postgresql/config.ts";
import { addressText, config as prometheus } from "../../lib/outputs/prometheus/config.ts";
import { rollupsOf } from "../../lib/outputs/rollups/config.ts";
import { config as sqlite, databasePath } from "../../lib/outputs/sqlite/config.ts";
import type { AnyKey } from "../../lib/schema.ts";

const MINUTE = 60_000, DAY = 24 * 60 * MINUTE;
const ROLLUPS = [{ every: MINUTE, keep: 90 * DAY }, { every: 60 * MINUTE, keep: 5 * 365 * DAY }];
const OUTPUTS = { csv, influxdb, opentelemetry, parquet, postgresql, prometheus, sqlite };

/** What is wrong with a configuration, as `key: message`. */
function problemsOf(key: AnyKey, given: Record<string, unknown>): string[] {
  const found: string[] = [];
  key.check(given, [], ({ path, message }) => found.push(`${path.join(".")}: ${message}`));
  return found;
}

Deno.test("without any key the outputs do what their documentation says", () => {
  const requests = { batch_size: 5000, flush_interval: 1000, gzip: true, ca_file: "" };
  const none = (...keys: string[]) => Object.fromEntries(keys.map((key) => [key, undefined]));
  assert.deepEqual(csv.defaultValue(), {
    ...{ output_path: "alumet-output.csv", force_flush: true, append_unit_to_metric_name: true },
    ...{ use_unit_display_name: true, csv_delimiter: ";", csv_late_delimiter: ",", escape_formulas: false },
    ...{ rotate_gzip: false, max_open_files: 256 },
    ...none("rotate_size", "rotate_interval", "keep_files", "keep_age", "keep_size"),
  });
  assert.deepEqual(influxdb.defaultValue(), {
    ...{
      host: "http://localhost:8086",
      api: "v2",
      token: "",
      token_file: "",
      org: "",
      bucket: "",
      database: "",
    },
    ...{ retention_policy: "", username: "", password: "", password_file: "", attributes_as: "tag" },
    ...{ attributes_as_tags: [], attributes_as_fields: [], unsigned: "auto", timeout: 30_000, ...requests },
  });
  assert.deepEqual(opentelemetry.defaultValue(), {
    ...{ collector_host: "http://localhost:4318", path: "/v1/metrics", prefix: "", suffix: "_alumet" },
    ...{ use_unit_display_name: true, add_attributes_to_labels: true, service_name: "alumet-otlp-grpc" },
    ...{ headers: [], token: "", token_file: "", timeout: 10_000, ...requests },
  });
  assert.deepEqual(parquet.defaultValue(), { path: "", interval: 60 * MINUTE, max_points: 1_000_000 });
  assert.deepEqual(postgresql.defaultValue(), {
    ...{ schema: "alumet", timescaledb: true, rollups: ROLLUPS, batch_size: 32_768, flush_interval: 100 },
    timeout: MINUTE,
    ...none("url", "host", "port", "database", "user", "password", "password_file", "sslmode", "ca_file"),
    ...none("cert_file", "key_file", "keep", "connect_timeout"),
  });
  assert.deepEqual(prometheus.defaultValue(), {
    ...{ host: "0.0.0.0", port: 9091, prefix: "", suffix: "_alumet", add_attributes_to_labels: true },
    ...{ stale_after: 5 * MINUTE, max_series: 100_000, timestamps: false },
  });
  assert.deepEqual(sqlite.defaultValue(), {
    ...{ path: "", compact_after: 120 * MINUTE, flush_interval: 1000, rollups: ROLLUPS, synchronous: "full" },
    ...none("keep", "max_size"),
  });
});

Deno.test("a number is refused below its least and above its greatest value, and the examples are as documented", () => {
  const limits: Record<string, Record<string, [least: unknown, below: unknown, most?: number]>> = {
    csv: {
      rotate_size: ["1KiB", "1023B"],
      rotate_interval: ["1s", "999ms"],
      keep_files: [1, 0],
      keep_age: ["1s", "999ms"],
      max_open_files: [1, 0, 100_000],
    },
    influxdb: { batch_size: [1, 0, 100_000], flush_interval: ["1ms", "0s"], timeout: ["100ms", "99ms"] },
    opentelemetry: { batch_size: [1, 0, 100_000], flush_interval: ["1ms", "0s"], timeout: ["100ms", "99ms"] },
    parquet: { interval: ["1s", "999ms"], max_points: [1000, 999, 100_000_000] },
    postgresql: {
      port: [1, 0, 65_535],
      keep: ["1h", "59m"],
      batch_size: [1, 0, 1_000_000],
      flush_interval: ["0s", "-1s"],
      connect_timeout: ["1s", "999ms"],
      timeout: ["1s", "999ms"],
    },
    prometheus: { port: [0, -1, 65_535], stale_after: ["1s", "999ms"], max_series: [1, 0, 10_000_000] },
    sqlite: { keep: ["1s", "999ms"], max_size: ["16MiB", "15MiB"], flush_interval: ["1ms", "0s"] },
  };
  for (const [name, output] of Object.entries(OUTPUTS)) {
    for (const [key, [least, below, most]] of Object.entries(limits[name])) {
      const problems = (value: unknown) => {
        const found: string[] = [];
        output.keys![key].check(value, [key], ({ message }) => found.push(message));
        return found.length;
      };
      assert.equal(problems(least), 0, `${name}.${key} ${least}`);
      assert.equal(problems(below), 1, `${name}.${key} ${below}`);
      if (most === undefined) continue;
      assert.equal(problems(most), 0, `${name}.${key} ${most}`);
      assert.equal(problems(most + 1), 1, `${name}.${key} ${most + 1}`);
    }
  }
  const example = ({ keys }: AnyKey, name: string) => keys![name].literal(undefined);
  assert.equal(example(postgresql, "port"), "5432");
  assert.deepEqual([example(csv, "keep_files"), example(csv, "keep_age")], ["100", '"30d"']);
});

Deno.test("each key says in sentences what it is for", () => {
  const check = (path: string, { doc, unset = "", keys = {} }: AnyKey) => {
    assert.match(doc, /^[\w`%].*[.\])]$/, path);
    assert.doesNotMatch(doc + unset, /NaN|undefined/, path);
    for (const [name, key] of Object.entries<AnyKey>(keys)) check(`${path}.${name}`, key);
  };
  for (const [name, output] of Object.entries(OUTPUTS)) check(name, output);
});

Deno.test("what a reload may change is marked, and what is secret", () => {
  const marked = (mark: "live" | "secret" | "secretFile") =>
    Object.entries(OUTPUTS).map(([name, { keys }]) => {
      const names = Object.entries(keys!).filter(([, key]) => key[mark]).map(([name]) => name);
      return `${name}: ${names.join(" ")}`;
    });
  assert.deepEqual(marked("live"), [
    "csv: force_flush",
    "influxdb: token token_file password password_file flush_interval",
    "opentelemetry: flush_interval",
    "parquet: interval max_points",
    "postgresql: password password_file batch_size flush_interval",
    "prometheus: stale_after max_series",
    "sqlite: keep max_size compact_after flush_interval",
  ]);
  assert.deepEqual(marked("secret"), [
    ...[
      "csv: ",
      "influxdb: token password",
      "opentelemetry: headers token",
      "parquet: ",
      "postgresql: url password",
    ],
    ...["prometheus: ", "sqlite: "],
  ]);
  assert.deepEqual(marked("secretFile"), [
    ...["csv: ", "influxdb: token_file password_file", "opentelemetry: token_file", "parquet: "],
    ...["postgresql: password_file key_file", "prometheus: ", "sqlite: "],
  ]);
  const { isSecret } = postgresql.keys!.url;
  assert.ok(isSecret!("postgresql://u:p@host/db"));
  assert.ok(isSecret!("no URL"));
  assert.ok(!isSecret!("postgresql://u@host/db"));
});

Deno.test("csv: a delimiter is one character, and files that end are needed to keep some of them", () => {
  for (const key of ["csv_delimiter", "csv_late_delimiter"]) {
    for (const value of [";", "\t", "😀"]) assert.deepEqual(problemsOf(csv, { [key]: value }), []);
    for (const value of ["", ";;"]) {
      assert.match(problemsOf(csv, { [key]: value })[0], /must be one character/);
    }
    for (const value of ['"', "\n", "\r"]) {
      assert.match(problemsOf(csv, { [key]: value })[0], /must not be a quote or a line break/);
    }
  }
  const keeping = { rotate_gzip: true, keep_files: 1, keep_age: "1d", keep_size: "1GiB" };
  for (const [key, value] of Object.entries(keeping)) {
    assert.match(problemsOf(csv, { [key]: value })[0], new RegExp(`^${key}: no file is ever finished`));
    for (const given of [{ rotate_size: "1MiB" }, { rotate_interval: "1h" }, { output_path: "%F.csv" }]) {
      assert.deepEqual(problemsOf(csv, { [key]: value, ...given }), []);
    }
  }
  assert.deepEqual(problemsOf(csv, { rotate_gzip: false }), []);
  assert.ok(!rotates({ output_path: "{client}.csv" }));
  assert.match(problemsOf(csv, { output_path: "%y.csv" })[0], /^output_path: /);
});

Deno.test("a path that is not given is in the state directory, or in the working directory where there is none", () => {
  assert.equal(databasePath("/x", "/state"), "/x");
  assert.equal(databasePath("", "/state"), "/state/measurements.sqlite");
  assert.equal(databasePath("", null), "measurements.sqlite");
  const path = (path: string, state: string | null) => pathOf({ ...parquet.defaultValue(), path }, state);
  assert.equal(path("/x/%H.parquet", "/state"), "/x/%H.parquet");
  assert.equal(path("", "/state"), "/state/parquet/%Y-%m-%d/%H.parquet");
  assert.equal(path("", null), "parquet/%Y-%m-%d/%H.parquet");
  assert.match(problemsOf(parquet, { path: "%y.parquet" })[0], /^path: /);
});

Deno.test("influxdb: the target, the login and the attributes of a configuration go together", () => {
  const wrong = (given: Record<string, unknown>, pattern: RegExp) => {
    const [first, ...more] = problemsOf(influxdb, { bucket: "b", ...given });
    assert.match(first ?? "", pattern);
    assert.deepEqual(more, []);
    assert.ok(!first.includes("s3cret"), first);
  };
  const right = (given: Record<string, unknown>) =>
    assert.deepEqual(problemsOf(influxdb, { bucket: "b", ...given }), []);
  right({});
  right({ bucket: "", api: "v1", database: "d", username: "u", password: "p" });
  right({ database: "d" });
  right({ username: "u" });
  right({ username: "u", password_file: "f" });
  right({ token: "t" });
  right({ token_file: "f" });
  right({ attributes_as_tags: ["a"], attributes_as_fields: ["b"] });
  wrong({ bucket: "" }, /^bucket: say which bucket/);
  wrong({ api: "v1" }, /^database: with api = "v1"/);
  wrong({ host: "localhost:8086" }, /^host: expected a URL such as http:\/\/localhost:8086/);
  wrong({ host: "http://me:s3cret@localhost" }, /^host: user and password belong in username and password/);
  wrong({ host: "http://localhost/?token=s3cret" }, /^host: .*without \? and #; database, org and bucket/);
  wrong({ token: "s3cret", token_file: "f" }, /^token_file: cannot be used together with token/);
  wrong(
    { username: "u", password: "s3cret", password_file: "f" },
    /^password_file: .*together with password/,
  );
  wrong({ username: "u", token: "s3cret" }, /^username: cannot be used together with a token/);
  wrong({ username: "u", token_file: "f" }, /^username: cannot be used together with a token/);
  wrong({ password: "s3cret" }, /^username: the user is missing/);
  wrong({ password_file: "f" }, /^username: the user is missing/);
  wrong({ attributes_as_tags: ["a"], attributes_as_fields: ["b", "a"] }, /^attributes_as_fields: a is in/);
});

Deno.test("opentelemetry: headers and a path are valid, and there is one way to log in", () => {
  const wrong = (given: Record<string, unknown>, pattern: RegExp) =>
    assert.match(problemsOf(opentelemetry, given).join("\n"), pattern);
  const right = (given: Record<string, unknown>) => assert.deepEqual(problemsOf(opentelemetry, given), []);
  right({ headers: ["X-Scope-OrgID: a b", "Authorization: Basic eA=="] });
  right({ token: "t", headers: ["X-Scope-OrgID: a"] });
  right({ token_file: "f" });
  right({ path: "/" });
  wrong(
    { collector_host: "localhost:4318" },
    /^collector_host: expected a URL such as http:\/\/localhost:4318/,
  );
  wrong({ collector_host: "http://u:secret@x" }, /^collector_host: (?!.*secret).*belong in headers/);
  for (const path of ["v1/metrics", "/a b", "/a?b", "/a#b"]) wrong({ path }, /^path: .*expected a path/);
  wrong({ headers: ["secret"] }, /^headers\.0: (?!.*"secret").*NAME: VALUE/);
  wrong({ headers: ["a: b\r\nc: d"] }, /^headers\.0: .*NAME: VALUE/);
  for (
    const name of [
      "Content-Type",
      "content-encoding",
      "Content-Length",
      "Transfer-Encoding",
      "Host",
      "Connection",
    ]
  ) {
    wrong({ headers: [`${name}: x`] }, /^headers\.0: .*set by the output itself/);
  }
  wrong({ token: "a", token_file: "b" }, /^token_file: .*together with token/);
  wrong({ token: "a", headers: ["authorization: b"] }, /^headers: .*Authorization/);
  wrong({ token_file: "a", headers: ["authorization: b"] }, /^headers: .*Authorization/);
  assert.deepEqual(headersOf(["X-A:  b c ", "Y:", "z: é"]), { "x-a": "b c", y: "", z: "é" });
});

Deno.test("the URL of a target has a scheme of HTTP, and nothing that would be lost or shown", () => {
  const problem = (url: string, query?: string) =>
    urlProblem(url, { example: "http://x", login: "user", query });
  for (const url of ["http://x", "https://x:1/a/b"]) assert.equal(problem(url), undefined);
  for (const url of ["x", "ftp://x", ""]) assert.match(problem(url)!, /^expected a URL such as http:\/\/x$/);
  for (const url of ["http://a@x", "http://:b@x"]) {
    assert.match(problem(url)!, /^user and password belong in user /);
  }
  for (const url of ["http://x/?a", "http://x/#a"]) {
    assert.match(problem(url)!, /^expected a URL without \? and #$/);
  }
  assert.match(problem("http://x/?a", "keys")!, /#; keys$/);
  assert.deepEqual(adviceOnUrl("host", "https://x", "the token is"), []);
  assert.deepEqual(adviceOnUrl("host", "http://localhost", "the token is"), []);
  const [open] = adviceOnUrl("host", "http://x.example", "the token is");
  assert.deepEqual(open.path, ["host"]);
  assert.match(open.problem, /^the token is sent in clear text/);
  assert.match(
    adviceOnUrl("host", "http://x.example", undefined)[0].problem,
    /^points are sent in clear text/,
  );
  assert.deepEqual(authoritiesIn("", "k"), []);
  assert.throws(
    () => authoritiesIn("/nowhere/ca.pem", "k"),
    (error) =>
      error instanceof ExitError && error.exitCode === 78 &&
      /^Cannot read \/nowhere\/ca.pem \(k\)/.test(error.message),
  );
});

Deno.test("prometheus: a host is an address without a port", () => {
  assert.deepEqual(["", "::1", "[::1]", "0.0.0.0", "localhost"].map((host) => addressText(host, 7)), [
    ...["[::]:7", "[::1]:7", "[::1]:7", "0.0.0.0:7", "localhost:7"],
  ]);
  for (const host of ["", "0.0.0.0", "::", "[::1]", "fe80::1%eth0", "localhost"]) {
    assert.deepEqual(problemsOf(prometheus, { host }), [], host);
  }
  for (const host of ["localhost:9091", "[::1]:7", "a[b"]) {
    assert.match(problemsOf(prometheus, { host })[0] ?? "", /^host: .*: it is a host without a port/, host);
  }
  for (const host of ["1.2.3", "[::1", "a b", "http://x", "fe80::1"]) {
    assert.equal(problemsOf(prometheus, { host }).length, 1, host);
  }
});

Deno.test("postgresql: a schema may be called what PostgreSQL lets it, and what belongs together is there together", () => {
  for (const schema of ["a", "é".repeat(31), "x".repeat(63), "Pg_x", "information_schema_2"]) {
    assert.deepEqual(problemsOf(postgresql, { schema }), [], schema);
  }
  for (const schema of ["", "a\0b"]) assert.match(problemsOf(postgresql, { schema })[0], /must not be empty/);
  for (const schema of ["é".repeat(32), "x".repeat(64)]) {
    assert.match(problemsOf(postgresql, { schema })[0], /must have 63 bytes at most/);
  }
  for (const schema of ["pg_x", "information_schema"]) {
    assert.match(problemsOf(postgresql, { schema })[0], /is reserved by PostgreSQL/);
  }
  const together = (given: Record<string, unknown>) => problemsOf(postgresql, given).join("\n");
  assert.match(together({ password: "a", password_file: "b" }), /^password_file: .*together with password/);
  assert.equal(together({ password: "a" }), "");
  assert.equal(together({ password_file: "a" }), "");
  assert.match(together({ key_file: "a" }), /^key_file: needs cert_file/);
  assert.match(together({ cert_file: "a" }), /^cert_file: needs key_file/);
  assert.equal(together({ cert_file: "a", key_file: "b" }), "");
  assert.match(together({ url: "postgresql://host/db?unheard=of" }), /^url: .*unknown parameter/);
});

Deno.test("sums by interval divide a day or have whole days, and each has several of the one before", () => {
  for (const output of [sqlite, postgresql]) {
    const problem = (...every: string[]) =>
      problemsOf(output, { rollups: every.map((every) => ({ every })) }).join("\n");
    assert.deepEqual(problemsOf(output, { rollups: [] }), []);
    assert.equal(problem("1s"), "");
    assert.equal(problem("5m", "10m", "1day", "2days"), "");
    assert.equal(problem("10s", "60s"), "");
    assert.match(problem("999ms"), /^rollups\.0\.every: /);
    for (const every of ["7s", "5h", "25h"]) {
      assert.match(problem("1s", every), /^rollups\.1\.every: .*divide a day/, every);
    }
    // The names of views have no parts of a second.
    assert.match(problem("1500ms"), /^rollups\.0\.every: must be whole seconds that divide a day/);
    assert.match(problem("6m"), /^rollups: the first interval must be at most 5m/);
    assert.match(problem("1m", "1m"), /^rollups: 1m must be a multiple of the interval before it/);
    assert.match(problem("2m", "1m"), /^rollups: 1m must be a multiple/);
    assert.match(problem("40s", "60s"), /^rollups: 1m must be a multiple/);
    assert.match(problem("1m", "1h", "90m"), /^rollups: .* must be a multiple/);
    assert.match(
      problemsOf(output, { rollups: [{ every: "1m", keep: "23h" }] })[0],
      /^rollups\.0\.keep: /,
    );
    assert.deepEqual(problemsOf(output, { rollups: [{ every: "1m", keep: "1day" }] }), []);
    const { rollups } = output.check({ rollups: [{}] }, [], () => {});
    assert.deepEqual(rollups, [{ every: MINUTE, keep: 90 * DAY }]);
  }
  assert.deepEqual(rollupsOf(ROLLUPS), [
    { every: 60, keepMs: 90 * DAY },
    { every: 3600, keepMs: 5 * 365 * DAY },
  ]);
});
