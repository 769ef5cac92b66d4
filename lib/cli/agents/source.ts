/** Asks a running process: by the socket in its state directory, or by its URL. */
import { EXIT, ExitError, requestProblem } from "../../base/errors.ts";
import { AGENT_SOCKET } from "../../seeing.ts";
import type { CommandLine } from "../parse.ts";
import { Search } from "../state.ts";
import type { Surroundings } from "../world.ts";

/** How long an answer may take, in ms. */
const ANSWER_MS = 10_000;
/** The longest head of an answer, in bytes. */
const MAX_HEAD_BYTES = 64 * 1024;
/** The variable with the token of a page that needs one. */
const TOKEN_VARIABLE = "ALUMET_RELAY_TOKEN";

/** A process that can be asked. */
export interface AgentSource {
  /** Its directory or URL. */
  readonly name: string;
  /**
   * The body of an answer.
   *
   * @throws {ExitError} 69 if there is none, or it is a refusal.
   */
  open(path: string, signal?: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
}

/** The JSON of an answer. @throws {ExitError} as {@linkcode AgentSource.open} */
// deno-lint-ignore no-explicit-any
export async function askJson(source: AgentSource, path: string): Promise<any> {
  const limit = AbortSignal.timeout(ANSWER_MS);
  try {
    const text = await new Response(await source.open(path, limit)).text();
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof ExitError) throw error;
    throw unavailable(source.name, error);
  }
}

function unavailable(name: string, error: unknown): ExitError {
  const reason = error instanceof Deno.errors.PermissionDenied
    ? "permission denied. Run this as root, or as a member of the group that the directory belongs to"
    : requestProblem(error);
  return new ExitError(EXIT.unavailable, `Cannot ask the process at ${name}: ${reason}`, { cause: error });
}

/** A process by the path of its socket. */
function socketSource(path: string): AgentSource {
  const name = path.slice(0, -AGENT_SOCKET.length - 1);
  return {
    name,
    async open(target, signal) {
      let conn: Deno.UnixConn;
      try {
        conn = await Deno.connect({ transport: "unix", path });
      } catch (error) {
        throw unavailable(name, error);
      }
      try {
        return await request(conn, target, name, signal);
      } catch (error) {
        conn.close();
        throw error instanceof ExitError ? error : unavailable(name, error);
      }
    },
  };
}

/** An old request, whose answer ends with the connection. */
async function request(
  conn: Deno.UnixConn,
  target: string,
  name: string,
  signal?: AbortSignal,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const close = () => {
    try {
      conn.close();
    } catch { /* it is closed */ }
  };
  signal?.addEventListener("abort", close, { once: true });
  await conn.write(new TextEncoder().encode(`GET ${target} HTTP/1.0\r\n\r\n`));
  let head = new Uint8Array();
  let end = -1;
  const buffer = new Uint8Array(64 * 1024);
  while (end < 0) {
    const count = await conn.read(buffer);
    if (count === null || head.length > MAX_HEAD_BYTES) throw new Error("it does not answer");
    const longer = new Uint8Array(head.length + count);
    longer.set(head);
    longer.set(buffer.subarray(0, count), head.length);
    head = longer;
    end = new TextDecoder("latin1").decode(head).indexOf("\r\n\r\n");
  }
  const rest = head.slice(end + 4);
  const [, status] = /^HTTP\/1\.\d (\d+)/.exec(new TextDecoder().decode(head.subarray(0, end))) ?? [];
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      if (rest.length > 0) controller.enqueue(rest);
    },
    async pull(controller) {
      try {
        const count = await conn.read(buffer);
        if (count !== null) return controller.enqueue(buffer.slice(0, count));
      } catch { /* the process has ended, or the command */ }
      close();
      controller.close();
    },
    cancel: close,
  });
  if (status === "200") return body;
  throw refusal(name, status, await new Response(body).text());
}

const refusal = (name: string, status: string | number, text: string) =>
  new ExitError(EXIT.unavailable, `The process at ${name} answers ${status}: ${text.trim().slice(0, 500)}`);

/** A process by its URL. */
function urlSource(url: string, env: (name: string) => string | undefined): AgentSource {
  const { protocol, host, username, password } = new URL(url);
  const name = `${protocol}//${host}`;
  const token = decodeURIComponent(password || username) || env(TOKEN_VARIABLE);
  return {
    name,
    async open(path, signal) {
      try {
        const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
        const response = await fetch(name + path, { headers, signal });
        if (response.ok) return response.body!;
        throw refusal(name, response.status, await response.text());
      } catch (error) {
        throw error instanceof ExitError ? error : unavailable(name, error);
      }
    },
  };
}

/**
 * The processes that a command is about: that of the URL or directory behind it, or else those of the state directories.
 *
 * @throws {ExitError} if there is none.
 */
export async function findAgents(line: CommandLine, world: Surroundings): Promise<AgentSource[]> {
  const { argument } = line;
  if (argument !== undefined && /^https?:\/\//.test(argument)) {
    if (URL.canParse(argument)) return [urlSource(argument, world.env)];
    throw new ExitError(EXIT.usage, `Cannot use ${argument}: it is not a URL such as http://server:9092`);
  }
  if (argument !== undefined) return [socketSource(`${argument.replace(/\/+$/, "")}/${AGENT_SOCKET}`)];
  const search = new Search(line, world);
  const found = await search.find(AGENT_SOCKET);
  if (found.length === 0) throw search.missing("running processes", "--state-dir, or with its URL");
  search.note();
  return found.map(({ path }) => socketSource(path));
}

/** The order in which a command chooses where several processes run: who knows more hosts comes first. */
const ORDER = ["server", "hop", "client", "local"];

/** The one process that a command is about, and its status. */
export async function findAgent(
  line: CommandLine,
  world: Surroundings,
  // deno-lint-ignore no-explicit-any
): Promise<{ source: AgentSource; status: any }> {
  const sources = await findAgents(line, world);
  const answers = await Promise.allSettled(sources.map((source) => askJson(source, "/api/v1/status")));
  const found = answers.flatMap((answer, i) =>
    answer.status === "fulfilled" ? [{ source: sources[i], status: answer.value }] : []
  );
  if (found.length === 0) throw (answers[0] as PromiseRejectedResult).reason;
  found.sort((a, b) => ORDER.indexOf(a.status.role) - ORDER.indexOf(b.status.role));
  return found[0];
}
