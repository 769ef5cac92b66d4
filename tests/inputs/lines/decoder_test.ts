import assert from "node:assert/strict";
import { MetricRegistry } from "../../../lib/points/registry.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { Decoding, encode, pointsOf, problemsOf } from "./decoding.ts";

Deno.test("the measurement and the field are the metric, and the field value is the measurement alone", () => {
  assert.deepEqual(pointsOf("power value=1.5 3000000001\ncpu,host=a user=2,idle=98 3000000000\n"), [
    "power 1.5 @3.000000001",
    "cpu_user {host=a} 2 @3",
    "cpu_idle {host=a} 98 @3",
  ]);
});

Deno.test("numbers, integers and truth are values, texts are not, and only an unsigned metric is u64", () => {
  assert.deepEqual(
    pointsOf('m a=-1.5e3,b=7i,c=-7i,d=18446744073709551615u,e=t,f=FALSE,g="te,x t=\\" ",h=.5 0'),
    [
      "m_a -1500 @0",
      "m_b 7 @0",
      "m_c -7 @0",
      "m_d 18446744073709551615u @0",
      "m_e 1 @0",
      "m_f 0 @0",
      "m_h 0.5 @0",
    ],
  );
});

Deno.test("a backslash stands before characters that belong to a text, and before others for itself", () => {
  assert.deepEqual(pointsOf("a\\,\\ b,t\\=\\ x=c\\,\\=\\ d\\e f\\=\\ g=1 0\n"), [
    "a, b_f= g {t= x=c,= d\\e} 1 @0",
  ]);
});

Deno.test("tags with the names of resource and consumer are those, and nobody is a client by a tag", () => {
  assert.deepEqual(
    pointsOf(
      "m,resource_kind=gpu,resource_id=0,consumer_kind=process,consumer_id=17,relay_client=x,a=b value=1 0\n" +
        "m,resource_kind=gpu,resource_consumer_kind=process,resource_consumer_id=18 value=2 0\n",
    ),
    ["m gpu/0 process/17 {a=b} 1 @0", "m gpu/ process/18 2 @0"],
  );
});

Deno.test("rules give unit, type, resource and consumer, each from the first rule that has it", () => {
  const rules = [
    { metric: "gpu_power", unit: "mW" },
    { metric: "gpu_*", unit: "°C", resource: "gpu/{gpu}", consumer: "job/{job}" },
    { metric: "count", type: "u64" },
  ];
  assert.deepEqual(pointsOf("gpu,gpu=1,job=7,x=y power=3,temperature=50 0\ncount value=3 0\n", { rules }), [
    "gpu_power[milliW] gpu/1 job/7 {x=y} 3 @0",
    "gpu_temperature[Cel] gpu/1 job/7 {x=y} 50 @0",
    "count 3u @0",
  ]);
});

Deno.test("times are in the given unit, and lines without one come one nanosecond after the other", () => {
  assert.deepEqual(pointsOf("a value=1 1795608000123\n", { scale: 1000 }), ["a 1 @1795608000.123"]);
  assert.deepEqual(pointsOf("a value=1 2\n", { scale: "h" }), ["a 1 @7200"]);
  assert.deepEqual(pointsOf("a value=1 5\n", { scale: 1_000_000 }), ["a 1 @0.000005"]);
  assert.deepEqual(pointsOf("a value=1\na value=2\n"), ["a 1 @1", "a 2 @1.000000001"]);
});

Deno.test("a bad line costs itself, and is named by its number", () => {
  const text =
    "a value=1 0\n\n# comment\nnothing\nb value=x 0\nb =1\nb value=1 -5\nb value=1 5 6\nb,c value=1 0\n" +
    ',x=y v=1\nb value=1e999 0\nb value=1.5i 0\nb value=-1u 0\nb value="x\nb\u00ff value=1 0\n';
  assert.deepEqual(problemsOf(text), [
    "4: it has no fields",
    "5: the value of a field is not a number, true, false or a text in quotes",
    "6: a field has no name",
    "7: its time is not a whole number after 1970 and before 10000",
    "8: there is more behind its time",
    "9: a tag is not NAME=VALUE",
    "10: it has no measurement",
    "11: the value of a field is not finite",
    "12: the value of a field is not a valid integer",
    "13: an unsigned value is negative",
    "14: a text has no end",
  ]);
  assert.deepEqual(
    problemsOf('{"value": 1}\n{"metric": "a", "value": "x"}\n{"metric": "a", "valeu": 1}\n{\n'),
    [
      '1: it has no "metric"',
      '2: the value of "value" is not a number',
      '3: it has an unknown key "valeu"',
      "4: it is not JSON",
    ],
  );
});

