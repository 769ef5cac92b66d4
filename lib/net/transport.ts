/** What a conversation uses: a TCP connection, Deno's TLS, or a socket of node:tls where Deno's cannot do something. */

/** A connection, with or without TLS. */
export type Transport = Pick<Deno.Conn, "read" | "write" | "close" | "closeWrite">;

/** A connection that was accepted. */
export type AcceptedTransport = Transport & Pick<Deno.TcpConn, "remoteAddr" | "setNoDelay" | "setKeepAlive">;

/** Writes all bytes, which must not change until then. @throws if the connection is gone. */
export async function writeAll(conn: Transport, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
}
