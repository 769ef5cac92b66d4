/** What goes over an interface, recorded by tcpdump. */
import type { Namespace } from "./netns.ts";
import { atMost, PATIENCE_MS, until } from "./waiting.ts";

/** A recording that runs. */
export class Capture {
  readonly #child: Deno.ChildProcess;
  readonly #said: Promise<string>;

  private constructor(child: Deno.ChildProcess, said: Promise<string>, readonly path: string) {
    this.#child = child;
    this.#said = said;
  }

  /** Records all TCP of an interface into a file. */
  static async start(namespace: Namespace, networkInterface: string, path: string): Promise<Capture> {
    const [program, ...args] = namespace.wrapper();
    const child = new Deno.Command(program, {
      args: [
        ...args,
        "tcpdump",
        "--immediate-mode",
        "-Z",
        "root",
        "-U",
        "-s",
        "0",
        "-i",
        networkInterface,
        "-w",
        path,
        "tcp",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const begun = Promise.withResolvers<void>();
    const said = (async () => {
      let text = "";
      for await (const part of child.stderr.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (text.includes("listening on")) begun.resolve();
      }
      begun.reject(new Error(`tcpdump: ${text}`));
      return text;
    })();
    try {
      await atMost(PATIENCE_MS, begun.promise, () => "tcpdump");
    } catch (error) {
      child.kill("SIGKILL");
      await child.status;
      throw error;
    }
    return new Capture(child, said, path);
  }

  /**
   * Ends the recording.
   *
   * @param send Sends a text over the interface: what went before it has been recorded when it has.
   * @returns its bytes, as text of which each byte is a character
   */
  async stop(send: (text: string) => Promise<unknown>): Promise<string> {
    const mark = `mark-${crypto.randomUUID()}`;
    await send(mark);
    const text = () => new TextDecoder("latin1").decode(Deno.readFileSync(this.path));
    await until(() => text().includes(mark), PATIENCE_MS, "the recording of the last packet");
    this.#child.kill("SIGINT");
    await atMost(PATIENCE_MS, this.#child.status, () => "the end of tcpdump");
    const said = await this.#said;
    if (!/\b0 packets dropped by kernel/.test(said)) throw new Error(`the recording is not whole: ${said}`);
    return text();
  }
}