Deno.test("a line with bytes that are not UTF-8, or more fields than a line may have, is bad", () => {
  const decoding = new Decoding({ maxLineBytes: 65_536 });
  decoding.give(Uint8Array.from([...encode("a,b="), 0xff, ...encode(" value=1 0\n")]));
  decoding.give(encode(`a ${Array.from({ length: 1025 }, (_, i) => `f${i}=1`).join(",")} 0\na value=1 0\n`));
  assert.deepEqual(decoding.problems, ["1: it is not UTF-8", "2: it has more than 1024 fields"]);
  assert.deepEqual(decoding.take(), ["a 1 @0"]);
});

Deno.test("a metric whose type changes, a name that is too long and one metric too many cost their own points", () => {
  const rules = [{ metric: "count", type: "u64" }];
  const decoding = new Decoding({ rules, maxMetrics: 3 });
  decoding.give(encode("count value=1,other=2 0\ncount value=1.5,other=2.5 0\ncount value=3,other=3 0\n"));
  decoding.give(encode(`m ${"x".repeat(30)}=1,y=2 0\nm z=1,y=3 0\n`));
  assert.deepEqual(decoding.take(), [
    "count 1u @0",
    "count_other 2 @0",
    "count_other 2.5 @0",
    "count 3u @0",
    "count_other 3 @0",
    "m_y 2 @0",
    "m_y 3 @0",
  ]);
  assert.deepEqual(decoding.problems, [
    "2 (point): 1.5 is not a whole number from 0 on, as values of count are (u64)",
    "4 (point): the name of a metric has more than 25 bytes",
    "5 (point): there are 3 metrics already (limits.metrics)",
  ]);
});

Deno.test("a metric that another input has with another unit gets the name of this input behind its own", () => {
  const registry = new MetricRegistry();
  registry.register({ name: "mem", type: "u64", unit: { base: "By", prefix: "" } });
  assert.deepEqual(pointsOf("mem value=1 0\n", { registry }), ["mem_lines 1 @0"]);
});

Deno.test("a line that is too long is left out up to its end, in whatever pieces it comes", () => {
  for (const piece of [1, 7, 100_000]) {
    const decoding = new Decoding({ maxLineBytes: 70 });
    decoding.give(encode(`a value=1 0\n${"b".repeat(70_000)} value=2 0\nc value=3 0\n`), piece);
    if (piece < 1000) {
      assert.deepEqual(decoding.problems, ["2: it is longer than 70 bytes (limits.line_length)"]);
      assert.deepEqual(decoding.take(), ["a 1 @0", "c 3 @0"]);
    }
  }
});

Deno.test("the points are the same however the bytes are cut, and whatever was known before", () => {
  const chance = new Chance(7);
  const lines = Array.from({ length: 300 }, (_, i) => {
    const tags = chance.next() < 0.7 ? `,host=h${Math.floor(chance.next() * 5)},x=\\ y` : "";
    const text = chance.next() < 0.2 ? ',note="a\nb=1, "' : "";
    return chance.next() < 0.1
      ? `{"metric":"j","value":${i},"time":${i}}`
      : `m${i % 7}${tags} a=${(chance.next() * 1e6).toFixed(i % 5)}${text},b=${i}i ${i}`;
  });
  const bytes = encode(lines.join("\n") + "\n");
  const whole = new Decoding();
  const expected = whole.give(bytes).take();
  assert.deepEqual(whole.problems, []);
  assert.ok(expected.length > 500);
  assert.deepEqual(whole.give(bytes).take(), expected);
  for (const piece of [1, 2, 3, 11, 64, 1000]) {
    assert.deepEqual(new Decoding().give(bytes, piece).take(), expected, `in pieces of ${piece}`);
  }
});

