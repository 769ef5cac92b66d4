/** PGlite: PostgreSQL in WebAssembly, with one connection and no processes of its own. */
import { TextLineStream } from "@std/streams/text-line-stream";

/** A database with TimescaleDB, in a process of Node.js, which has the modules that PGlite loads. */
export class Pglite implements AsyncDisposable {
  readonly lost = false;
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  constructor(folder: string) {
    const script = `import { PGlite } from "${folder}/dist/index.js";
      import { timescaledb } from "${folder}/dist/timescaledb/index.js";
      import { createInterface } from "node:readline";
      const database = await PGlite.create({ extensions: { timescaledb } });
      for await (const line of createInterface({ input: process.stdin })) {
        const [sql, values] = JSON.parse(line);
        try {
          const { rows, affectedRows } = values ? await database.query(sql, values) : (await database.exec(sql)).at(-1) ?? {};
          console.log(JSON.stringify({ rows: rows ?? [], rowCount: affectedRows ?? 0 }));
        } catch (error) {
          console.log(JSON.stringify({ error: error.message + ": " + sql }));
        }
      }`;
    this.#process = new Deno.Command("node", {
      args: ["--input-type=module", "-e", script],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TextLineStream(),
    )
      .getReader();
  }

  async query(sql: string, values?: unknown[]) {
    await this.#input.write(new TextEncoder().encode(JSON.stringify([sql, values]) + "\n"));
    const { value = '{"error":"it has ended"}' } = await this.#answers.read();
    const answer = JSON.parse(value);
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#answers.cancel();
    await this.#process.status;
  }
}
