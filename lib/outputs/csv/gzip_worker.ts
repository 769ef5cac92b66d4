/** The thread that compresses finished files: it takes seconds of CPU for a large one. */
import { messageOf } from "../../base/errors.ts";

/** Which file, and where to. */
export interface GzipRequest {
  readonly from: string;
  readonly to: string;
}

/** What went wrong, if anything did. */
export interface GzipAnswer {
  readonly error?: string;
}

/** The thread's side of the conversation; a reference to the types of workers would replace those of all other modules. */
interface Port {
  onmessage: ((event: MessageEvent<GzipRequest>) => void) | null;
  postMessage(message: GzipAnswer): void;
}
const port = self as unknown as Port;

async function compress({ from, to }: GzipRequest): Promise<void> {
  const source = await Deno.open(from);
  using target = await Deno.open(to, { write: true, create: true, truncate: true });
  // Ends with its source closed.
  const compressed = source.readable.pipeThrough(new CompressionStream("gzip"));
  for await (const bytes of compressed) {
    for (let done = 0; done < bytes.length;) done += await target.write(bytes.subarray(done));
  }
  await target.sync();
}

port.onmessage = ({ data }) => {
  compress(data).then(() => port.postMessage({}), (error) => port.postMessage({ error: messageOf(error) }));
};
