/** A TCP proxy between a client and a server, which loses, holds back and refuses what it is told to. */

export type Direction = "toServer" | "toClient";

interface Pair {
  readonly client: Deno.Conn;
  readonly server: Deno.Conn;
}

export class ChaosProxy implements AsyncDisposable {
  readonly port: number;
  readonly #target: number;
  #listener: Deno.TcpListener | null;
  readonly #pairs = new Set<Pair>();
  readonly #work = new Set<Promise<void>>();
  /** Resolve when bytes of that direction may go on. */
  readonly #gates: Record<Direction, PromiseWithResolvers<void> | null> = { toServer: null, toClient: null };
  /** How many more bytes of that direction pass before the connection is cut. */
  readonly #cuts: Record<Direction, number> = { toServer: Infinity, toClient: Infinity };
  /** Connections that were cut in the middle of what came. */
  cut = 0;

  constructor(port: number, target: number) {
    this.port = port;
    this.#target = target;
    this.#listener = this.#listen();
  }

  /** Nothing passes in that direction until it is released. New connections are taken, and silent. */
  hold(...directions: Direction[]): void {
    for (const direction of directions) this.#gates[direction] ??= Promise.withResolvers<void>();
  }

  release(): void {
    for (const direction of ["toServer", "toClient"] as const) {
      this.#gates[direction]?.resolve();
      this.#gates[direction] = null;
    }
  }

  /** Lets `bytes` more pass in that direction, and no more: both ends see the connection end. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cuts[direction] = bytes;
  }

  /** Ends all connections, and refuses new ones. */
  refuse(): void {
    this.#listener?.close();
    this.#listener = null;
    this.closeAll();
  }

  accept(): void {
    this.#listener ??= this.#listen();
  }

  closeAll(): void {
    for (const pair of this.#pairs) this.#close(pair);
  }

  #listen(): Deno.TcpListener {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: this.port });
    this.#track(this.#serve(listener));
    return listener;
  }

  async #serve(listener: Deno.TcpListener): Promise<void> {
    try {
      for await (const client of listener) this.#track(this.#join(client));
    } catch { /* closed by refuse */ }
  }

  async #join(client: Deno.Conn): Promise<void> {
    let server: Deno.Conn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    } catch {
      client.close();
      return;
    }
    const pair = { client, server };
    this.#pairs.add(pair);
    // It may have been told to refuse meanwhile.
    if (!this.#listener) return this.#close(pair);
    await Promise.all([
      this.#pump(client, server, "toServer", pair),
      this.#pump(server, client, "toClient", pair),
    ]);
    this.#close(pair);
  }

  async #pump(from: Deno.Conn, to: Deno.Conn, direction: Direction, pair: Pair): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (let count; (count = await from.read(buffer)) !== null;) {
        while (this.#gates[direction]) await this.#gates[direction].promise;
        const pass = Math.min(count, this.#cuts[direction]);
        this.#cuts[direction] -= pass;
        for (let done = 0; done < pass;) done += await to.write(buffer.subarray(done, pass));
        if (this.#cuts[direction] > 0) continue;
        this.#cuts[direction] = Infinity;
        this.cut++;
        return this.#close(pair);
      }
      await to.closeWrite();
    } catch {
      this.#close(pair);
    }
  }

  #close(pair: Pair): void {
    this.#pairs.delete(pair);
    for (const conn of [pair.client, pair.server]) {
      try {
        conn.close();
      } catch { /* closed before */ }
    }
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    this.release();
    while (this.#work.size > 0) await Promise.all(this.#work);
  }
}
