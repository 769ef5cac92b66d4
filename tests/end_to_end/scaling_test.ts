/** Several servers, one database: clients move, servers are killed, and each point is stored once. */
import assert from "node:assert/strict";
import { Chance } from "../kit/bytes.ts";
import { configOf, TestClient } from "../kit/client.ts";
import { metricOf } from "../kit/decode.ts";
import { journalOf } from "../kit/journal.ts";
import { needs } from "../kit/needs.ts";
import { freePort } from "../kit/ports.ts";
import { Postgres } from "../kit/postgres.ts";
import { postgres } from "../kit/postgres_programs.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { PATIENCE_MS, pause, until } from "../kit/waiting.ts";
import { DEFAULT_LIMITS } from "../../lib/client.ts";
import { Batch, seriesOf } from "../../lib/points/measurement.ts";

const CLIENTS = 6;
const ROUNDS = 40;
/** On a machine where less happens in a round, they go on until enough has happened. */
const MOST_ROUNDS = 1000;
const LEAST_KILLS = 2;
const LEAST_CUTS = 3;
/** Connections that each server takes. */
const LEAST_TAKEN = 4;
const COUNTER = seriesOf(metricOf("counter"));

/** A server that can be killed, and started again on its port with its state. */
class Server implements AsyncDisposable {
  readonly port = freePort();
  readonly #directory = new TempDir();
  readonly #database: Postgres;
  readonly #args: readonly string[];
  #program: Program | null = null;
  readonly lives: Program[] = [];

  constructor(database: Postgres, args: readonly string[] = []) {
    this.#database = database;
    this.#args = args;
  }

  get alive(): boolean {
    return this.#program !== null;
  }

  async start(): Promise<void> {
    const url = `postgresql://alumet@127.0.0.1:${this.#database.port}/alumet?sslmode=disable`;
    const program = new Program([
      ...[
        "--relay-in",
        `127.0.0.1:${this.port}`,
        "--config",
        "/dev/null",
        "--plugins",
        "relay-server,postgresql",
      ],
      ...["--state-dir", this.#directory.path],
      ...["--config-override", 'plugins.relay-server.acknowledge="stored"'],
      ...["--config-override", `plugins.postgresql.url="${url}"`],
      ...["--config-override", 'plugins.postgresql.flush_interval="20ms"'],
      ...this.#args,
    ]);
    this.lives.push(program);
    await program.line(/"Running"/);
    this.#program = program;
  }

  async kill(): Promise<void> {
    const program = this.#program!;
    this.#program = null;
    assert.equal(await program.stop("SIGKILL"), "SIGKILL");
  }

  async stop(): Promise<void> {
    const program = this.#program!;
    this.#program = null;
    assert.equal(await program.stop(), 0, program.log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.lives) await program[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** What stands before the servers: a connection goes to any one that takes it, and is cut now and then. */
class Balancer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly port = this.#listener.addr.port;
  readonly #conns = new Set<Deno.Conn>();
  readonly #work = new Set<Promise<void>>();
  /** Connections that went to each server. */
  readonly taken: number[];
  cut = 0;

  constructor(readonly ports: readonly number[], readonly chance: Chance) {
    this.taken = ports.map(() => 0);
    this.#track((async () => {
      for await (const conn of this.#listener) this.#track(this.#join(conn));
    })());
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  async #join(client: Deno.Conn): Promise<void> {
    const first = this.chance.int(this.ports.length);
    for (let n = 0; n < this.ports.length; n++) {
      const at = (first + n) % this.ports.length;
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.ports[at] }).catch(() => null);
      if (!server) continue;
      this.taken[at]++;
      this.#conns.add(client);
      await Promise.all([this.#pump(client, server), this.#pump(server, client)]);
      this.#conns.delete(client);
      return;
    }
    client.close();
  }

  async #pump(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (let count; (count = await from.read(buffer)) !== null;) {
        for (let done = 0; done < count;) done += await to.write(buffer.subarray(done, count));
      }
    } catch { /* cut, or killed */ }
    for (const conn of [from, to]) {
      try {
        conn.close();
      } catch { /* closed before */ }
    }
  }

  /** Cuts some of the connections. */
  move(): void {
    for (const conn of this.#conns) {
      if (this.chance.int(2) === 0) continue;
      this.cut++;
      try {
        conn.close();
      } catch { /* it is over */ }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch { /* it is over */ }
    }
    await Promise.all(this.#work);
  }
}

function counting(first: number, count: number): Batch {
  const batch = new Batch(count);
  const seconds = Math.floor(Date.now() / 1000);
  for (let n = first; n < first + count; n++) batch.push(COUNTER, seconds, n % 1e9, n);
  return batch;
}

/** For each client how many points there are, how many different ones, and the last one. */
async function stored(database: Postgres): Promise<string[]> {
  return await database.sql(
    "SELECT relay_client, count(*), count(DISTINCT value), max(value) FROM alumet.measurements GROUP BY 1 ORDER BY 1",
  );
}

