/** The `postgresql` output where connections, the database or its disk fail. */
import assert from "node:assert/strict";
import { ChaosProxy } from "../../../tools/chaos/proxy.ts";
import { cases, Chance } from "../../kit/bytes.ts";
import { Cable } from "../../kit/cable.ts";
import { HastyClock } from "../../kit/hasty_clock.ts";
import { linux, namespaces, needs } from "../../kit/needs.ts";
import { numbered } from "../../kit/points.ts";
import { freePort } from "../../kit/ports.ts";
import { Postgres } from "../../kit/postgres.ts";
import { postgres } from "../../kit/postgres_programs.ts";
import { count, onOwnPostgres, onPostgres, Writing } from "../../kit/postgres_output.ts";
import { shell } from "../../kit/process.ts";
import { SmallDisk } from "../../kit/small_disk.ts";
import { pause } from "../../kit/waiting.ts";

onPostgres(
  "A transaction that takes too long is tried again with fewer points, until it passes",
  async (server) => {
    await using writing = new Writing(server, { timeout: 1000, batch_size: 2000 });
    await writing.write(numbered(1));
    // A millisecond for each row.
    await server.sql(`
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.001); RETURN NULL; END $$;
      CREATE TRIGGER slow AFTER INSERT ON alumet.points FOR EACH ROW EXECUTE FUNCTION slow()`);
    const batches = Array.from({ length: 15 }, (_, n) => numbered(100, 1 + 100 * n));
    await writing.write(...batches);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "1501");
    assert.equal(await count(server), 1501);
    assert.ok(writing.stats.failures > 0);
    assert.match(await writing.line(/Cannot write to the database/), /statement timeout/);
  },
);

onOwnPostgres("Commits survive a crash of the database, whatever its defaults", async (server) => {
  await using writing = new Writing(server);
  for (let n = 0; n < 20; n++) {
    await writing.write(numbered(10, 10 * n));
    if (n % 5 === 4) {
      await server.kill();
      await server.start();
      assert.equal(await count(server), 10 * (n + 1));
    }
  }
}, {
  fsync: "on",
  synchronous_commit: "off",
  wal_writer_delay: "10s",
});

onPostgres("A COMMIT whose answer is lost is not done again, one that is lost itself is", async (server) => {
  await using proxy = new ChaosProxy(freePort(), server.port);
  await using writing = new Writing(server, { port: proxy.port, timeout: 2000, sslmode: "disable" }, {
    clock: new HastyClock(),
  });
  await writing.write(numbered(10));

  proxy.hold("toClient");
  const first = writing.write(numbered(10, 10));
  // The answer to BEGIN has not come through: the transaction is not even sent.
  await pause(100);
  proxy.closeAll();
  proxy.release();
  await first;
  assert.equal(await count(server), 20);

  // The connection is lost at each place of what the database says to a transaction.
  for (let n = 0; n < 40; n++) {
    proxy.cutAfter("toClient", 8 * n);
    await writing.write(numbered(10, 20 + 10 * n));
    assert.equal(await count(server), 30 + 10 * n, `cut after ${8 * n} bytes`);
  }
  assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "420");
  assert.ok(proxy.cut > 10, `${proxy.cut} cuts`);
  await writing.line(/The last transaction was committed/);
});

onPostgres("Connections that are cut anywhere cost nothing and double nothing", async (server) => {
  await using proxy = new ChaosProxy(freePort(), server.port);
  await using writing = new Writing(server, { port: proxy.port, timeout: 2000, sslmode: "disable" }, {
    clock: new HastyClock(),
  });
  const chance = new Chance(29);
  let total = 0;
  for (let n = 0; n < cases(60) || proxy.cut <= 20; n++) {
    proxy.cutAfter("toServer", chance.int(40_000));
    proxy.cutAfter("toClient", chance.int(3000));
    for (let m = 1 + chance.int(3); m > 0; m--) {
      const length = 1 + chance.int(500);
      await writing.journal.append(numbered(length, total));
      total += length;
    }
    if (chance.int(4) === 0) await pause(chance.int(30));
    if (chance.int(3) === 0) {
      await writing.until(() => writing.journal.pendingPoints === 0, "all is stored");
    }
  }
  proxy.cutAfter("toServer", Infinity);
  proxy.cutAfter("toClient", Infinity);
  await writing.finish();
  assert.equal(await count(server), total);
  assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), String(total));
});

onOwnPostgres(
  "A transaction that nobody goes on with, because its connection is gone on one side, is ended",
  async (server) => {
    await using cable = new Cable(server.port);
    await using writing = new Writing(server, {
      port: cable.port,
      timeout: 3_600_000,
      sslmode: "disable",
      rollups: [],
    }, {
      clock: new HastyClock(),
    });
    await writing.write(numbered(10));
    // The database has the lock on the position, and waits for the rest of the rows.
    cable.pull(10_000);
    await writing.write(numbered(1000, 10));
    assert.equal(cable.pulled.length, 1);
    assert.equal(await count(server), 1010);
    assert.equal(await server.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'alumet'"), "1");
  },
);

Deno.test({
  name: "A disk of the database that is full for a while costs nothing",
  ...needs(postgres, linux, namespaces),
  async fn() {
    await using disk = await SmallDisk.mount();
    await using server = await Postgres.create();
    await Deno.chmod(disk.path, 0o777);
    const space = disk.file("space");
    await shell("install", "-d", "-o", "postgres", "-m", "0700", space);
    await server.sql(`CREATE TABLESPACE small LOCATION '${space}'`, "postgres");
    await server.sql(
      "GRANT CREATE ON TABLESPACE small TO alumet; ALTER ROLE alumet SET default_tablespace = 'small'",
    );
    await using writing = new Writing(server, {}, { clock: new HastyClock() });
    await writing.write(numbered(1000));
    await disk.fill();
    for (let n = 0; n < 20; n++) await writing.journal.append(numbered(4000, 1000 + 4000 * n));
    assert.match(await writing.line(/Cannot write to the database/), /No space left|53100/);
    await pause(100);
    assert.ok(writing.journal.pendingPoints > 0);
    await disk.empty();
    await writing.finish();
    assert.equal(await count(server), 81_000);
    assert.equal(await server.value("SELECT count(DISTINCT value) FROM alumet.points"), "81000");
    assert.deepEqual(await writing.letters(), []);
  },
});
