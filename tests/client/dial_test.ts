import assert from "node:assert/strict";
import { dial } from "../../lib/client/dial.ts";
import { LogLines } from "../kit/log_lines.ts";
import { atMost, PATIENCE_MS } from "../kit/waiting.ts";

Deno.test("a connection that is made at the moment at which its client stops is closed", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stop = new AbortController();
  const reason = new Error("the client stops");
  const made: Deno.TcpConn[] = [];
  // What Deno.connect does where the abort comes between the connection and its promise.
  const connect = async ({ signal, ...address }: Deno.ConnectOptions & { signal: AbortSignal }) => {
    try {
      made.push(await Deno.connect(address));
      stop.abort(reason);
      assert.ok(signal.aborted);
      return made[0];
    } finally {
      signal.throwIfAborted();
    }
  };
  const dialling = dial(`127.0.0.1:${listener.addr.port}`, {
    connect,
    connectMs: PATIENCE_MS,
    resolveMs: PATIENCE_MS,
    log: new LogLines().log,
    signal: stop.signal,
  });
  try {
    await assert.rejects(dialling, reason);
    using accepted = await listener.accept();
    const end = await atMost(
      PATIENCE_MS,
      accepted.read(new Uint8Array(1)),
      () => "the end of the connection",
    );
    assert.equal(end, null);
  } finally {
    for (const conn of made) {
      try {
        conn.close();
      } catch { /* it is closed already */ }
    }
  }
});
