/** `alumet-relay journal dump`: prints the points on disk, each as a line of JSON. */
import { isOwn } from "../points/origins.ts";
import { pointToJson } from "../dead_letters/codec.ts";
import { cursorPath, loadCursors, outputOf } from "../journal/disk/format/cursor.ts";
import { SYSTEM_FILES } from "../journal/disk/format/files.ts";
import { findSegments } from "../journal/disk/format/find_segments.ts";
import { batchesOf } from "../journal/disk/care/inspect.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { printable, printableJson } from "../base/log.ts";
import type { Batch } from "../points/measurement.ts";
import { didYouMean } from "../base/suggest.ts";
import { reading } from "./journal_access.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** Characters to write at once. */
const PIECE = 64 * 1024;

export async function dump(directory: string, line: CommandLine, world: Surroundings): Promise<number> {
  const files = SYSTEM_FILES;
  const from = Math.max(wholeNumber(line, "from") ?? 0, await waitingFor(directory, line));
  let left = wholeNumber(line, "limit") ?? Infinity;
  const times = { wallMs: () => 0, monotonicMs: () => 0 };
  const { segments, problems } = await reading(
    directory,
    async () => await findSegments(directory, await files.list(directory), files, times),
  );
  let code: number = EXIT.ok;
  const damaged = (path: string, problem: string) => {
    code = EXIT.data;
    world.stderr(printable(`${path}: ${problem}`) + "\n");
  };
  for (const [path, problem] of problems) damaged(path, problem);

  const begin = Math.max(0, segments.findLastIndex(({ first }) => first <= from));
  let text = "";
  for (const segment of segments.slice(begin)) {
    if (left <= 0) break;
    const batches = batchesOf(segment, files);
    try {
      let next = await batches.next();
      for (; !next.done && left > 0; next = await batches.next()) {
        const { number, batch } = next.value;
        if (number < from) continue;
        for (const line of linesOf(number, batch)) {
          if (left-- <= 0) break;
          text += line;
          if (text.length < PIECE) continue;
          // Nobody reads any more.
          if (world.stdout(text) === false) left = 0;
          text = "";
        }
      }
      if (!next.done) continue;
      if (next.value?.stop === "bad") {
        damaged(segment.path, `byte ${next.value.offset}: ${next.value.problem}`);
      } else if (next.value?.stop === "torn") {
        // It is being written, or a crash left it: its points did not count as kept.
        world.stderr(printable(`${segment.path}: the last record is incomplete`) + "\n");
      }
    } catch (error) {
      if (error instanceof ExitError) throw error;
      damaged(segment.path, messageOf(error));
    } finally {
      await batches.return(null);
    }
  }
  world.stdout(text);
  return code;
}

function* linesOf(number: number, batch: Batch): Generator<string> {
  const origins = batch.origins.length > 0
    ? batch.origins
    : [{ client: null, start: 0, end: batch.length, sequence: 0 }];
  for (const { client, start, end, sequence } of origins) {
    for (let row = start; row < end; row++) {
      const head = {
        record: number,
        client: client && !isOwn(client) ? client.name : null,
        instance: client?.instance || null,
        sequence: sequence || null,
      };
      yield printableJson({ ...head, ...pointToJson(batch, row) }) + "\n";
    }
  }
}

function wholeNumber(line: CommandLine, flag: string): number | undefined {
  const text = line.value(flag);
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ExitError(EXIT.usage, `Cannot use --${flag} ${text}: expected a whole number`);
}

/** The position of the output that the points are waiting for. */
async function waitingFor(directory: string, line: CommandLine): Promise<number> {
  const output = line.value("waiting-for");
  if (output === undefined) return 0;
  const cursors = await reading(directory, () => loadCursors(SYSTEM_FILES, directory));
  const position = cursors.get(cursorPath(directory, output));
  if (position !== undefined) return position ?? 0;
  const names = [...cursors.keys()].map(outputOf);
  const hint = didYouMean(output, names) ||
    (names.length > 0 ? `; it knows ${names.join(", ")}` : "; it does not know any output yet");
  throw new ExitError(
    EXIT.usage,
    `Cannot use --waiting-for ${output}: the journal does not know this output${hint}`,
  );
}