async function run(seed: number, serverArgs: readonly string[]): Promise<void> {
  const chance = new Chance(seed);
  await using database = await Postgres.create();
  await using stack = new AsyncDisposableStack();
  const servers = [new Server(database, serverArgs), new Server(database, serverArgs)];
  for (const server of servers) stack.use(server);
  await Promise.all(servers.map((server) => server.start()));
  const balancer = stack.use(new Balancer(servers.map(({ port }) => port), chance));
  const clients = Array.from({ length: CLIENTS }, (_, n) => {
    // Some choose for themselves.
    const relay_server = n % 3 === 2
      ? [servers[n % 2], servers[1 - n % 2]].map(({ port }) => `127.0.0.1:${port}`)
      : [`127.0.0.1:${balancer.port}`];
    const config = configOf(0, {
      client_name: `node-${n}`,
      relay_server,
      retry: { max_times: 65_535, initial_delay: 20, max_delay: 100, jitter: 0.5 },
    });
    return stack.use(new TestClient(config, journalOf(), DEFAULT_LIMITS, true));
  });
  const sent = clients.map(() => 0);
  let kills = 0;
  const isEnough = () =>
    kills >= LEAST_KILLS && balancer.cut >= LEAST_CUTS &&
    balancer.taken.every((count) => count >= LEAST_TAKEN);
  for (let round = 0; round < ROUNDS || !isEnough(); round++) {
    assert.ok(round < MOST_ROUNDS, `${kills} kills, ${balancer.cut} cuts, ${balancer.taken}`);
    for (const [n, client] of clients.entries()) {
      for (let m = chance.int(4); m > 0; m--) {
        const count = chance.int(300);
        client.push(counting(sent[n], count));
        sent[n] += count;
      }
    }
    if (chance.int(3) === 0) balancer.move();
    const [one, two] = servers;
    if (chance.int(6) === 0 && one.alive && two.alive) {
      await servers[chance.int(2)].kill();
      kills++;
    } else if (chance.int(3) === 0) {
      for (const server of servers) if (!server.alive) await server.start();
    }
    if (chance.int(20) === 0) {
      await database.kill();
      await database.start();
    }
    await pause(chance.int(100));
  }
  // What the killed ones have in their journals is written as well, if nobody else has.
  for (const server of servers) if (!server.alive) await server.start();
  for (const client of clients) client.journal.end();
  await until(
    () => clients.every(({ journal }) => journal.pendingPoints === 0),
    PATIENCE_MS,
    "all is acknowledged",
  );
  await Promise.all(clients.map(({ done }) => done));
  const expected = sent.map((count, n) => `node-${n}\t${count}\t${count}\t${count - 1}`);
  assert.deepEqual(await stored(database), expected, "what is acknowledged is stored, once");
  for (const server of servers) await server.stop();
  assert.deepEqual(await stored(database), expected, "what waited in journals is not stored again");
  const duplicates = servers.flatMap(({ lives }) => lives.flatMap((program) => program.matching(/"Summary"/)))
    .map((line) => line.part === "postgresql" ? Number(line.duplicate_points) : 0);
  console.log(
    `seed ${seed}: ${sent.reduce((a, b) => a + b)} points, ${kills} kills, ${balancer.cut} cuts, ` +
      `${duplicates.reduce((a, b) => a + b, 0)} points left out by the servers that ended in good order`,
  );
}

for (
  const [name, seed, args] of [
    ["on disk", 7, []],
    ["in memory", 8, ["--config-override", "journal.enable=false"]],
  ] as const
) {
  Deno.test({
    name:
      `two servers with journals ${name} and one database: clients move, servers are killed, each point is there once`,
    ...needs(postgres),
    fn: () => run(Number(Deno.env.get("SCALING_SEED") ?? seed), args),
  });
}

Deno.test({
  name: "stored points are acknowledged at once, also where nothing else comes",
  ...needs(postgres),
  async fn() {
    await using database = await Postgres.create();
    // Later than the journal has it.
    const late = ["--config-override", 'plugins.postgresql.flush_interval="200ms"'];
    await using server = new Server(database, late);
    await server.start();
    await using client = new TestClient(configOf(server.port));
    client.push(counting(0, 1));
    await until(() => client.journal.pendingPoints === 0, PATIENCE_MS);
    // A server's sign of life comes every five seconds, and says the same: each of them would take as long.
    let sent = 1;
    const isSoon = async () => {
      const began = performance.now();
      client.push(counting(sent++, 1));
      await until(() => client.journal.pendingPoints === 0, PATIENCE_MS, "the acknowledgement");
      return performance.now() - began < 3000;
    };
    await until(isSoon, PATIENCE_MS, () => `one of ${sent} acknowledgements came at once`);
    await client.finish();
    assert.deepEqual(await stored(database), [`node-1\t${sent}\t${sent}\t${sent - 1}`]);
  },
});