Deno.test("changed bytes never end the decoder, and lines behind them are read", () => {
  const original = encode(
    'm,host=a,b=c value=1.5,x="t",n=7i,u=3u,b=true 1795608000000000000\n{"metric":"j","value":1}\n',
  );
  for (let seed = 0; seed < cases(100); seed++) {
    const chance = new Chance(seed);
    const bytes = original.slice();
    for (let n = 0; n < 3; n++) bytes[Math.floor(chance.next() * bytes.length)] = chance.next() * 256;
    const decoding = new Decoding();
    decoding.give(bytes, 1 + Math.floor(chance.next() * 50));
    decoding.give(encode('"\n"\nlast value=1 0\nlast value=2 0\n'));
    assert.ok(decoding.take().includes("last 2 @0"), `seed ${seed}: ${new TextDecoder().decode(bytes)}`);
  }
});

Deno.test("series that were given back are found again, under their new numbers", () => {
  const decoding = new Decoding();
  decoding.store.poison();
  const line = encode("a,b=c value=1 0\n");
  assert.deepEqual(decoding.give(line).take(), ["a {b=c} 1 @0"]);
  for (let i = 0; i < 80; i++) decoding.store.tick();
  assert.equal(decoding.store.size, 0);
  assert.deepEqual(decoding.give(line).take(), ["a {b=c} 1 @0"]);
});

Deno.test("a number may be cut anywhere, also in its exponent", () => {
  const line = "m a=-1.5e+3,b=+2E-2,c=7e1,d=12345678901234567890u,e=-3i,f=true,g=F 1000000000\n";
  const bytes = encode(`a value=1 0\n${line}`);
  const expected = new Decoding().give(bytes).take();
  assert.equal(expected.length, 8);
  for (let cut = 13; cut < bytes.length; cut++) {
    const decoding = new Decoding();
    decoding.give(bytes.subarray(0, cut)).give(bytes.subarray(cut));
    assert.deepEqual(decoding.problems, [], new TextDecoder().decode(bytes.subarray(12, cut)));
    assert.deepEqual(decoding.take(), expected);
  }
});

Deno.test("lines may end as on Windows, and begin with blanks", () => {
  assert.deepEqual(
    pointsOf(
      "a value=1 5\r\n\r\n  b value=2\r\n\t c value=3 \r\n \t\r\nd  value=4   6 \r\n# e\r\nf value=5 7",
    ),
    ["a 1 @0.000000005", "b 2 @1", "c 3 @1.000000001", "d 4 @0.000000006", "f 5 @0.000000007"],
  );
});

Deno.test("a u64 takes whole numbers of a float up to 2^53, where they are no longer exact", () => {
  const decoding = new Decoding({ rules: [{ type: "u64" }] });
  decoding.give(
    encode("a value=9007199254740992 0\na value=9007199254740994 0\na value=1e16 0\na value=-0.0 0\n"),
  );
  assert.deepEqual(decoding.take(), ["a 9007199254740992u @0", "a 0u @0"]);
  assert.deepEqual(decoding.problems.map((text) => text.slice(0, 40)), [
    "2 (point): 9007199254740994 is not a who",
    "3 (point): 10000000000000000 is not a wh",
  ]);
});

Deno.test("a line may have as many bytes as the limit says, with its line break", () => {
  for (const [length, isTaken] of [[69, true], [70, false]] as const) {
    const decoding = new Decoding({ maxLineBytes: 70 });
    const bytes = encode(`a ${"f".repeat(length - 6)}=1 0\n`);
    decoding.give(bytes.subarray(0, length));
    assert.equal(decoding.stream.pendingBytes, isTaken ? length : 0);
    decoding.give(bytes.subarray(length));
    assert.equal(decoding.stream.pendingBytes, 0);
    assert.equal(
      decoding.problems.filter((text) => text.includes("longer than 70 bytes")).length,
      isTaken ? 0 : 1,
    );
  }
});

