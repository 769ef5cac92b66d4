import assert from "node:assert/strict";
import { addressProblem } from "../../lib/net/address.ts";
import { textOf } from "../../lib/http/answer.ts";
import { RequestBody } from "../../lib/http/body.ts";
import { adviseHttp, DEFAULT_HTTP_ADDRESS, http } from "../../lib/http/config.ts";
import { type BodyFraming, HttpError } from "../../lib/http/head.ts";

/** A body that comes in pieces of this length, and what is left on its connection. */
function bodyOf(framing: BodyFraming, text: string, pieceBytes = 1000) {
  const sent = new TextEncoder().encode(text);
  const taken = { begun: 0, left: () => text.slice(at) };
  let at = 0;
  const source = {
    read(into: Uint8Array) {
      const piece = sent.subarray(at, at + Math.min(into.length, pieceBytes));
      if (piece.length === 0) return Promise.reject(new Error("the connection ended"));
      into.set(piece);
      at += piece.length;
      return Promise.resolve(piece.length);
    },
  };
  const body = new RequestBody(framing, source, () => {
    taken.begun++;
    return Promise.resolve();
  });
  return { body, taken };
}

const read = async (framing: BodyFraming, text: string, maxBytes = 1_000_000) =>
  new TextDecoder().decode(await bodyOf(framing, text).body.read(maxBytes));

const refuses = (framing: BodyFraming, text: string, status: number, message: RegExp, maxBytes?: number) =>
  assert.rejects(
    read(framing, text, maxBytes),
    (error) => error instanceof HttpError && error.status === status && message.test(error.message),
    text.slice(0, 40),
  );

Deno.test("a body is read once, from its first byte to its last, in pieces of any length", async () => {
  for (
    const [framing, text] of [[5, "helloGET"], [
      "chunked",
      "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\nGET",
    ]] as const
  ) {
    for (const pieceBytes of [1, 2, 1000]) {
      const { body, taken } = bodyOf(framing, text, pieceBytes);
      assert.deepEqual([body.isRead, taken.begun], [false, 0]);
      assert.equal(new TextDecoder().decode(await body.read(5)), "hello");
      assert.deepEqual([body.isRead, taken.begun, taken.left()], [true, 1, "GET"]);
      assert.equal((await body.read(5)).length, 0);
      assert.deepEqual([taken.begun, taken.left()], [1, "GET"]);
    }
  }
  const lengths = (["chunked", 0, 5] as const).map((framing) => bodyOf(framing, "").body);
  assert.deepEqual(lengths.map(({ length, isRead }) => [length, isRead]), [
    [undefined, false],
    [0, true],
    [5, false],
  ]);
});

Deno.test("a body may have as many bytes as are allowed, and is refused with one more before it is read", async () => {
  const { body, taken } = bodyOf(6, "hello!");
  await assert.rejects(body.read(5), { status: 413, message: "The body has more than 5 bytes." });
  assert.deepEqual([taken.begun, taken.left(), body.isRead], [0, "hello!", false]);
  assert.equal(await read("chunked", "3\n123\n2\n45\n0\n\n", 5), "12345");
  await refuses("chunked", "3\n123\n3\n456\n0\n\n", 413, /more than 5 bytes/, 5);
});

Deno.test("the length of a chunk is hexadecimal, and must be true", async () => {
  const sixteen = "0123456789abcdef";
  assert.equal(
    await read("chunked", `10 \t\r\n${sixteen}\r\n0a\r\n${sixteen.slice(6)}\r\n00\r\n\r\n`),
    sixteen + sixteen.slice(6),
  );
  for (const size of ["", "x", "-1", "0x1", "123456789"]) {
    await refuses("chunked", `${size}\r\n`, 400, /no size/);
  }
  await refuses("chunked", "2\r\nabc\n\r\n0\r\n\r\n", 400, /another size/);
  await refuses("chunked", "2\r\nabc\r\n\r\n0\r\n\r\n", 400, /too long/);
});

