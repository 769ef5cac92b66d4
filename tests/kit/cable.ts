/** A connection to the database that can be cut without the database knowing. */
export class Cable implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly port = this.#listener.addr.port;
  /** The ends that are left. */
  readonly pulled: Deno.Conn[] = [];
  readonly #work: Promise<void>[] = [];
  #left = Infinity;

  constructor(target: number) {
    this.#work.push((async () => {
      for await (const client of this.#listener) {
        const server = await Deno.connect({ hostname: "127.0.0.1", port: target });
        this.#work.push(this.#pump(client, server, true), this.#pump(server, client, false));
      }
    })());
  }

  /** So many more bytes reach the database; then the other side is gone. */
  pull(bytes: number): void {
    this.#left = bytes;
  }

  async #pump(from: Deno.Conn, to: Deno.Conn, toServer: boolean): Promise<void> {
    const buffer = new Uint8Array(4096);
    try {
      for (let count; (count = await from.read(buffer)) !== null;) {
        const pass = toServer ? Math.min(count, this.#left) : count;
        for (let done = 0; done < pass;) done += await to.write(buffer.subarray(done, pass));
        if (!toServer || (this.#left -= pass) > 0) continue;
        this.#left = Infinity;
        this.pulled.push(to);
        from.close();
        return;
      }
    } catch { /* the other side is closed */ }
    if (this.pulled.includes(to) || this.pulled.includes(from)) return;
    for (const conn of [from, to]) {
      try {
        conn.close();
      } catch { /* closed before */ }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.pulled) {
      try {
        conn.close();
      } catch { /* closed before */ }
    }
    await Promise.all(this.#work);
  }
}