Deno.test("a line that is too long is left out at the end of a stream, too", () => {
  for (const rest of ["", " value=2 0", " value=2 0\nc value=3 0", "\nc value=3 0"]) {
    const decoding = new Decoding({ maxLineBytes: 70 });
    decoding.give(encode(`a value=1 0\n${"b".repeat(100)}`), 80).give(encode(rest));
    decoding.stream.end();
    assert.deepEqual(decoding.problems, ["2: it is longer than 70 bytes (limits.line_length)"]);
    assert.deepEqual(decoding.take(), rest.includes("c") ? ["a 1 @0", "c 3 @0"] : ["a 1 @0"]);
  }
});

Deno.test("truth has five spellings, and may end a line", () => {
  for (const [texts, value] of [["t T true True TRUE", 1], ["f F false False FALSE", 0]] as const) {
    for (const text of texts.split(" ")) {
      for (const behind of ["", " 0", "\n", ",b=2 0", "\r\n"]) {
        assert.equal(
          pointsOf(`a value=${text}${behind}`)[0].replace(/ @.*/, ""),
          `a ${value}`,
          text + behind,
        );
      }
      assert.equal(problemsOf(`a value=${text}x 0\n`).length, 1);
    }
  }
  assert.equal(problemsOf("a value=tRUE 0\na value=truefalse 0\na value=falsey 0\n").length, 3);
});

Deno.test("a line has 1,024 fields at most, and a time before the year 10000", () => {
  const fields = (count: number) => Array.from({ length: count }, (_, i) => i);
  for (
    const line of [
      (count: number) => `m ${fields(count).map((i) => `f${i}=${i}`).join()} 0\n`,
      (count: number) =>
        `{"metric": "m", "time": 0, "fields": {${fields(count).map((i) => `"f${i}": ${i}`).join()}}}\n`,
    ]
  ) {
    assert.deepEqual(pointsOf(line(1024)), fields(1024).map((i) => `m_f${i} ${i} @0`));
    assert.deepEqual(problemsOf(line(1025)), ["1: it has more than 1024 fields"]);
  }
  assert.deepEqual(pointsOf("a value=1 253402300799999999999"), ["a 1 @253402300799.999999999"]);
  assert.match(problemsOf("a value=1 253402300800000000000").join(), /its time is not/);
});

Deno.test("lines without a time go on in the next second", () => {
  const decoding = new Decoding();
  decoding.clock.spend(0.999998 + 999);
  decoding.give(encode("a value=1\na value=2\na value=3\n"));
  assert.deepEqual(decoding.take(), ["a 1 @1.999999998", "a 2 @1.999999999", "a 3 @2"]);
});

Deno.test("points go on in further batches, and a batch holds its series and exact values", () => {
  const decoding = new Decoding();
  decoding.store.poison();
  decoding.give(encode("a value=1 0\n"));
  for (let i = 0; i < 80; i++) decoding.store.tick();
  assert.deepEqual(decoding.take(), ["a 1 @0"], "nobody has taken it yet");
  decoding.give(encode("a value=1 0\n".repeat(40)));
  const batches = decoding.takeBatches();
  assert.deepEqual(batches.map(({ length }) => length), [16, 16, 8]);
  for (const isReleased of [false, true]) {
    for (let i = 0; i < 80; i++) decoding.store.tick();
    assert.equal(decoding.store.size, isReleased ? 0 : 1);
    for (const batch of batches.splice(0)) batch.release();
  }
  const more = Array.from({ length: 14 }, (_, i) => `f${i}=1u`).join();
  decoding.give(encode(`b x=9007199254740993u,${more},z=9007199254740993i 0\n`));
  const [batch] = decoding.takeBatches();
  assert.deepEqual([...batch.exact!], [[0, 2n ** 53n + 1n]]);
  batch.release();
});

Deno.test("the memory of new series is said with the points that brought them", () => {
  const decoding = new Decoding();
  for (
    const [line, isNew] of [["a value=1 0\n", true], ["a value=2 0\n", false], [
      "b value=1 0\n",
      true,
    ]] as const
  ) {
    const { newBytes } = decoding.store;
    decoding.give(encode(line));
    const batches = decoding.takeBatches();
    assert.equal(
      batches.reduce((sum, batch) => sum + batch.newSeriesBytes, 0),
      decoding.store.newBytes - newBytes,
    );
    assert.equal(decoding.store.newBytes > newBytes, isNew);
    for (const batch of batches) batch.release();
  }
});

