/** What a conversation runs over: TCP, TLS, or a socket of Node's where Deno's TLS cannot do something. */

/** A connection, plain or not. */
export type Transport = Pick<Deno.Conn, "read" | "write" | "close" | "closeWrite">;

/** Writes all of the bytes, which must not change meanwhile. @throws when the connection is gone. */
export async function writeAll(conn: Transport, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}
