import assert from "node:assert/strict";
import {
  type AnyKey,
  choice,
  duration,
  flag,
  type Infer,
  integer,
  list,
  live,
  LooseText,
  named,
  number,
  oneOrMore,
  optional,
  size,
  table,
  tables,
  text,
} from "../../lib/schema.ts";
import { either } from "../../lib/schema/either.ts";
import { tlsKeys, tlsProblem } from "../../lib/schema/listening.ts";
import { formatPath, quote } from "../../lib/schema/path.ts";

/** The checked value, and all problems as lines. */
function check(key: AnyKey, value: unknown) {
  const problems: string[] = [];
  const result = key.check(
    value,
    ["k"],
    ({ path, message }) => problems.push(`${formatPath(path)}: ${message}`),
  );
  return { result, problems };
}

function accepts(key: AnyKey, value: unknown, result: unknown = value): void {
  assert.deepEqual(check(key, value), { result, problems: [] });
}

function refuses(key: AnyKey, value: unknown, ...problems: string[]): void {
  assert.deepEqual(check(key, value).problems, problems);
}

const doc = "A key.";

Deno.test("a text accepts and checks texts, and may have a computed default", () => {
  const key = text({ doc, default: "a", check: (value) => value === "" ? "it is empty" : undefined });
  accepts(key, "b");
  accepts(key, undefined, "a");
  accepts(key, new LooseText("12"), "12");
  refuses(key, "", 'k: cannot use "": it is empty');
  refuses(key, 12, 'k: expected a text, found 12; write "12"');
  refuses(key, [], "k: expected a text, found a list");
  refuses(key, {}, "k: expected a text, found a table");
  refuses(key, new Date(0), "k: expected a text, found a date");
  accepts(text({ doc, default: () => "host" }), undefined, "host");
});

Deno.test("no problem shows a secret", () => {
  const key = text({ doc, default: "", secret: true, check: () => "it is too short" });
  refuses(key, "hunter2", "k: cannot use the value (not shown): it is too short");
  refuses(key, 4711, "k: expected a text, found a number that is not shown");
  refuses(list(key, { doc, default: [] }), "hunter2", "k: expected a list, found a text that is not shown");
});

Deno.test("an integer accepts whole numbers within its limits, as number, bigint or text from the environment", () => {
  const key = integer({ doc, default: 5, min: 0, max: 10 });
  accepts(key, 0);
  accepts(key, 10n, 10);
  accepts(key, new LooseText("7"), 7);
  accepts(key, undefined, 5);
  refuses(key, 11, "k: expected an integer (from 0 to 10), found 11");
  refuses(key, -1, "k: expected an integer (from 0 to 10), found -1");
  refuses(key, 1.5, "k: expected an integer (from 0 to 10), found 1.5");
  refuses(key, "7", 'k: expected an integer (from 0 to 10), found "7"');
  refuses(key, new LooseText("7 "), 'k: expected an integer (from 0 to 10), found "7 "');
  refuses(integer({ doc, default: 0 }), 2 ** 53, "k: expected an integer, found 9007199254740992");
  refuses(integer({ doc, default: 0 }), 2n ** 60n, `k: expected an integer, found ${2n ** 60n}`);
  refuses(integer({ doc, default: 0, min: 1 }), 0, "k: expected an integer (1 or more), found 0");
});

Deno.test("a number is finite", () => {
  const key = number({ doc, default: 0.1, min: 0, max: 1 });
  accepts(key, 1);
  accepts(key, new LooseText("2.5e-1"), 0.25);
  refuses(key, NaN, "k: expected a number (from 0 to 1), found NaN");
  refuses(key, Infinity, "k: expected a number (from 0 to 1), found Infinity");
  refuses(key, new LooseText("0x1"), 'k: expected a number (from 0 to 1), found "0x1"');
});

Deno.test("a flag accepts true and false, also from the environment", () => {
  const key = flag({ doc, default: true });
  accepts(key, false);
  accepts(key, new LooseText("false"), false);
  refuses(key, "true", 'k: expected true or false, found "true"');
  refuses(key, 1, "k: expected true or false, found 1");
});

Deno.test("a duration is a text in the file and milliseconds in the program", () => {
  const key = duration({ doc, default: "30s", min: "1ms", max: "1h" });
  accepts(key, undefined, 30_000);
  accepts(key, "1.5us 1ms", 1.0015);
  accepts(key, new LooseText("2s"), 2_000);
  refuses(key, "0s", 'k: expected a duration (from 1ms to 1h), found "0s"');
  refuses(key, 12, 'k: expected a duration such as "30s", found 12; write "12s" or "12ms"');
  refuses(
    key,
    "12",
    'k: expected a duration such as "30s", found "12": a unit is needed, for example 12s or 12ms',
  );
});