Deno.test("each series is looked up by its name once, in whatever order lines and fields come", () => {
  const decoding = new Decoding();
  for (const order of ["abc", "abc", "cba", "bac", "aab", "abc"]) {
    const fields = [...order].map((field) => `${field}=1`).join();
    decoding.give(encode([...order].map((head) => `m,t=${head} ${fields} 0\n`).join("")));
  }
  assert.equal(decoding.take().length, 6 * 9);
  assert.equal(decoding.lookups, 9);
});

Deno.test("when there are too many texts they are learned again, and the points are the same", () => {
  const lines = Array.from({ length: 40 }, (_, i) => `m,t=${i % 7} a=${i},b=${i}i,c${i % 3}="x",d=t ${i}\n`)
    .join("");
  const expected = new Decoding().give(encode(lines)).take();
  assert.equal(expected.length, 120);
  for (let maxTexts = 5; maxTexts < 12; maxTexts++) {
    const decoding = new Decoding({ maxTexts }).give(encode(lines));
    assert.deepEqual(decoding.problems, []);
    assert.deepEqual(decoding.take(), expected, `${maxTexts} texts`);
    assert.equal(decoding.stats.points, 120);
  }
});

Deno.test("the last line of a stream is bad where it is not complete, and says what it lacks", () => {
  for (
    const [line, problem] of [
      ["a", "it has no fields"],
      ["a ", "a field has no value"],
      ["a b", "a field has no value"],
      ["a value=", "a field has no value"],
      ["a b=1,", "a field has no value"],
      ['a value="x', "a text has no end"],
      ["a value=-", "the value of a field is not a number"],
      ["a value=1e", "the value of a field is not a number"],
      ["a value=tru", "the value of a field is not a number, true, false or a text in quotes"],
      ["a value=:", "the value of a field is not a number, true, false or a text in quotes"],
      ["{", "it is not JSON"],
    ]
  ) {
    assert.deepEqual(problemsOf(line), [`1: ${problem}`], line);
  }
  assert.deepEqual(pointsOf("a value=1,b=2"), ["a 1 @1", "a_b 2 @1"]);
  for (const text of ["", " ", "\n", "#", "# comment"]) assert.deepEqual(pointsOf(text), []);
});

Deno.test("an integer has a sign or none, and as many digits as its 64 bits need", () => {
  assert.deepEqual(
    pointsOf("m a=0u,b=+5i,c=+0000000000000005i,d=-9223372036854775808i,e=9007199254740993u,f=-0i 0"),
    [
      "m_a 0u @0",
      "m_b 5 @0",
      "m_c 5 @0",
      "m_d -9223372036854776000 @0",
      "m_e 9007199254740993u @0",
      "m_f 0 @0",
    ],
  );
  assert.deepEqual(pointsOf("m a=1e3i,b=1.0000000000000i 0"), ["m_a 1000 @0", "m_b 1 @0"], "15 characters");
  for (const value of ["18446744073709551616u", "1.00000000000000i", "1.5i", "1e400i"]) {
    assert.match(problemsOf(`m a=${value} 0`).join(), /is not a valid integer/, value);
  }
  assert.match(problemsOf("m a=-1u 0").join(), /an unsigned value is negative/);
});

Deno.test("fields whose value is a text are counted, and bytes of lines before are not read again", () => {
  const decoding = new Decoding().give(encode('a b="x",value=1,c="y" 0\n'));
  assert.deepEqual(decoding.take(), ["a 1 @0"]);
  assert.deepEqual({ ...decoding.stats }, { points: 1, badLines: 0, refusedPoints: 0, skippedTexts: 2 });
  for (const stale of ["a value=105i 0\n", "a value=1.5,b=2\n", "a value=1.5 7\n", "a value=1.53\n"]) {
    const decoding = new Decoding().give(encode(stale));
    decoding.take();
    decoding.give(encode("a value=1.5"));
    decoding.stream.end();
    assert.deepEqual(decoding.take(), ["a 1.5 @1"], stale);
    assert.deepEqual(decoding.problems, []);
  }
  const cut = new Decoding().give(encode('a b="xy"\n')).give(encode('a b="xy'));
  cut.stream.end();
  assert.deepEqual(cut.problems, ["2: a text has no end"]);
  const other = new Decoding().give(encode("a value=true\n")).give(encode("a value=t"));
  other.stream.end();
  assert.deepEqual(other.take().map((text) => text.replace(/ @.*/, "")), ["a 1", "a 1"]);
});

