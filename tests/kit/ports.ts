/** Ports for processes that cannot choose one themselves. */

/** Below those that Linux gives to connections (32768 and up), so that no test beside this one is given it meanwhile. */
const FIRST = 10_000;
/** Ports of one process of tests, and how many processes there may be at once. */
const PORTS = 100;
const PROCESSES = 200;
/** A file for each process, with its pid: a port stays its own while the server that listens there is restarted. */
const CLAIMS = "/tmp/alumet-relay-test-ports";

let first: number | undefined;
let next = 0;

/** Claims ports that no other process of tests has. */
function claim(): number {
  Deno.mkdirSync(CLAIMS, { recursive: true });
  // One after the other: a file without a pid yet, or with that of a process that has ended, is not taken by two.
  using lock = Deno.openSync(`${CLAIMS}/lock`, { create: true, write: true });
  lock.lockSync(true);
  const start = Deno.pid % PROCESSES;
  for (let n = 0; n < PROCESSES; n++) {
    const place = (start + n) % PROCESSES;
    const path = `${CLAIMS}/${place}`;
    try {
      if (!isAlive(Number(Deno.readTextFileSync(path)))) Deno.removeSync(path);
    } catch { /* Nobody has it. */ }
    try {
      Deno.writeTextFileSync(path, String(Deno.pid), { createNew: true });
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) continue;
      throw error;
    }
    addEventListener("unload", () => Deno.removeSync(path));
    return FIRST + place * PORTS;
  }
  throw new Error(`${PROCESSES} processes have claimed ports: see ${CLAIMS}`);
}

function isAlive(pid: number): boolean {
  try {
    return Deno.statSync(`/proc/${pid}`).isDirectory;
  } catch {
    return false;
  }
}

/** A port on which nobody listens, and that no other test is given. */
export function freePort(hostname = "127.0.0.1"): number {
  first ??= claim();
  for (let tries = 0; tries < PORTS; tries++) {
    const port = first + next++ % PORTS;
    try {
      Deno.listen({ hostname, port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error(`Something listens on all ports from ${first} to ${first + PORTS - 1}`);
}
