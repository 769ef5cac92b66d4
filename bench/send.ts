/**
 * Sends the recorded real-agent session again and again: `send.ts PORT CONNECTIONS REPEATS`, REPEATS in each
 * connection. Ends when the server has read everything and closed.
 */
const [port, connections, repeats] = Deno.args.map(Number);
const session = Deno.readFileSync(
  new URL("../tests/testdata/sessions/real-agent/client-0.bin", import.meta.url),
);
const view = new DataView(session.buffer);

// The greeting and the two messages that register metrics come once.
let head = 0;
for (let n = 0; n < 3; n++) head += 4 + view.getUint32(head);
const opening = session.subarray(0, head);
const points = session.subarray(head);

async function send(conn: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}

await Promise.all(Array.from({ length: connections }, async () => {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  await send(conn, opening);
  for (let n = 0; n < repeats; n++) await send(conn, points);
  await conn.closeWrite();
  const rest = new Uint8Array(1024);
  while (await conn.read(rest) !== null);
}));
