/** The service manager's side of sd_notify(3): a socket that keeps what services say. */
import { TempDir } from "./temp_dir.ts";
import { atMost, PATIENCE_MS } from "./waiting.ts";

export class NotifySocket implements AsyncDisposable {
  readonly path: string;
  readonly messages: string[] = [];
  readonly #dir = new TempDir();
  readonly #socket: Deno.DatagramConn;
  readonly #reading: Promise<void>;
  #taken = 0;
  #wake: () => void = () => {};

  /** @param path @default one of its own */
  constructor(path?: string) {
    this.path = path ?? this.#dir.file("notify");
    this.#socket = Deno.listenDatagram({ transport: "unixpacket", path: this.path });
    this.#reading = this.#read();
  }

  async #read(): Promise<void> {
    for await (const [bytes] of this.#socket) {
      this.messages.push(new TextDecoder().decode(bytes));
      this.#wake();
    }
  }

  /** The next message that was not taken and fits; those before it are passed over. */
  async next(fits: (text: string) => boolean = () => true, ms = PATIENCE_MS): Promise<string> {
    const found = Promise.withResolvers<string>();
    this.#wake = () => {
      while (this.#taken < this.messages.length) {
        const text = this.messages[this.#taken++];
        if (!fits(text)) continue;
        this.#wake = () => {};
        return found.resolve(text);
      }
    };
    this.#wake();
    return await atMost(ms, found.promise, () => `another message than ${JSON.stringify(this.messages)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#reading;
    await this.#dir[Symbol.asyncDispose]();
  }
}