Deno.test("lines around chunks have limits: 1 KiB before each, 16 KiB in all behind the last one", async () => {
  const line = (length: number) => ";".padEnd(length, "x");
  assert.equal(await read("chunked", `0${line(1022)}\n\n`), "");
  await refuses("chunked", `0${line(1023)}\n\n`, 400, /too long/);
  const kib = `${line(1024)}\n`;
  assert.equal(await read("chunked", `0\n${kib.repeat(15)}${line(1023)}\n\n`), "");
  await refuses("chunked", `0\n${kib.repeat(16)}\n`, 400, /too long/);
  await refuses("chunked", `0\n${kib.repeat(14)}${line(2048)}\n\n`, 400, /too long/);
});

Deno.test("an answer is read as text, up to its limit, wherever its characters are cut", async () => {
  const answer = (...chunks: Uint8Array<ArrayBuffer>[]) => new Response(ReadableStream.from(chunks));
  const bytes = new TextEncoder().encode("é€");
  const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
  assert.equal(await textOf(answer(...pieces), 5), "é€");
  await assert.rejects(textOf(answer(...pieces), 4), { message: "the answer is longer than 4 bytes" });
  assert.equal(await textOf(answer(bytes.subarray(0, 4)), 5), "é\ufffd");
  assert.equal(await textOf(new Response(null), 0), "");
});

Deno.test("a page that others can reach is refused without a lock, and noted without TLS", () => {
  const problems = (value: unknown) => {
    const found: string[] = [];
    http.check(value, ["http"], ({ path, message }) => found.push(`${path.join(".")}: ${message}`));
    return found;
  };
  assert.deepEqual(problems({ token: "a", token_file: "b" }), [
    "http.token_file: cannot be combined with token",
  ]);
  for (
    const lock of [{ token: "a" }, { token_file: "b" }, { allow: ["10.0.0.0/8"] }, {
      tls: { client_ca: "ca", cert: "c", key: "k" },
    }]
  ) {
    assert.deepEqual(problems({ address: "0.0.0.0:1", ...lock }), [], JSON.stringify(lock));
  }
  const open = [
    "http.address: shows the page to everybody on the network: set token, token_file or allow, or listen on 127.0.0.1",
  ];
  for (const address of ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"]) assert.deepEqual(problems({ address }), open);
  for (const address of [undefined, "127.0.0.1:0", "[::1]:1"]) assert.deepEqual(problems({ address }), []);
  assert.equal(addressProblem(DEFAULT_HTTP_ADDRESS, { listen: true }), undefined);
  assert.equal(problems({ address: "nowhere" }).length, 1);

  const noted = (address: string | undefined, cert = "") => {
    const config = http.defaultValue();
    return adviseHttp({ ...config, address, tls: { ...config.tls, cert } }).map(({ path }) => path);
  };
  assert.deepEqual(noted("0.0.0.0:1"), [["address"]]);
  for (const [address, cert] of [[undefined], ["127.0.0.1:1"], ["0.0.0.0:1", "c"]]) {
    assert.deepEqual(noted(address, cert), []);
  }
  // What `config regen` prints of them are texts.
  const docs = (key: typeof http.keys): string =>
    Object.values(key ?? {}).map(({ doc, keys }) => `${doc} ${docs(keys)}`).join(" ");
  assert.doesNotMatch(http.doc + docs(http.keys), /NaN/);
  assert.deepEqual(["enable", "address"].map((name) => http.keys![name].optional), [true, true]);
  assert.deepEqual(
    ["token", "token_file"].map((name) => [http.keys![name].secret, http.keys![name].secretFile]),
    [
      [true, undefined],
      [false, true],
    ],
  );
  assert.deepEqual(["allow", "memory"].map((name) => http.keys![name].defaultValue()), [[], 8 * 1024 ** 2]);
  assert.equal(http.keys!.enable.literal(undefined), "true");
});
