/** Client, server and CSV in a row: what the journals on disk, and acknowledgements, cost. */
import { freePort, MAIN, run, start, stop, untilSize, type Usage, usageOf } from "./process.ts";
import { csvSize, POINTS_IN_SESSION } from "./relay.ts";

const here = (name: string) => new URL(name, import.meta.url).pathname;

/** Where measurements are kept between input and output. */
export type Keeping = "memory" | "50ms" | "always";

export interface DeliveryRun {
  keeping: Keeping;
  points: number;
  /** From the first connection to the last row in the file. */
  seconds: number;
  client: Usage;
  server: Usage;
}

/** The recorded session, `repeats` times, into a client that passes it on to a server with a CSV file. */
export async function benchDelivery(
  directory: string,
  keeping: Keeping,
  repeats: number,
): Promise<DeliveryRun> {
  const path = `${directory}/delivered.csv`;
  const size = await csvSize(repeats);
  const ports = [freePort(), freePort()];
  const own = [
    ...["--config", "/dev/null", "--config-override"],
    keeping === "memory" ? "journal.enable=false" : `journal.sync='${keeping}'`,
  ];
  const server = await start([
    MAIN,
    ...own,
    "--relay-in",
    `127.0.0.1:${ports[1]}`,
    "--output-file",
    path,
    "--plugins",
    "relay-server,csv",
  ]);
  const client = await start([
    MAIN,
    ...own,
    "--relay-in",
    `127.0.0.1:${ports[0]}`,
    "--relay-out",
    `127.0.0.1:${ports[1]}`,
  ]);
  try {
    const began = performance.now();
    const sending = run([here("./send.ts"), String(ports[0]), "1", String(repeats)]);
    await Promise.all([sending, untilSize(path, size)]);
    const seconds = (performance.now() - began) / 1000;
    const points = repeats * POINTS_IN_SESSION;
    return { keeping, points, seconds, client: usageOf(client.pid), server: usageOf(server.pid) };
  } finally {
    await stop(client);
    await stop(server);
    await Deno.remove(path);
  }
}
