/** The compiled program alone, where there is nothing else. Runs when ALUMET_RELAY_BIN names it. */
import assert from "node:assert/strict";
import { binary, Program, runProgram, type StartOptions } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { clientKeys, connected, portOf } from "./relay.ts";

/** An empty folder with a copy of the program, and no environment at all: no PATH, no HOME. */
async function alone(dir: TempDir, name: string): Promise<StartOptions> {
  const cwd = dir.file(name);
  await Deno.mkdir(cwd);
  await Deno.copyFile(binary!, `${cwd}/alumet-relay`);
  return { cwd, env: {}, clearEnv: true, program: [`${cwd}/alumet-relay`] };
}

if (binary) {
  Deno.test("the executable alone, in an empty folder without an environment, runs as server, hop and client", async () => {
    await using dir = new TempDir();
    const places = await Promise.all(["server", "hop", "client"].map((name) => alone(dir, name)));
    await using server = new Program(["--relay-in", "[::]:0"], places[0]);
    await server.line(/"Running"/);
    await using hop = new Program([
      ...["--relay-in", "127.0.0.1:0", "--relay-out", `127.0.0.1:${portOf(server)}`],
      ...clientKeys({ client_name: "hop" }),
    ], places[1]);
    await hop.line(/"Running"/);
    await using client = new Program(["--relay-out", `localhost:${portOf(hop)}`], places[2]);
    await connected(client);
    for (const program of [client, hop, server]) assert.equal(await program.stop(), 0, program.log);

    const { sent_points: points } = client.summary("relay-client");
    // What each has left where it ran.
    const left = places.map(({ cwd }) => [...Deno.readDirSync(cwd!)].map(({ name }) => name).sort());
    assert.deepEqual(left, [["alumet-relay", "measurements.sqlite"], ["alumet-relay"], ["alumet-relay"]]);
    assert.ok(points > 0);
    const sql = "SELECT relay_client, count(*) AS points FROM measurements GROUP BY 1";
    const { stdout } = await runProgram(["query", sql, "--format", "json"], places[0]);
    assert.deepEqual(JSON.parse(stdout), [{ relay_client: Deno.hostname(), points }]);
  });

  Deno.test("the executable alone writes a configuration file, and accepts it", async () => {
    await using dir = new TempDir();
    const place = await alone(dir, "place");
    const regen = await runProgram(["config", "regen"], place);
    assert.equal(regen.code, 0, regen.stderr);
    const check = await runProgram(["config", "check"], place);
    assert.equal(check.code, 0, check.stderr);
  });
}
