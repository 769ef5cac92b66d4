import assert from "node:assert/strict";
import { ApiError, type ApiOptions, PodApi } from "../../../lib/inputs/k8s/api.ts";
import { config, type K8sConfig } from "../../../lib/inputs/k8s/config.ts";
import { expiryOf, Token } from "../../../lib/inputs/k8s/token.ts";
import { type Authority, certificates } from "../../kit/certificates.ts";
import { type Answer, HttpPeer } from "../../kit/http.ts";
import { needs, openssl } from "../../kit/needs.ts";
import { TempDir } from "../../kit/temp_dir.ts";

const LIST = JSON.stringify({ items: [{ metadata: { uid: "u", name: "a", namespace: "b" } }] });
const never = new AbortController().signal;
const NOWHERE = { accountToken: "/nonexistent", accountCa: "/nonexistent" };

function apiWith(keys: Partial<K8sConfig>, options: ApiOptions = NOWHERE): PodApi {
  return new PodApi({ ...config.defaultValue(), k8s_node: "node 1", ...keys }, options);
}

async function problemOf(api: PodApi): Promise<string> {
  try {
    await api.list(never);
    return "none";
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error.advice === undefined ? error.message : `${error.message} (${error.advice})`;
  }
}

/** A token that says until when it is valid. */
const jwt = (exp: unknown) => `e30.${btoa(JSON.stringify({ exp })).replace(/=+$/, "")}.x`;

Deno.test({
  name: "the token goes to a server whose certificate the cluster's authority has signed, and to no other",
  ...needs(openssl),
  async fn(t) {
    await using dir = new TempDir();
    const authority: Authority = await certificates(dir);
    const other: Authority = await certificates(dir, "other-ca");
    const { cert, key } = await authority.issue("localhost");
    const tls = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
    await using server = new HttpPeer(() => new Response(LIST), 0, tls);
    await Deno.writeTextFile(dir.file("token"), "secret\n");
    const url = `https://localhost:${server.port}`;
    const options = { accountToken: dir.file("token"), accountCa: authority.ca };

    await t.step("as a pod has both", async () => {
      const { pods } = await apiWith({ k8s_api_url: url }, options).list(never);
      assert.equal(pods.get("u")?.name, "a");
      const [request] = server.requests;
      assert.equal(request.path, "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode+1");
      assert.equal(request.headers.get("authorization"), "Bearer secret");
    });
    await t.step("with a file of one's own, and the kubelet's address", async () => {
      const keys = { k8s_api_url: `${url}/pods`, ca_file: authority.ca };
      await apiWith(keys, { ...options, accountCa: other.ca }).list(never);
      assert.equal(server.requests.at(-1)!.path, "/pods");
    });
    const before = server.requests.length;
    await t.step("another authority", async () => {
      const problem = await problemOf(apiWith({ k8s_api_url: url }, { ...options, accountCa: other.ca }));
      assert.equal(
        problem,
        "the server's certificate is signed by an unknown CA (plugins.k8s.ca_file names the known ones)",
      );
    });
    await t.step("another name", async () => {
      const problem = await problemOf(apiWith({ k8s_api_url: `https://127.0.0.1:${server.port}` }, options));
      assert.match(problem, /^the server's certificate is for another name/);
    });
    assert.equal(server.requests.length, before, "nobody else has seen a request");
  },
});

Deno.test("a token is not sent without TLS, except on this machine, and a redirection does not get it", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(dir.file("token"), "secret\n");
  const token_retrieval = { file: dir.file("token"), kubectl: undefined };
  await using server = new HttpPeer(({ headers }) =>
    new Response(LIST, { status: headers.has("authorization") ? 200 : 401 })
  );
  await apiWith({ k8s_api_url: server.url, token_retrieval }).list(never);
  // The same machine by a name that does not say so.
  const far = `http://[::ffff:127.0.0.1]:${server.port}`;
  assert.equal(
    await problemOf(apiWith({ k8s_api_url: far, token_retrieval })),
    "HTTP 401: the token is not sent without TLS (use an https:// URL in plugins.k8s.k8s_api_url)",
  );
  assert.equal(server.requests.at(-1)!.headers.get("authorization"), null);
  await using redirecting = new HttpPeer(() => Response.redirect(server.url));
  assert.equal(await problemOf(apiWith({ k8s_api_url: redirecting.url, token_retrieval })), "HTTP 302");
  assert.equal(server.requests.length, 2);
});