Deno.test("the error of a choice names all values, and the nearest", () => {
  const key = choice(["quick", "slow_but_accurate"], { doc, default: "quick" });
  const value: "quick" | "slow_but_accurate" = key.defaultValue();
  accepts(key, value);
  refuses(key, "quik", 'k: expected "quick" or "slow_but_accurate", found "quik"; did you mean quick?');
  refuses(key, 1, 'k: expected "quick" or "slow_but_accurate", found 1');
});

Deno.test("a list reports every bad item by its index", () => {
  const key = list(integer({ doc, default: 0 }), { doc, default: [1, 2] });
  accepts(key, undefined, [1, 2]);
  accepts(key, []);
  accepts(key, new LooseText("3"), [3]);
  refuses(
    key,
    [1, "a", true],
    'k[1]: expected an integer, found "a"',
    "k[2]: expected an integer, found true",
  );
  refuses(key, 3, "k: expected a list, found 3");
  key.defaultValue().push(3);
  accepts(key, undefined, [1, 2]);
});

const retry = table({
  max_times: integer({ doc, default: 8 }),
  max_delay: duration({ doc, default: "4s" }),
}, { doc });

const client = table({
  name: text({ doc, default: "me" }),
  buffer_timeout: duration({ doc, default: "30s" }),
  token: optional(text({ doc, default: "x", secret: true })),
  retry,
  tls: optional(table({ ca: text({ doc, default: "/etc/ca.pem" }) }, { doc })),
}, { doc });

Deno.test("a table completes missing keys, and reports all problems at once", () => {
  const complete = {
    name: "me",
    buffer_timeout: 30_000,
    token: undefined,
    retry: { max_times: 8, max_delay: 4_000 },
  };
  accepts(client, {}, { ...complete, tls: undefined });
  accepts(client, undefined, { ...complete, tls: undefined });
  accepts(client, { tls: {} }, { ...complete, tls: { ca: "/etc/ca.pem" } });
  refuses(
    client,
    { bufer_timeout: 1, name: 2, retry: { max_times: "x" }, max_delay: "1s", zzz: 1 },
    "k.bufer_timeout: unknown key; did you mean buffer_timeout?",
    "k.max_delay: unknown key; did you mean retry.max_delay?",
    "k.zzz: unknown key; expected one of name, buffer_timeout, token, retry, tls",
    'k.name: expected a text, found 2; write "2"',
    'k.retry.max_times: expected an integer, found "x"',
  );
  refuses(client, [], "k: expected a table, found a list");
  refuses(client, { retry: 5 }, "k.retry: expected a table, found 5");
});

Deno.test("the names of members of every object are unknown keys, like others", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    refuses(
      table({ a: flag({ doc, default: true }) }, { doc }),
      Object.fromEntries([[name, 1]]),
      `k.${name}: unknown key; expected one of a`,
    );
  }
});

Deno.test("a table checks its values together after each of them is valid", () => {
  const key = table(
    {
      include: list(text({ doc, default: "" }), { doc, default: [] }),
      exclude: list(text({ doc, default: "" }), { doc, default: [] }),
    },
    {
      doc,
      check: ({ include, exclude }) =>
        include.length && exclude.length ? { key: "exclude", problem: "not both" } : undefined,
    },
  );
  accepts(key, { include: ["a"] }, { include: ["a"], exclude: [] });
  refuses(key, { include: ["a"], exclude: ["b"] }, "k.exclude: not both");
  refuses(key, { include: ["a"], exclude: [1] }, 'k.exclude[0]: expected a text, found 1; write "1"');
});

Deno.test("a key that a table ignores is a note, and what the values say together is checked all the same", () => {
  const keys = { speed: integer({ doc, default: 1 }) };
  const found = (ignoresUnknown: boolean) => {
    const notes: string[] = [];
    const key = table(keys, { doc, ignoresUnknown, check: () => ({ key: "speed", problem: "is too high" }) });
    key.check(
      { spede: 3 },
      ["k"],
      ({ path, message, isNote = false }) =>
        notes.push(`${formatPath(path)}: ${message}${isNote ? ", a note" : ""}`),
    );
    return notes;
  };
  assert.deepEqual(found(true), [
    "k.spede: ignored: unknown key; did you mean speed?, a note",
    "k.speed: is too high",
  ]);
  assert.deepEqual(found(false), ["k.spede: unknown key; did you mean speed?"]);
});

