/**
 * What this project relies on in `@std`, as claims. They hold for whatever `@std/…` resolves to, the modules from JSR
 * or the stand-ins laid out under `vendor/`, and for the stand-ins themselves.
 */
import assert from "node:assert/strict";
import * as stdAsync from "@std/async";
import * as stdCli from "@std/cli/parse-args";
import * as stdStreams from "@std/streams";
import * as stdToml from "@std/toml";
import * as offlineAsync from "../../offline/async/mod.ts";
import * as offlineCli from "../../offline/cli/mod.ts";
import * as offlineStreams from "../../offline/streams/mod.ts";
import * as offlineToml from "../../offline/toml/mod.ts";

function asyncClaims(
  from: string,
  { abortable, delay, retry, RetryError }: Pick<typeof offlineAsync, keyof typeof offlineAsync>,
): void {
  const quick = { minTimeout: 0, maxTimeout: 1, jitter: 0 };

  Deno.test(`${from}: retry returns the first result, and tries no more`, async () => {
    let calls = 0;
    const result = await retry(() => {
      if (++calls < 3) throw new Error("not yet");
      return "done";
    }, quick);
    assert.equal(result, "done");
    assert.equal(calls, 3);
  });

  Deno.test(`${from}: retry gives up after maxAttempts with a RetryError whose cause is the last error`, async () => {
    let calls = 0;
    const attempt = () => Promise.reject(new Error(`attempt ${++calls}`));
    await assert.rejects(retry(attempt, { ...quick, maxAttempts: 4 }), (error: Error) => {
      assert.ok(error instanceof RetryError);
      assert.equal(error.name, "RetryError");
      assert.equal((error.cause as Error).message, "attempt 4");
      return true;
    });
    assert.equal(calls, 4);
  });

  Deno.test(`${from}: retry passes on an error that is not retriable at once`, async () => {
    let calls = 0;
    const attempt = () => Promise.reject(new TypeError(`attempt ${++calls}`));
    const isRetriable = (error: unknown) => !(error instanceof TypeError);
    await assert.rejects(retry(attempt, { ...quick, isRetriable }), {
      name: "TypeError",
      message: "attempt 1",
    });
  });

  Deno.test(`${from}: retry ends with the signal's reason, before and between attempts`, async () => {
    const aborter = new AbortController();
    const attempt = () => {
      queueMicrotask(() => aborter.abort(new Error("stopped")));
      throw new Error("failed");
    };
    const options = { minTimeout: 60_000, maxTimeout: 60_000, signal: aborter.signal };
    await assert.rejects(retry(attempt, options), { message: "stopped" });
    await assert.rejects(retry(() => 1, options), { message: "stopped" });
  });

  Deno.test(`${from}: retry waits minTimeout, then multiplier times as long, up to maxTimeout`, async () => {
    const times: number[] = [];
    const attempt = () => {
      times.push(performance.now());
      throw new Error("failed");
    };
    const options = { minTimeout: 20, multiplier: 2, maxTimeout: 50, maxAttempts: 4, jitter: 0 };
    await assert.rejects(retry(attempt, options), RetryError);
    const waits = times.slice(1).map((time, i) => time - times[i]);
    [20, 40, 50].forEach((least, i) => assert.ok(waits[i] >= least - 2, `wait ${i} was ${waits[i]} ms`));
  });

  Deno.test(`${from}: retry refuses options that make no sense`, async () => {
    for (
      const options of [
        { maxAttempts: 0 },
        { maxAttempts: 1.5 },
        { multiplier: 0.5 },
        { jitter: 2 },
        {
          minTimeout: -1,
        },
        { minTimeout: 2, maxTimeout: 1 },
        { maxTimeout: NaN },
      ]
    ) {
      await assert.rejects(retry(() => 1, options), RangeError, JSON.stringify(options));
    }
  });

  Deno.test(`${from}: delay resolves after its time, or rejects with the signal's reason`, async () => {
    const start = performance.now();
    await delay(20);
    assert.ok(performance.now() - start >= 18);
    const aborter = new AbortController();
    const long = delay(2 ** 40, { signal: aborter.signal });
    aborter.abort(new Error("stopped"));
    await assert.rejects(long, { message: "stopped" });
    await assert.rejects(delay(0, { signal: aborter.signal }), { message: "stopped" });
  });

  Deno.test(`${from}: abortable promises settle as they do, or reject with the signal's reason`, async () => {
    const aborter = new AbortController();
    assert.equal(await abortable(Promise.resolve(1), aborter.signal), 1);
    const stuck = abortable(new Promise(() => {}), aborter.signal);
    aborter.abort();
    await assert.rejects(stuck, { name: "AbortError" });
    await assert.rejects(abortable(Promise.resolve(1), aborter.signal), { name: "AbortError" });
  });

  Deno.test(`${from}: abortable iterables end with the signal's reason, and close what they iterate`, async () => {
    const aborter = new AbortController();
    let closed = false;
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false, value: 1 }),
        return: () => {
          closed = true;
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    const seen: number[] = [];
    await assert.rejects(async () => {
      for await (const value of abortable(source, aborter.signal)) {
        seen.push(value);
        if (seen.length === 2) aborter.abort(new Error("stopped"));
      }
    }, { message: "stopped" });
    assert.deepEqual(seen, [1, 1]);
    assert.equal(closed, true);
  });
}

