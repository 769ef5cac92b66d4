/** Kills a writing process repeatedly, and knows which rows must exist. */
import assert from "node:assert/strict";
import { TextLineStream } from "@std/streams/text-line-stream";
import { Chance } from "./bytes.ts";
import { parseCsv } from "./csv.ts";
import { atMost, PATIENCE_MS, pause } from "./waiting.ts";

const PROCESS = new URL("./output_process.ts", import.meta.url).pathname;

/** The numbers of each run in the order in which the rows stand in the files. */
export function numbersByRun(files: Iterable<string>): Map<string, number[]> {
  const runs = new Map<string, number[]>();
  for (const text of files) {
    for (const [metric, , value] of parseCsv(text).slice(1)) {
      const numbers = runs.get(metric);
      if (numbers) numbers.push(Number(value));
      else runs.set(metric, [Number(value)]);
    }
  }
  return runs;
}

export class CrashingWriter implements AsyncDisposable {
  /** What all processes have logged. */
  log = "";
  /** By run: how many numbers were said to be durable. */
  readonly #durable: number[] = [];
  readonly #chance: Chance;
  #child: Deno.ChildProcess | null = null;
  #reading: Promise<unknown> = Promise.resolve();

  /** @param config Of the output. */
  constructor(
    readonly directory: string,
    readonly config: Record<string, unknown>,
    seed: number,
    readonly output: "csv" | "parquet" | "postgresql" | "sqlite" = "csv",
  ) {
    this.#chance = new Chance(seed);
  }

  async #start(): Promise<void> {
    const run = this.#durable.push(0) - 1;
    const child = this.#child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        PROCESS,
        this.directory,
        String(run),
        this.output,
        JSON.stringify(this.config),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const begun = Promise.withResolvers<void>();
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
    this.#reading = Promise.all([
      (async () => {
        for await (const line of lines) {
          this.#durable[run] = Number(line);
          begun.resolve();
        }
        begun.reject(new Error(`The process has written nothing: ${this.log}`));
      })(),
      (async () => {
        for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) this.log += text;
      })(),
    ]);
    await atMost(PATIENCE_MS, begun.promise, () => `a first row: ${this.log}`);
  }

  /** Starts a process, and kills it after at most `ms`, `rounds` times. */
  async crash(rounds: number, ms = 400): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.#start();
      // The time is tested: a process may be killed at any moment.
      await pause(this.#chance.int(ms));
      this.#child!.kill("SIGKILL");
      await this.#ended();
    }
  }

  async #ended(): Promise<number> {
    const child = this.#child!;
    const [{ code }] = await atMost(
      PATIENCE_MS,
      Promise.all([child.status, this.#reading]),
      () => `the end: ${this.log}`,
    );
    await child.stdin.close().catch(() => {});
    this.#child = null;
    return code;
  }

  /** A last process writes what is left, and stops in good order. */
  async finish(): Promise<void> {
    await this.#start();
    await this.#child!.stdin.close();
    assert.equal(await this.#ended(), 0, this.log);
  }

  /** Of each run, all numbers from 0 on that were durable must be there once, and none that comes after a missing one. */
  check(found: Map<string, number[]>, ordered = true): void {
    this.#durable.forEach((durable, run) => {
      const numbers = found.get(`run_${run}`) ?? [];
      if (!ordered) numbers.sort((a, b) => a - b);
      const wrong = numbers.findIndex((number, i) => number !== i);
      assert.ok(wrong < 0, `run ${run}: place ${wrong} has number ${numbers[wrong]}\n${this.log}`);
      assert.ok(numbers.length >= durable, `run ${run}: ${numbers.length} of ${durable}\n${this.log}`);
    });
    assert.equal(found.size, this.#durable.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#child) return;
    this.#child.kill("SIGKILL");
    await this.#ended();
  }
}