Deno.test("an array of tables checks each of them", () => {
  const key = tables(retry, { doc, default: [{ max_times: 1, max_delay: 0 }] });
  accepts(key, undefined, [{ max_times: 1, max_delay: 0 }]);
  accepts(key, [{}, { max_times: 2n }], [{ max_times: 8, max_delay: 4_000 }, {
    max_times: 2,
    max_delay: 4_000,
  }]);
  refuses(key, [{}, { max_tims: 1 }], "k[1].max_tims: unknown key; did you mean max_times?");
  refuses(key, {}, "k: expected a list of tables, [[k]], found a table");
});

Deno.test("printed values are TOML that reads back as the same values", () => {
  const value: Infer<typeof client> = {
    name: 'a "b"\n\u007f\u0001',
    buffer_timeout: 1_500,
    token: undefined,
    retry: { max_times: 1, max_delay: 0 },
    tls: undefined,
  };
  assert.equal(
    client.literal(value),
    '{ name = "a \\"b\\"\\n\\u007f\\u0001", buffer_timeout = "1s 500ms", retry = { max_times = 1, max_delay = "0s" } }',
  );
  assert.equal(
    list(flag({ doc, default: true }), { doc, default: [] }).literal([true, false]),
    "[true, false]",
  );
});

Deno.test("formatPath quotes what TOML needs quoted", () => {
  assert.equal(formatPath(["plugins", "relay-client", "a b", 0, ""]), 'plugins.relay-client."a b"[0].""');
  assert.equal(quote("é\t"), '"é\\t"');
});

Deno.test("oneOrMore accepts one value or a list that is not empty, and prints a single value as itself", () => {
  const key = oneOrMore(integer({ doc, default: 7, min: 1 }));
  accepts(key, 3, [3]);
  accepts(key, [3, 4]);
  accepts(key, undefined, [7]);
  refuses(key, [], "k: must not be an empty list");
  refuses(key, [1, 0], "k[1]: expected an integer (1 or more), found 0");
  assert.deepEqual([key.literal([3]), key.literal([3, 4])], ["3", "[3, 4]"]);
});

Deno.test("a table with free names checks each value under its name", () => {
  const key = named(integer({ doc: "A number.", default: 1, min: 0 }), {
    doc: "Numbers.",
    exampleName: "a",
    checkName: (name) => name === "bad" ? "a bad name" : undefined,
  });
  const found: string[] = [];
  const check = (value: unknown) =>
    key.check(value, ["n"], ({ path, message }) => found.push(`${path}: ${message}`));
  assert.deepEqual(check(undefined), {});
  assert.deepEqual(check({ "a b": 1, __proto__: 2 }), { "a b": 1 });
  assert.equal(key.literal({ "a b": 1, c: 2 }), '{ "a b" = 1, c = 2 }');
  assert.equal(found.join(), "");
  check({ x: -1, bad: 2 });
  check([1]);
  assert.deepEqual(found.map((line) => line.split(";")[0]), [
    "n,x: expected an integer (0 or more), found -1",
    "n,bad: a bad name",
    "n: expected a table, found a list",
  ]);
});

