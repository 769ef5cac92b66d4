/** InfluxData's own client libraries post to the input. They are in the folder INFLUXDB_CLIENTS: see .ci/run. */
import assert from "node:assert/strict";
import { makeToken } from "../../../lib/intake/admission/tokens.ts";
import { HttpPeer } from "../../kit/http.ts";
import { influxdbClients, needs } from "../../kit/needs.ts";
import { runProgram } from "../../kit/process.ts";
import { TempDir } from "../../kit/temp_dir.ts";
import { Taking } from "./taking.ts";

const CLIENTS = Deno.env.get("INFLUXDB_CLIENTS") ?? "";
const PYTHON = [`${CLIENTS}/python/bin/python3`, "-c"];
const NODE = ["node", "-e"];

/** Runs a script of a library, with the address and a token. @returns what it prints */
async function client(program: string[], script: string, url: string, token: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram([script], {
    program,
    env: { URL: url, PORT: new URL(url).port, TOKEN: token, NODE_PATH: `${CLIENTS}/node_modules` },
  });
  assert.equal(code, 0, stderr);
  return stdout.trim();
}

/** An input that needs a token, which `work` gets; it ends with the points. */
async function posting(work: (url: string, token: string) => Promise<void>, given = {}): Promise<string[]> {
  await using directory = new TempDir();
  const { token, line } = makeToken("client", false);
  Deno.writeTextFileSync(directory.file("tokens"), `${line}\n`);
  await using taking = await Taking.open({ http: "127.0.0.1:0", tokens: directory.file("tokens"), ...given });
  await work(taking.address("http"), token);
  return taking.points;
}

const V2 = `
import os
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
`;

Deno.test({
  name: "influxdb-client for Python writes points, packed or not, and is told about a bad line",
  ...needs(influxdbClients),
  async fn() {
    const points = await posting(async (url, token) => {
      const said = await client(
        PYTHON,
        `${V2}
for gzip in False, True:
    with InfluxDBClient(os.environ["URL"], os.environ["TOKEN"], org="any", enable_gzip=gzip) as client:
        assert client.ping()
        api = client.write_api(write_options=SYNCHRONOUS)
        api.write("any", record=Point("power").tag("host", "a b").field("value", 1.5).time(3))
        api.write("any", record=[Point("cpu").field("user", 2).field("busy", True).time(4)])
        try:
            api.write("any", record="a value=1 5\\nbad\\nb value=2 5")
        except ApiException as error:
            print(error.status, error.message)
with InfluxDBClient(os.environ["URL"], "wrong", org="any") as client:
    try:
        client.write_api(write_options=SYNCHRONOUS).write("any", record="a value=1 5")
    except ApiException as error:
        print(error.status)
`,
        url,
        token,
      );
      const lines = said.split("\n");
      assert.equal(lines.length, 3);
      assert.match(lines[0], /^400 .*unable to parse line 2: it has no fields; all other lines are written/);
      assert.equal(lines[2], "401");
    });
    const once = [
      "power {host=a b} 1.5 @0.000000003",
      "cpu_busy 1 @0.000000004",
      "cpu_user 2 @0.000000004",
      "a 1 @0.000000005",
      "b 2 @0.000000005",
    ];
    assert.deepEqual(points, [...once, ...once]);
  },
});

Deno.test({
  name: "influxdb-client for Python tries again what has no room, and sends a large batch in parts",
  ...needs(influxdbClients),
  async fn() {
    let refuses = 1;
    const points = await posting(async (url, token) => {
      // The first request gets the answer that a full pipe gives.
      await using peer = new HttpPeer(async ({ path, text, headers }) => {
        if (refuses-- > 0) return new Response(null, { status: 503, headers: { "retry-after": "1" } });
        const response = await fetch(`${url}${path}`, {
          method: "POST",
          body: text,
          headers: { authorization: headers.get("authorization")! },
        });
        return new Response(await response.text() || null, { status: response.status });
      });
      await client(
        PYTHON,
        `${V2}
from influxdb_client import WriteOptions
with InfluxDBClient(os.environ["URL"], os.environ["TOKEN"], org="any") as client:
    with client.write_api(write_options=WriteOptions(batch_size=700, max_retry_time=60000)) as api:
        api.write("any", record=[Point("n").field("value", float(i)).time(i) for i in range(2000)])
`,
        peer.url,
        token,
      );
    });
    const values = points.map((text) => Number(text.split(" ")[1])).sort((a, b) => a - b);
    assert.deepEqual(values, Array.from({ length: 2000 }, (_, i) => i));
  },
});

Deno.test({
  name: "influxdb for Python (version 1) creates its database and writes with its password",
  ...needs(influxdbClients),
  async fn() {
    const points = await posting(async (url, token) => {
      const said = await client(
        PYTHON,
        `
import os
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError
client = InfluxDBClient("127.0.0.1", int(os.environ["PORT"]), "user", os.environ["TOKEN"], "any")
print(client.ping())
client.create_database("any")
client.write_points([{"measurement": "power", "tags": {"host": "a"}, "time": 7, "fields": {"value": 1.5, "n": 3}}],
                    time_precision="s")
client.write(["c value=1 5", "bad"], {"db": "any", "precision": "s"}, protocol="line", expected_response_code=400)
try:
    client.write_points(["d value=1 5", "bad"], protocol="line")
except InfluxDBClientError as error:
    print(error.code, error.content)
`,
        url,
        token,
      );
      assert.match(said, /^1\.8\.10\n400 .*partial write: unable to parse line 2/);
    });
    assert.deepEqual(points, [
      "power_n {host=a} 3 @7",
      "power {host=a} 1.5 @7",
      "c 1 @5",
      "d 1 @0.000000005",
    ]);
  },
});

Deno.test({
  name: "@influxdata/influxdb-client for Node.js writes points and is told about a bad line",
  ...needs(influxdbClients),
  async fn() {
    const points = await posting(async (url, token) => {
      const said = await client(
        NODE,
        `
const { InfluxDB, Point } = require("@influxdata/influxdb-client");
const { URL: url, TOKEN: token } = process.env;
(async () => {
  const api = new InfluxDB({ url, token }).getWriteApi("any", "any", "ms", { gzipThreshold: 10 });
  for (let i = 0; i < 3; i++) api.writePoint(new Point("m").tag("t", "x").floatField("value", i).timestamp(1000 + i));
  await api.close();
  const failing = new InfluxDB({ url, token }).getWriteApi("any", "any", "ns", { maxRetries: 0,
    writeFailed: (error) => void console.log(error.statusCode, error.json.message) });
  failing.writeRecord("bad");
  failing.writeRecord("good value=1 9");
  await failing.close().catch(() => {});
})();
`,
        url,
        token,
      );
      assert.match(said, /^400 partial write: unable to parse line 1/);
    });
    assert.deepEqual(points, ["m {t=x} 0 @1", "m {t=x} 1 @1.001", "m {t=x} 2 @1.002", "good 1 @0.000000009"]);
  },
});
