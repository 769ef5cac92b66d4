/**
 * PostgreSQL for tests: a database of a test's own on the server of the run, or a server of its own, which it may break.
 * Each server is a cluster in a temporary folder, on a port of 127.0.0.1.
 */
import { freePort } from "./ports.ts";
import {
  PROGRAMS,
  runCommand,
  SETTINGS,
  SUPERUSER,
  templateData,
  unprivileged,
} from "./postgres_programs.ts";
import { madeOnce, runDirectory } from "./run_directory.ts";
import { TempDir } from "./temp_dir.ts";
import { PATIENCE_MS, until } from "./waiting.ts";

/** A database of a test's own, whose owner `alumet` logs in without a password. */
export abstract class Database implements AsyncDisposable {
  constructor(
    readonly port: number,
    /** The folder of the server's socket. */
    readonly socketDirectory: string,
    /** The name of the database. */
    readonly database: string,
  ) {}

  /** Runs SQL with psql, as the superuser, and returns its rows: columns are separated by tabs. */
  async sql(text: string, database = this.database): Promise<string[]> {
    const connection = ["-h", this.socketDirectory, "-p", String(this.port), "-U", SUPERUSER, "-d", database];
    const flags = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-"];
    const output = await runCommand([`${PROGRAMS}/psql`, [...connection, ...flags]], text);
    return output === "" ? [] : output.replace(/\n$/, "").split("\n");
  }

  /** One value. */
  async value(text: string, database?: string): Promise<string> {
    return (await this.sql(text, database))[0];
  }

  /** Waits until the server takes connections. `log` is for the message if it does not. */
  protected async answers(log: () => string): Promise<void> {
    const isThere = () => this.sql("SELECT 1", "postgres").then(() => true, () => false);
    await until(isThere, PATIENCE_MS, () => `PostgreSQL answers: ${log()}`);
  }

  abstract [Symbol.asyncDispose](): Promise<void>;
}

/** Puts the data of a new server into a folder. */
async function prepare(directory: string): Promise<void> {
  const data = `${directory}/data`;
  const template = await templateData();
  await Deno.chmod(directory, 0o777);
  await runCommand(unprivileged("cp", "-r", template, data));
  await runCommand(unprivileged("chmod", "0700", data));
}

/** What runs a server whose data and socket are in that folder. */
function serverCommand(directory: string, port: number, settings: Record<string, string>): string[] {
  const all = {
    ...settings,
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: directory,
  };
  const options = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return [`${PROGRAMS}/postgres`, "-D", `${directory}/data`, ...options];
}

/** A process as /proc has it; `null` where it has ended, or waits for nothing but that somebody asks how. */
function processOf(pid: number): { pid: number; parent: number; state: string } | null {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return state === "Z" || state === "X" ? null : { pid, parent: Number(parent), state };
  } catch {
    return null;
  }
}