Deno.test("what is wrong with an answer is said, with what to do about it", async () => {
  const cases: [Answer, RegExp][] = [
    [
      () => new Response("", { status: 401 }),
      /^HTTP 401: the token is not accepted \(see .*token_retrieval\)$/,
    ],
    [() => new Response("", { status: 403 }), /may not list pods \(kubectl create clusterrole/],
    [() => new Response("", { status: 500 }), /^HTTP 500$/],
    [() => new Response("<html>"), /^the answer is not JSON$/],
    [() => new Response("{}"), /^the answer is not a list of pods$/],
    [() => new Response(new Uint8Array(65 * 1024 * 1024)), /^the answer is longer than 67108864 bytes$/],
  ];
  await using server = new HttpPeer();
  for (const [answer, problem] of cases) {
    server.answer = answer;
    assert.match(await problemOf(apiWith({ k8s_api_url: server.url, token_retrieval: "auto" })), problem);
  }
  const closed = server.url;
  await server[Symbol.asyncDispose]();
  assert.match(
    await problemOf(apiWith({ k8s_api_url: closed })),
    /refused.*\(see plugins.k8s.k8s_api_url\)$/,
  );
});

Deno.test("an answer that does not come is given up when the input is closed", async () => {
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => asked = resolve);
  let answer = () => {};
  await using server = new HttpPeer(() => {
    asked();
    return new Promise((resolve) => answer = () => resolve(new Response(LIST)));
  });
  const closed = new AbortController();
  const list = apiWith({ k8s_api_url: server.url }).list(closed.signal);
  await isAsked;
  closed.abort();
  await assert.rejects(list);
  answer();
});

Deno.test("a token in a file is read for each request; one of kubectl is used until a minute before its end", async () => {
  await using dir = new TempDir();
  const path = dir.file("token");
  const file = new Token({ file: path, kubectl: undefined });
  await Deno.writeTextFile(path, "one\n");
  assert.equal(await file.get(never), "one");
  await Deno.writeTextFile(path, "two");
  assert.equal(await file.get(never), "two");
  await Deno.writeTextFile(path, "two\nlines");
  await assert.rejects(file.get(never), { message: `${path} is not a token: expected one line of text` });
  await assert.rejects(new Token("file", { accountToken: "/nonexistent" }).get(never), Deno.errors.NotFound);

  let now = 1000;
  const asked: string[] = [];
  const kubectl = new Token({ file: undefined, kubectl: { service_account: "sa", namespace: "ns" } }, {
    nowS: () => now,
    run: (program, args) => {
      asked.push([program, ...args].join(" "));
      return Promise.resolve(`${jwt(now + 3600)}\n`);
    },
  });
  const first = await kubectl.get(never);
  now += 3500;
  assert.equal(await kubectl.get(never), first);
  now += 60;
  assert.notEqual(await kubectl.get(never), first);
  kubectl.reject();
  await kubectl.get(never);
  assert.deepEqual(asked, Array(3).fill("kubectl create token sa -n ns"));
});

Deno.test("auto takes the service account's token, or else kubectl's, or none where neither is there", async () => {
  await using dir = new TempDir();
  await Deno.writeTextFile(dir.file("token"), "account");
  const run = () => Promise.resolve("kubectl");
  assert.equal(await new Token("auto", { accountToken: dir.file("token"), run }).get(never), "account");
  assert.equal(await new Token("auto", { accountToken: "/nonexistent", run }).get(never), "kubectl");
  const missing = () => Promise.reject(new Deno.errors.NotFound("kubectl"));
  assert.equal(await new Token("auto", { accountToken: "/nonexistent", run: missing }).get(never), undefined);
  await assert.rejects(new Token("kubectl", { run: missing }).get(never), Deno.errors.NotFound);
  const isUnneeded = true;
  assert.equal(
    await new Token("auto", { accountToken: "/nonexistent", run, isUnneeded }).get(never),
    undefined,
  );
});

Deno.test("only a whole number of seconds in a JWT is the end of a token", () => {
  assert.equal(expiryOf(jwt(5)), 5);
  for (const token of ["", "opaque", "a.b.c", jwt("5"), jwt(null), `e30.${btoa("null")}.x`]) {
    assert.equal(expiryOf(token), undefined, token);
  }
});