function cliClaims(
  from: string,
  parse: (args: string[], options?: offlineCli.ParseOptions) => Record<string, unknown>,
): void {
  Deno.test(`${from}: parseArgs takes values after a space, after an equals sign, and attached`, () => {
    const args = ["--foo", "bar", "--x=1", "-n5", "-k", "v", "file"];
    assert.deepEqual(parse(args), { _: ["file"], foo: "bar", x: 1, n: 5, k: "v" });
    assert.deepEqual(parse(["--expr=a=b", "--empty="]), { _: [], expr: "a=b", empty: "" });
  });

  Deno.test(`${from}: parseArgs leaves strings as they are, and "" where the value is missing`, () => {
    const options = { string: ["id", "name", "_"] };
    assert.deepEqual(parse(["--id", "007", "--name", "12"], options), { _: [], id: "007", name: "12" });
    assert.deepEqual(parse(["--name", "--id=1e3", "-"], options), { _: ["-"], id: "1e3", name: "" });
  });

  Deno.test(`${from}: parseArgs gives every boolean a value, and lets it take none`, () => {
    const options = { boolean: ["quiet", "dry"], alias: { quiet: "q" } };
    assert.deepEqual(parse(["--quiet", "file"], options), { _: ["file"], quiet: true, q: true, dry: false });
    assert.deepEqual(parse(["-q", "--dry=false"], options), { _: [], quiet: true, q: true, dry: false });
    assert.deepEqual(parse(["--dry", "true"], options), { _: [], quiet: false, q: false, dry: true });
  });

  Deno.test(`${from}: parseArgs takes grouped short options`, () => {
    assert.deepEqual(parse(["-abc", "x"], { boolean: ["a", "b"] }), { _: [], a: true, b: true, c: "x" });
    assert.deepEqual(parse(["-ac=x"]), { _: [], a: "x" });
  });

  Deno.test(`${from}: parseArgs keeps the last value, or with collect all of them`, () => {
    assert.deepEqual(parse(["--set", "a", "--set", "b"]), { _: [], set: "b" });
    const options = { string: ["set"], boolean: ["v"], collect: ["set", "v"] };
    assert.deepEqual(parse(["--set=a", "-v", "--set", "b", "-vv"], options), {
      _: [],
      set: ["a", "b"],
      v: [true, true, true],
    });
    assert.deepEqual(parse([], options), { _: [], set: [], v: [] });
  });

  Deno.test(`${from}: parseArgs sets every alias`, () => {
    const options = { string: ["config"], alias: { config: ["c", "conf"] } };
    assert.deepEqual(parse(["-c", "x"], options), { _: [], config: "x", c: "x", conf: "x" });
    const defaults = { ...options, default: { config: "d" } };
    assert.deepEqual(parse([], defaults), { _: [], config: "d", c: "d", conf: "d" });
    assert.deepEqual(parse(["--conf=x"], defaults), { _: [], config: "x", c: "x", conf: "x" });
  });

  Deno.test(`${from}: parseArgs negates only what is negatable`, () => {
    const options = { boolean: ["color"], default: { color: true }, negatable: ["color"] };
    assert.deepEqual(parse(["--no-color"], options), { _: [], color: false });
    assert.deepEqual(parse([], options), { _: [], color: true });
    assert.deepEqual(parse(["--no-other"], options), { _: [], color: true, "no-other": true });
  });

  Deno.test(`${from}: parseArgs stops at the first argument that is no option with stopEarly`, () => {
    const options = { boolean: ["v"], stopEarly: true };
    assert.deepEqual(parse(["-v", "run", "--flag", "-x"], options), { _: ["run", "--flag", "-x"], v: true });
  });

  Deno.test(`${from}: parseArgs reads nothing after --, and keeps it apart if asked to`, () => {
    assert.deepEqual(parse(["a", "--", "--b", "5"]), { _: ["a", "--b", "5"] });
    assert.deepEqual(parse(["a", "--", "--b", "5"], { "--": true }), { _: ["a"], "--": ["--b", "5"] });
    const exec = { "--": true, stopEarly: true, boolean: ["v"] };
    assert.deepEqual(parse(["exec", "-v", "--", "ls", "-l"], exec), {
      _: ["exec", "-v"],
      v: false,
      "--": ["ls", "-l"],
    });
  });

  Deno.test(`${from}: parseArgs tells of what is unknown, and leaves it out where the answer is false`, () => {
    const told: unknown[][] = [];
    const unknown = (...call: unknown[]) => {
      told.push(call);
      return call[0] !== "--bad=1";
    };
    const args = ["--known", "a", "--bad=1", "--odd", "2", "file"];
    assert.deepEqual(parse(args, { string: ["known"], unknown }), { _: ["file"], known: "a", odd: 2 });
    assert.deepEqual(told, [["--bad=1", "bad", "1"], ["--odd", "odd", "2"], ["file"]]);
  });

  Deno.test(`${from}: parseArgs nests dotted names, and cannot be made to change a prototype`, () => {
    assert.deepEqual(parse(["--a.b.c=1", "--a.d", "x"]), { _: [], a: { b: { c: 1 }, d: "x" } });
    parse(["--__proto__.polluted=1", "--constructor.prototype.polluted=1"]);
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
}

function streamsClaims(
  from: string,
  { mergeReadableStreams, TextLineStream, toText }: typeof offlineStreams,
): void {
  const lines = (chunks: string[], options?: { allowCR?: boolean }) =>
    Array.fromAsync(ReadableStream.from(chunks).pipeThrough(new TextLineStream(options)));

  Deno.test(`${from}: TextLineStream yields the same lines however the text is cut`, async () => {
    const text = "one\ntwo\r\n\nfo\rur\r\nlast";
    for (let size = 1; size <= text.length; size++) {
      const chunks = text.match(new RegExp(`[^]{1,${size}}`, "g"))!;
      assert.deepEqual(await lines(chunks), ["one", "two", "", "fo\rur", "last"], `chunks of ${size}`);
      const all = await lines(chunks, { allowCR: true });
      assert.deepEqual(all, ["one", "two", "", "fo", "ur", "last"], `chunks of ${size}, with CR`);
    }
  });

  Deno.test(`${from}: TextLineStream makes no line of what follows the last end of line, if that is nothing`, async () => {
    assert.deepEqual(await lines([]), []);
    assert.deepEqual(await lines(["\n"]), [""]);
    assert.deepEqual(await lines(["a", "\n"]), ["a"]);
  });

  Deno.test(`${from}: toText joins strings, and decodes bytes that are cut within a character`, async () => {
    assert.equal(await toText(ReadableStream.from(["a", "b"])), "ab");
    const bytes = [...new TextEncoder().encode("a€b")].map((byte) => new Uint8Array([byte]));
    assert.equal(await toText(ReadableStream.from(bytes)), "a€b");
  });

  Deno.test(`${from}: mergeReadableStreams has every chunk, and fails when a stream does`, async () => {
    const merged = mergeReadableStreams(ReadableStream.from([1, 2]), ReadableStream.from([3]));
    assert.deepEqual((await Array.fromAsync(merged)).toSorted(), [1, 2, 3]);
    assert.deepEqual(await Array.fromAsync(mergeReadableStreams()), []);
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error("broken")) });
    await assert.rejects(Array.fromAsync(mergeReadableStreams(ReadableStream.from([1]), broken)), {
      message: "broken",
    });
  });
}

