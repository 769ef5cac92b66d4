/** `alumet-relay token new NAME`: creates a token for a client, and its line for the server. */
import { dirname } from "node:path";
import { makeToken, nameProblem, parseTokens } from "../intake/admission/tokens.ts";
import { lockFolder } from "../base/file_lock.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { replaceFile } from "./replace_file.ts";
import type { CommandLine } from "./parse.ts";
import type { Surroundings } from "./world.ts";

/** The token goes to standard output, everything else to standard error. @returns the exit code */
export async function newToken(line: CommandLine, { stdout, stderr }: Surroundings): Promise<number> {
  const name = line.argument;
  if (name === undefined) throw new ExitError(EXIT.usage, "Cannot create a token: name the client");
  const problem = nameProblem(name);
  if (problem) {
    throw new ExitError(EXIT.usage, `Cannot create a token for ${JSON.stringify(name)}: the name ${problem}`);
  }
  const made = makeToken(name, line.has("forward"));
  const path = line.value("tokens-file");
  if (path === undefined) {
    stderr(`Add this line to the server's file (plugins.relay-server.tokens):\n\n${made.line}\n\n`);
  } else {
    await add(path, made.line);
    stderr(`Added ${name} to ${path}.\n`);
  }
  stderr(
    `Put this token into the file plugins.relay-client.token_file on ${name}; it is not shown again:\n\n`,
  );
  stdout(made.token + "\n");
  return EXIT.ok;
}

/** Adds a line to the file; creates one that others cannot read if there is none. */
async function add(path: string, entry: string): Promise<void> {
  try {
    // Another command may be adding a line.
    using _lock = await lockFolder(dirname(path));
    let text = "";
    try {
      text = decodeUtf8(Deno.readFileSync(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    parseTokens(text);
    const gap = text === "" || text.endsWith("\n") ? "" : "\n";
    replaceFile(path, `${text}${gap}${entry}\n`, 0o640);
  } catch (error) {
    throw new ExitError(EXIT.unavailable, `Cannot add to ${path}: ${messageOf(error)}`, { cause: error });
  }
}