Deno.test("limits of durations and sizes are the last values that are taken", () => {
  const time = duration({ doc, default: "5s", min: "1s", max: "10s" });
  accepts(time, "1s", 1000);
  accepts(time, "10s", 10_000);
  assert.equal(check(time, "999ms").problems.length, 1);
  assert.equal(check(time, "10001ms").problems.length, 1);
  const bytes = size({ doc, default: "1MiB" });
  accepts(bytes, 0);
  accepts(bytes, "0", 0);
  accepts(bytes, 1);
  accepts(bytes, "2KiB", 2048);
  for (const wrong of [-1, 1.5, true, "-1", "1 foot", null]) {
    assert.match(check(bytes, wrong).problems[0], /a size such as/, String(wrong));
  }
  const large = size({ doc, default: "1MiB", min: "1KiB" });
  accepts(large, 1024);
  assert.match(check(large, 1023).problems[0], /a size \(/);
});

Deno.test("a value without quotes that should be a text is shown with them", () => {
  const key = text({ doc, default: "x" });
  for (const value of [5, 5n, true, false]) {
    assert.match(check(key, value).problems[0], new RegExp(`; write "${value}"$`));
  }
  assert.doesNotMatch(check(key, [1]).problems[0], /write/);
});

Deno.test("tables without keys, and tables of which nothing is set, are printed and explained", () => {
  const empty = table({}, { doc });
  assert.equal(empty.literal({}), "{}");
  refuses(empty, { a: 1 }, "k.a: unknown key; this table has no keys");
  const one = table({ a: optional(integer({ doc, default: 1 })) }, { doc });
  assert.equal(one.literal({ a: undefined }), "{}");
  assert.equal(one.literal({ a: 3 }), "{ a = 3 }");
  refuses(one, { zzz: 1 }, "k.zzz: unknown key; expected one of a");
  const names = named(integer({ doc, default: 1 }), { doc, exampleName: "x" });
  assert.equal(names.literal({}), "{}");
  assert.equal(names.literal({ a: 1 }), "{ a = 1 }");
  assert.equal(names.literal({ a: 1, "b c": 2 }), '{ a = 1, "b c" = 2 }');
  for (const key of [empty, one]) assert.deepEqual([key.secret, key.optional], [false, false]);
});

Deno.test("a list takes a single item, is never optional itself, and says the limits of its items", () => {
  const key = list(integer({ doc, default: 1, min: 1 }), { doc, default: [] });
  accepts(key, [5], [5]);
  assert.equal(key.optional, false);
  assert.match(key.limits!, /^each /);
  assert.equal(list(flag({ doc, default: true }), { doc, default: [] }).limits, undefined);
  accepts(oneOrMore(integer({ doc, default: 1 })), [5], [5]);
  assert.throws(() => tables(integer({ doc, default: 1 }) as never, { doc, default: [] }), TypeError);
});

Deno.test("values are not checked together while one of them is wrong", () => {
  let checks = 0;
  const key = table({ a: integer({ doc, default: 1, min: 0 }) }, { doc, check: () => void checks++ });
  check(key, { a: -1 });
  assert.equal(checks, 0);
  check(key, { a: -1, b: 1 });
  assert.equal(checks, 0);
  check(key, { a: 1 });
  assert.equal(checks, 1);
});

Deno.test("a key says what it is: optional, live, its limits, and which of its values are secret", () => {
  const whole = integer({ doc, default: 1, max: 5 });
  const free = { doc, exampleName: "a" };
  assert.deepEqual([whole, named(whole, free), optional(whole)].map((key) => key.optional), [
    false,
    false,
    true,
  ]);
  assert.deepEqual([whole.live, live(whole).live], [undefined, true]);
  assert.deepEqual([whole.limits, named(whole, free).limits], ["at most 5", "each at most 5"]);
  assert.equal(named(flag({ doc, default: true }), free).limits, undefined);
  const address = text({ doc, default: "", secret: (value) => value.includes("@") });
  assert.deepEqual(["a", "a@b", 5].map((value) => address.isSecret?.(value)), [false, true, true]);
  assert.equal(text({ doc, default: "", secret: true }).isSecret, undefined);
  assert.equal(text({ doc, default: "" }).isSecret, undefined);
});

Deno.test("a value that may surprise has a note, and no problem", () => {
  const found: unknown[] = [];
  const key = duration({ doc, default: "30s" });
  key.check("1M", ["k"], ({ isNote }) => found.push(isNote));
  key.check("x", ["k"], ({ isNote }) => found.push(isNote));
  assert.deepEqual(found, [true, undefined]);
});

Deno.test("flags and sizes from the environment are checked as those of the file are", () => {
  refuses(flag({ doc, default: true }), new LooseText("yes"), 'k: expected true or false, found "yes"');
  accepts(size({ doc, default: "1MiB" }), new LooseText("2KiB"), 2048);
});

Deno.test("the certificate and the key of a listener belong together, and clients are asked for theirs only in TLS", () => {
  const problem = (cert: string, key: string, client_ca: string) => {
    const found = tlsProblem({ cert, key, client_ca });
    return found && `${found.key} ${found.problem}`;
  };
  for (const ca of ["", "ca"]) {
    assert.equal(problem("c", "k", ca), undefined);
    assert.equal(problem("c", "", ca), "key is required with cert");
    assert.equal(problem("", "k", ca), "cert is required with key");
  }
  assert.equal(problem("", "", ""), undefined);
  assert.equal(problem("", "", "ca"), "cert is required with client_ca");
  assert.deepEqual(
    Object.entries(tlsKeys).map(([name, { secretFile, secret }]) => [name, secretFile, secret]),
    [
      ["cert", undefined, false],
      ["key", true, false],
      ["client_ca", undefined, false],
    ],
  );
  for (const { doc } of Object.values(tlsKeys)) assert.doesNotMatch(doc, /NaN/);
});

Deno.test("a key may be a value or a table, and says of each what is wrong with it", () => {
  const key = either(text({ doc, default: "a" }), table({ b: integer({ doc, default: 1 }) }, { doc }));
  accepts(key, undefined, "a");
  accepts(key, "x");
  accepts(key, {}, { b: 1 });
  refuses(key, 5, 'k: expected a text, found 5; write "5"');
  refuses(key, { b: "x" }, 'k.b: expected an integer, found "x"');
  assert.deepEqual([key.literal("x"), key.literal({ b: 2 }), key.defaultValue(), key.keys], [
    '"x"',
    "{ b = 2 }",
    "a",
    undefined,
  ]);
});
