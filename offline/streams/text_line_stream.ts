/** Options for {@linkcode TextLineStream}. */
export interface TextLineStreamOptions {
  /** Whether a `\r` alone ends a line, too. @default {false} */
  allowCR?: boolean;
}

/** Cuts text into lines at `\n` and `\r\n`, however the chunks are cut. Without an empty line after the last one. */
export class TextLineStream extends TransformStream<string, string> {
  constructor(options: TextLineStreamOptions = {}) {
    const { allowCR = false } = options;
    const end = allowCR ? /\r\n|\n|\r/ : /\r?\n/;
    let rest = "";
    super({
      transform(chunk, controller) {
        // Without an end in it, the chunk makes no line: what came before is not searched again.
        const complete = chunk.includes("\n") || (allowCR && /\r./s.test(rest.slice(-1) + chunk));
        rest += chunk;
        if (!complete) return;
        // A `\r` at the end may be the first half of `\r\n`.
        const half = rest.endsWith("\r") ? "\r" : "";
        const lines = rest.slice(0, rest.length - half.length).split(end);
        rest = lines.pop() + half;
        for (const line of lines) controller.enqueue(line);
      },
      flush(controller) {
        if (rest) controller.enqueue(allowCR && rest.endsWith("\r") ? rest.slice(0, -1) : rest);
      },
    });
  }
}