function childrenOf(parent: number): number[] {
  const pids = [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter(Number.isInteger);
  return pids.filter((pid) => processOf(pid)?.parent === parent);
}

function signalAll(pids: readonly number[], signal: Deno.Signal): void {
  for (const pid of pids) {
    try {
      Deno.kill(pid, signal);
    } catch { /* it has ended */ }
  }
}

/** A server of a test's own. */
export class Postgres extends Database {
  readonly #directory: TempDir;
  readonly #settings: Record<string, string>;
  #holder: Deno.ChildProcess | null = null;

  private constructor(directory: TempDir, settings: Record<string, string>) {
    super(freePort(), directory.path, "alumet");
    this.#directory = directory;
    this.#settings = settings;
  }

  /** Starts a new server with the database `alumet`, whose owner `alumet` logs in without a password. */
  static async create(settings: Record<string, string> = {}): Promise<Postgres> {
    const directory = new TempDir();
    try {
      await prepare(directory.path);
      const server = new Postgres(directory, { ...SETTINGS, ...settings });
      await server.start();
      await server.sql("CREATE ROLE alumet LOGIN", "postgres");
      await server.sql("CREATE DATABASE alumet OWNER alumet", "postgres");
      return server;
    } catch (error) {
      await directory[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A file beside the data, which the server can read. */
  file(name: string): string {
    return this.#directory.file(name);
  }

  get data(): string {
    return this.file("data");
  }

  /** Writes a file that only the server's user can read. */
  async give(name: string, text: string): Promise<string> {
    await runCommand(unprivileged("sh", "-c", 'umask 077 && cat > "$0"', this.file(name)), text);
    return this.file(name);
  }

  /** Its log, for a message. */
  get log(): string {
    return Deno.readTextFileSync(this.file("log")).split("\n").slice(-30).join("\n");
  }

  /** The lines of the file that says which process this is. */
  get #lock(): string[] {
    return Deno.readTextFileSync(`${this.data}/postmaster.pid`).split("\n");
  }

  async start(): Promise<void> {
    // It does not outlive the tests, whatever becomes of them: its standard input is closed then.
    const script = '"$@" </dev/null >>"$0" 2>&1 & p=$!; cat >/dev/null; kill -QUIT $p 2>/dev/null; wait';
    const [program, args] = unprivileged(
      ...[
        "sh",
        "-c",
        script,
        this.file("log"),
        ...serverCommand(this.socketDirectory, this.port, this.#settings),
      ],
    );
    this.#holder = new Deno.Command(program, { args, stdin: "piped", stdout: "null", stderr: "null" })
      .spawn();
    await this.answers(() => this.log);
  }

  /** Kills all of its processes, as a crash does. */
  async kill(): Promise<void> {
    if (!this.#holder) return;
    const pids = await this.#stopped();
    signalAll(pids, "SIGKILL");
    // One that still held the shared memory would keep the next server from starting.
    await until(() => pids.every((pid) => processOf(pid) === null));
    await this.#end();
  }

  /** Stops all of its processes where they are, or lets them go on. */
  async freeze(on: boolean): Promise<void> {
    signalAll(await this.#stopped(), on ? "SIGSTOP" : "SIGCONT");
  }

  /** Its processes, the main one first, which is stopped: it starts no other. */
  async #stopped(): Promise<number[]> {
    const main = Number(this.#lock[0]);
    signalAll([main], "SIGSTOP");
    await until(() => (processOf(main)?.state ?? "T") === "T");
    return [main, ...childrenOf(main)];
  }

  /** It ends at once; what it has of the kernel's memory it gives back. */
  async #end(): Promise<void> {
    const holder = this.#holder;
    this.#holder = null;
    await holder?.stdin.close().catch(() => {});
    await holder?.status;
  }

  /** Changes settings of the running server, and waits until they hold. */
  async set(settings: Record<string, string | null>): Promise<void> {
    for (const [name, value] of Object.entries(settings)) {
      await this.sql(
        value === null ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`,
        "postgres",
      );
    }
    // What a new connection has, the main process has, and it has told those of the others before.
    const loaded = () => this.value("SELECT pg_conf_load_time()", "postgres");
    const before = await loaded();
    await this.sql("SELECT pg_reload_conf()", "postgres");
    await until(async () => await loaded() !== before);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    if (this.#holder) {
      await this.freeze(false);
      await this.#end();
    } else {
      // Killed, it has left memory behind, of which the kernel has a number of pieces only: the key and the id.
      const [, id] = this.#lock[6].trim().split(/\s+/);
      await runCommand(["ipcrm", ["--shmem-id", id]]);
    }
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** A database on the server of the run, which all files share; on a server of its own where a file runs by itself. */
export async function freshDatabase(): Promise<Database> {
  if (!runDirectory) return await Postgres.create();
  const { port, directory } = await madeOnce(
    runDirectory,
    "postgres",
    () => RunServer.start(`${runDirectory}-postgres`),
  );
  return await RunDatabase.create(port, directory);
}

class RunDatabase extends Database {
  static async create(port: number, directory: string): Promise<RunDatabase> {
    const database = new RunDatabase(port, directory, `alumet_${crypto.randomUUID().replaceAll("-", "")}`);
    await database.sql(`CREATE DATABASE ${database.database} OWNER alumet`, "postgres");
    return database;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.sql(`DROP DATABASE ${this.database} WITH (FORCE)`, "postgres").catch((error) => {
      // PostgreSQL waits for 5 s until those who use it are gone. The server takes it away in the end.
      if (!/is being accessed by other users/.test(error.message)) throw error;
    });
  }
}

/**
 * The server of the run. It ends when the folder of the run is gone, and takes its own away then: that of the run would not be
 * empty while it writes.
 */
class RunServer extends Database {
  static async start(directory: string): Promise<{ port: number; directory: string }> {
    await Deno.mkdir(directory);
    await prepare(directory);
    const server = new RunServer(freePort(), directory, "postgres");
    const log = `${directory}/log`;
    await Deno.writeTextFile(log, "");
    const script =
      'exec </dev/null >/dev/null 2>&1; run=$1; directory=$2; shift 2; "$@" >>"$directory/log" 2>&1 & ' +
      'p=$!; while [ -e "$run" ]; do sleep 0.5; done; kill -QUIT $p; wait; rm -rf "$directory"';
    const [program, args] = unprivileged(...serverCommand(directory, server.port, SETTINGS));
    // In a session of its own, so that it goes on when the process of this file ends.
    const holder = ["sh", "-c", script, "sh", runDirectory!, directory, program, ...args];
    await runCommand(["setsid", ["--fork", ...holder]]);
    await server.answers(() => Deno.readTextFileSync(log).slice(-2000));
    await server.sql("CREATE ROLE alumet LOGIN");
    return { port: server.port, directory };
  }

  override async [Symbol.asyncDispose](): Promise<void> {}
}
