/** The server: the recorded session, repeated, from the wire into CSV. */
import { freePort, MAIN, run, start, stop, untilSize, type Usage, usageOf } from "./process.ts";

const here = (name: string) => new URL(name, import.meta.url).pathname;
const SESSION = here("../tests/testdata/sessions/real-agent/");
export const POINTS_IN_SESSION = 4712;

export interface ServerRun extends Usage {
  connections: number;
  points: number;
  /** From the first connection to the last row in the file. */
  seconds: number;
  /** CPU time from the first connection on. */
  busySeconds: number;
}

/** @param repeats Of the session, in each connection. */
async function measure(
  program: string[],
  port: number,
  path: string,
  size: number,
  connections: number,
  repeats: number,
): Promise<ServerRun> {
  const child = await start(program);
  try {
    const before = usageOf(child.pid);
    const began = performance.now();
    const sending = run([here("./send.ts"), String(port), String(connections), String(repeats)]);
    await Promise.all([sending, untilSize(path, size)]);
    const seconds = (performance.now() - began) / 1000;
    const usage = usageOf(child.pid);
    const points = connections * repeats * POINTS_IN_SESSION;
    return { connections, points, seconds, busySeconds: usage.cpuSeconds - before.cpuSeconds, ...usage };
  } finally {
    await stop(child);
    await Deno.remove(path);
  }
}

/** Bytes of a file that repeats the session. */
export async function csvSize(repeats: number): Promise<number> {
  const expected = await Deno.readTextFile(SESSION + "expected.csv");
  const header = expected.indexOf("\n") + 1;
  const bytes = new TextEncoder().encode(expected).length;
  return header + (bytes - header) * repeats;
}

/** Our server, from the wire into CSV. */
export async function benchServer(
  directory: string,
  connections: number,
  repeats: number,
): Promise<ServerRun> {
  const path = `${directory}/server.csv`;
  const port = freePort();
  const size = await csvSize(connections * repeats);
  const program = [
    ...[MAIN, "--relay-in", `127.0.0.1:${port}`, "--output-file", path, "--config", "/dev/null"],
    ...["--config-override", "journal.enable=false"],
  ];
  return await measure([...program, "--plugins", "relay-server,csv"], port, path, size, connections, repeats);
}

/** A program that only copies the same bytes from a socket to a file. */
export async function benchCopy(directory: string, repeats: number): Promise<ServerRun> {
  const session = await Deno.readFile(SESSION + "client-0.bin");
  const view = new DataView(session.buffer);
  let head = 0;
  for (let n = 0; n < 3; n++) head += 4 + view.getUint32(head);
  const path = `${directory}/copy.bin`;
  const port = freePort();
  const size = head + (session.length - head) * repeats;
  return await measure([here("./copy.ts"), String(port), path], port, path, size, 1, repeats);
}