function tomlClaims(from: string, { parse, stringify }: typeof offlineToml): void {
  /** Without prototypes, which are not promised. */
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== "object" || value === null || value instanceof Date) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  };

  Deno.test(`${from}: parse reads tables, arrays of tables, inline tables and dotted keys`, () => {
    const text = `# comment
      title = "relay" # another
      a.b = 1
      "quoted key" = 'literal \\n'
      inline = { x = 1, y.z = [true, false], }
      list = [
        1, # one
        2,
      ]
      [plugins.relay-client]
      address = "localhost:50051"
      [plugins."with space"]
      [[output]]
      name = "csv"
      [[output]]
      name = "sqlite"
      [output.options]
      wal = true
    `.replace(", }", " }");
    assert.deepEqual(plain(parse(text)), {
      title: "relay",
      a: { b: 1 },
      "quoted key": "literal \\n",
      inline: { x: 1, y: { z: [true, false] } },
      list: [1, 2],
      plugins: { "relay-client": { address: "localhost:50051" }, "with space": {} },
      output: [{ name: "csv" }, { name: "sqlite", options: { wal: true } }],
    });
    assert.deepEqual(plain(parse("")), {});
  });

  Deno.test(`${from}: parse reads numbers, and integers beyond 2^53 with what precision a number has`, () => {
    const text = "a=+1_000\nb=0xfF\nc=0o17\nd=0b11\ne=6.02e23\nf=-inf\ng=9223372036854775807\nh=-0.5";
    assert.deepEqual(plain(parse(text)), {
      a: 1000,
      b: 255,
      c: 15,
      d: 3,
      e: 6.02e23,
      f: -Infinity,
      g: 9223372036854775807,
      h: -0.5,
    });
    assert.ok(Number.isNaN(parse("a = nan").a));
  });

  Deno.test(`${from}: parse reads strings`, () => {
    const text = String.raw`a = "tab\t\"\u00e9"` + `\nb = """\nline 1\nline 2"""\nc = '''\nraw \\'''\n` +
      'd = """a \\\n   b"""\n';
    assert.deepEqual(plain(parse(text)), { a: 'tab\t"é', b: "line 1\nline 2", c: "raw \\", d: "a b" });
  });

  Deno.test(`${from}: parse reads dates as Date, and times of day as text`, () => {
    const text = "a = 1979-05-27T07:32:00Z\nb = 1979-05-27 07:32:00.5-07:00\nc = 1979-05-27\n" +
      "d = 1979-05-27T07:32:00\ne = 07:32:00\nf = 07:32:00.25";
    assert.deepEqual(plain(parse(text)), {
      a: new Date("1979-05-27T07:32:00Z"),
      b: new Date("1979-05-27T14:32:00.500Z"),
      c: new Date("1979-05-27T00:00:00Z"),
      d: new Date("1979-05-27T07:32:00"),
      e: "07:32:00",
      f: "07:32:00.25",
    });
  });

  Deno.test(`${from}: what parse cannot read is a SyntaxError with line and column`, () => {
    const cases = {
      "a = ": "line 1, column 4",
      "x = 1\na = @@\n": "line 2, column 4",
      "[table\nx = 1": "line 1, column ",
      "a = 1\n\n  foo bar\n": "line 3, column 6",
      "[a]\nb = 1\n= 3\n": "line 3, column 0",
      'a = "\\q"': "line 1, column 6",
      "a = [1, 2": "line 1, column 9",
      "a = 1\nb = 'open": "line 2, column ",
    };
    for (const [text, place] of Object.entries(cases)) {
      assert.throws(() => parse(text), (error: unknown) => {
        assert.ok(error instanceof SyntaxError);
        assert.ok(
          error.message.startsWith(`Parse error on ${place}`),
          `${JSON.stringify(text)}: ${error.message}`,
        );
        return true;
      });
    }
  });

  Deno.test(`${from}: stringify writes values before tables, and an empty line before each table`, () => {
    const value = {
      server: { port: 1, tls: { cert: "a b" } },
      name: 'q"\n',
      list: [1, 2.5],
      empty: {},
      out: [{ a: true }, { b: { c: new Date(0) } }],
      mixed: [{ x: 1 }, "y"],
      "key with space": Infinity,
    };
    assert.equal(
      stringify(value),
      `name = "q\\"\\n"
list = [1,2.5]
mixed = [{x = 1},"y"]
"key with space" = inf

[server]
port = 1

[server.tls]
cert = "a b"

[empty]

[[out]]
a = true

[[out]]

[out.b]
c = 1970-01-01T00:00:00.000
`,
    );
    assert.equal(stringify({}), "");
    assert.equal(stringify({ a: { b: { c: 1 } } }), "\n[a.b]\nc = 1\n");
    assert.equal(stringify({ a: 1, long: 2 }, { keyAlignment: true }), "a    = 1\nlong = 2\n");
  });

  Deno.test(`${from}: parse reads what stringify wrote`, () => {
    const value = {
      n: -1.5,
      s: "\u0000\"'\\é€😀\n",
      list: [["a"], []],
      t: { "": { "a.b": false } },
      tables: [{}, { x: [1] }],
      "__proto__x": 1,
    };
    assert.deepEqual(plain(parse(stringify(value))), value);
  });
}

asyncClaims("@std/async", stdAsync);
asyncClaims("offline/async", offlineAsync);
cliClaims("@std/cli", (args, options) => stdCli.parseArgs(args, options as stdCli.ParseOptions));
cliClaims("offline/cli", offlineCli.parseArgs);
streamsClaims("@std/streams", stdStreams);
streamsClaims("offline/streams", offlineStreams);
tomlClaims("@std/toml", stdToml);
tomlClaims("offline/toml", offlineToml);

Deno.test("@std/cli: the type of what parseArgs returns follows from its options", () => {
  const args = stdCli.parseArgs(["--config=x", "--set=a", "-h"], {
    string: ["config", "set", "host"],
    boolean: ["help"],
    collect: ["set"],
    default: { host: "localhost" },
    alias: { help: "h" },
    "--": true,
  });
  const config: string | undefined = args.config;
  const set: string[] = args.set;
  const help: boolean = args.help && args.h;
  const host: string = args.host;
  const rest: string[] = args["--"];
  assert.deepEqual([config, set, help, host, rest], ["x", ["a"], true, "localhost", []]);
});
