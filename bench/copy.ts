/**
 * What the platform can do at best: `copy.ts PORT FILE` copies the bytes of one connection from the socket to a file,
 * and nothing else. Both buffers are as large as the server's.
 */
const [port, path] = Deno.args;
const listener = Deno.listen({ hostname: "127.0.0.1", port: Number(port) });
using file = await Deno.open(path, { create: true, truncate: true, write: true });
console.error("Running");
using conn = await listener.accept();
let [filling, writing] = [new Uint8Array(256 * 1024), new Uint8Array(256 * 1024)];
let pending: Promise<void> = Promise.resolve();
for (let count; (count = await conn.read(filling)) !== null;) {
  await pending;
  [filling, writing] = [writing, filling];
  const bytes = writing.subarray(0, count);
  pending = (async () => {
    for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
  })();
}
await pending;
conn.close();
// The one who measures looks at this process before it ends.
await new Promise((resolve) => Deno.addSignalListener("SIGTERM", () => resolve(undefined)));
listener.close();