Deno.test("an internal error is not taken for a bad line", () => {
  const registry = new MetricRegistry();
  const internal = new TypeError("internal");
  registry.register = () => {
    throw internal;
  };
  assert.throws(() => new Decoding({ registry }).give(encode("a value=1 0\n")), internal);
});

Deno.test("nothing of a bad line, or of one that is not complete, is in the next one", () => {
  const large = "9007199254740993u";
  const next = '{"metric": "j", "value": 1, "time": 0}\nm a=5u,b=6u 0\nm a=7u 0\n';
  const expected = ["j 1 @0", "m_a 5u @0", "m_b 6u @0", "m_a 7u @0"];
  for (const bad of [`m b=1u,a=${large} x`, `m a=${large},b=${large} 1 x`, `m a=${large},="`]) {
    const decoding = new Decoding().give(encode(`m a=1u,b=1u 0\n${bad}\n`));
    decoding.take();
    assert.deepEqual(decoding.give(encode(next)).take(), expected, bad);
  }
  const whole = `m b=${large},a=1u 0\nm a=5u,b=${large} 0\n`;
  assert.deepEqual(pointsOf(whole).slice(2), ["m_a 5u @0", `m_b ${large} @0`]);
  // Streams of one input have one decoder.
  const decoding = new Decoding().give(encode(`m a=1u,b=1u 0\nm a=${large},b=${large}`));
  decoding.take();
  decoding.stream.drop();
  assert.deepEqual(decoding.give(encode(next)).take(), expected);
});

Deno.test("what a line lacks is counted once, however often the line is cut, and not at all where the line is bad", () => {
  const line = `m ${"x".repeat(30)}=1,a="t",b=1.5,${"y".repeat(30)}=t 0`;
  const bytes = encode(`c value=1 0\n${line}\n`);
  for (let cut = 12; cut < bytes.length; cut++) {
    const decoding = new Decoding().give(bytes.subarray(0, cut)).give(bytes.subarray(cut));
    assert.deepEqual(decoding.problems, [
      "2 (point): the name of a metric has more than 25 bytes",
      "2 (point): the name of a metric has more than 25 bytes",
    ]);
    assert.equal(decoding.stats.skippedTexts, 1);
    assert.equal(decoding.stats.points, 2);
  }
  const decoding = new Decoding().give(encode(`${line} x\n`));
  assert.deepEqual(decoding.problems, ["1: there is more behind its time"]);
  assert.equal(decoding.stats.skippedTexts, 0);
});

Deno.test("a head is a measurement and tags, and a field has a name and a value, in one line", () => {
  assert.deepEqual(pointsOf('\ufeffa-b,c-d=e-f g-h=1,i="",j="\\\\",k=2 0'), [
    "\ufeffa-b_g-h {c-d=e-f} 1 @0",
    "\ufeffa-b_k {c-d=e-f} 2 @0",
  ]);
  for (
    const [line, problem] of [
      ["m,=b value=1 0", "a tag is not NAME=VALUE"],
      ["m,a= value=1 0", "a tag is not NAME=VALUE"],
      ["m,a=b=c value=1 0", "a tag is not NAME=VALUE"],
      ["m, value=1 0", "a tag is not NAME=VALUE"],
      ["m b c=1 0", "a field has no value"],
      ["m b,c=1 0", "a field has no value"],
      ["m b", "a field has no value"],
      ["m a=1,=2 0", "a field has no name"],
    ]
  ) {
    const decoding = new Decoding().give(encode(`${line}\nlast=a value=1 0\n`));
    assert.deepEqual(decoding.problems, [`1: ${problem}`], line);
    assert.deepEqual(decoding.take(), ["last=a 1 @0"]);
  }
});
