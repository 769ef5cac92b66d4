/** A PostgreSQL server of a test's own: a cluster in a temporary folder, on a port of 127.0.0.1, stopped by the test. */
import type { Need } from "./needs.ts";
import { freePort } from "./ports.ts";
import { TempDir } from "./temp_dir.ts";
import { atMost, PATIENCE_MS, pause } from "./waiting.ts";

/** PostgreSQL does not run as root: then as this user, which its Debian package has made. */
const USER = "postgres";
const SUPERUSER = "postgres";
const SETTINGS = {
  // What is tested are processes that die, not machines.
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "16MB",
  max_connections: "40",
  logging_collector: "off",
  // What a test changes is seen soon.
  autovacuum: "off",
};

/** The folder of its programs: what the environment variable POSTGRES_BIN says, else the newest of Debian's. */
function findPrograms(): string | undefined {
  const given = Deno.env.get("POSTGRES_BIN");
  if (given) return given;
  const root = "/usr/lib/postgresql";
  try {
    const versions = [...Deno.readDirSync(root)].map(({ name }) => name).sort((a, b) =>
      Number(b) - Number(a)
    );
    return versions.map((version) => `${root}/${version}/bin`).find((path) => {
      try {
        return Deno.statSync(`${path}/initdb`).isFile && Deno.statSync(`${path}/postgres`).isFile;
      } catch {
        return false;
      }
    });
  } catch {
    return undefined;
  }
}

const PROGRAMS = findPrograms();
const isRoot = Deno.uid() === 0;

function userExists(): boolean {
  return Deno.readTextFileSync("/etc/passwd").split("\n").some((line) => line.startsWith(`${USER}:`));
}

export const postgres: Need = () => {
  if (!PROGRAMS) return "needs PostgreSQL (the packages postgresql and postgresql-client)";
  return isRoot && !userExists()
    ? `needs the user ${USER}, since PostgreSQL does not run as root`
    : undefined;
};

/** Whether TimescaleDB can be loaded: Debian does not have it. */
export const hasTimescale = PROGRAMS !== undefined && (() => {
  try {
    const shared = PROGRAMS.replace(/\/lib\/postgresql\/(\d+)\/bin$/, "/share/postgresql/$1");
    return Deno.statSync(`${shared}/extension/timescaledb.control`).isFile;
  } catch {
    return false;
  }
})();

/** The command as a user that PostgreSQL runs as. */
function unprivileged(...command: string[]): [string, string[]] {
  if (!isRoot) return [command[0], command.slice(1)];
  return ["setpriv", ["--reuid", USER, "--regid", USER, "--clear-groups", "--", ...command]];
}

async function run(command: [string, string[]], input?: string): Promise<string> {
  const child = new Deno.Command(command[0], {
    args: command[1],
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C", PGCONNECT_TIMEOUT: "10" },
  }).spawn();
  if (input !== undefined) {
    // One that ends before it has read everything says why.
    void new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  }
  const output = atMost(PATIENCE_MS, child.output(), () => `the end of ${command.flat().join(" ")}`);
  const { success, stdout, stderr } = await output.catch((error) => {
    child.kill("SIGKILL");
    throw error;
  });
  if (!success) throw new Error(`${command.flat().join(" ")}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** An initialised folder, made once for all tests of a file. */
let template: Promise<TempDir> | null = null;

async function makeTemplate(): Promise<TempDir> {
  const directory = new TempDir();
  await Deno.chmod(directory.path, 0o777);
  const data = directory.file("data");
  await run(
    unprivileged(
      `${PROGRAMS}/initdb`,
      ...["--pgdata", data, "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-locale"],
      "--no-sync",
    ),
  );
  globalThis.addEventListener("unload", () => Deno.removeSync(directory.path, { recursive: true }));
  return directory;
}

function processes(): { pid: number; parent: number }[] {
  const list = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] !== "Z") list.push({ pid: Number(name), parent: Number(fields[1]) });
    } catch { /* it has ended */ }
  }
  return list;
}

/** One server. */
export class Postgres implements AsyncDisposable {
  readonly port = freePort();
  readonly #directory: TempDir;
  readonly #settings: Record<string, string>;
  #holder: Deno.ChildProcess | null = null;

  private constructor(directory: TempDir, settings: Record<string, string>) {
    this.#directory = directory;
    this.#settings = settings;
  }

  /** Starts a new server with the database `alumet`, whose owner `alumet` logs in without a password. */
  static async create(settings: Record<string, string> = {}): Promise<Postgres> {
    const from = (await (template ??= makeTemplate())).file("data");
    const directory = new TempDir();
    try {
      await Deno.chmod(directory.path, 0o777);
      await run(unprivileged("cp", "-r", from, directory.file("data")));
      await run(unprivileged("chmod", "0700", directory.file("data")));
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

  /** The folder of its socket. */
  get socketDirectory(): string {
    return this.#directory.path;
  }

  get data(): string {
    return this.file("data");
  }

  /** Writes a file that only the server's user can read. */
  async give(name: string, text: string): Promise<string> {
    await run(unprivileged("sh", "-c", 'umask 077 && cat > "$0"', this.file(name)), text);
    return this.file(name);
  }

  /** Its log, for a message. */
  get log(): string {
    return Deno.readTextFileSync(this.file("log")).split("\n").slice(-30).join("\n");
  }

  get #pid(): number {
    return Number(Deno.readTextFileSync(`${this.data}/postmaster.pid`).split("\n")[0]);
  }

  async start(): Promise<void> {
    const settings = {
      ...this.#settings,
      port: String(this.port),
      listen_addresses: "127.0.0.1",
      unix_socket_directories: this.#directory.path,
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    // It does not outlive the tests, whatever becomes of them: its standard input is closed then.
    const script = '"$@" </dev/null >>"$0" 2>&1 & p=$!; cat >/dev/null; kill -QUIT $p 2>/dev/null; wait';
    const [program, args] = unprivileged(
      ...["sh", "-c", script, this.file("log"), `${PROGRAMS}/postgres`, "-D", this.data, ...options],
    );
    this.#holder = new Deno.Command(program, { args, stdin: "piped", stdout: "null", stderr: "null" })
      .spawn();
    const deadline = performance.now() + PATIENCE_MS;
    while (true) {
      try {
        await this.sql("SELECT 1", "postgres");
        return;
      } catch (error) {
        if (performance.now() > deadline) throw new Error(`It does not start: ${this.log}`, { cause: error });
        await pause(20);
      }
    }
  }

  /** Kills all of its processes, as a crash does. */
  async kill(): Promise<void> {
    if (!this.#holder) return;
    this.#signalAll("SIGKILL");
    await this.#end();
  }

  /** Stops all of its processes where they are, or lets them go on. */
  freeze(on: boolean): void {
    this.#signalAll(on ? "SIGSTOP" : "SIGCONT");
  }

  #signalAll(signal: Deno.Signal): void {
    const main = this.#pid;
    // First the one who would start others.
    const pids = [main, ...processes().filter(({ parent }) => parent === main).map(({ pid }) => pid)];
    for (const pid of pids) {
      try {
        Deno.kill(pid, signal);
      } catch { /* it has ended */ }
    }
  }

  async #end(): Promise<void> {
    const holder = this.#holder;
    this.#holder = null;
    await holder?.stdin.close().catch(() => {});
    await holder?.status;
  }

  /** Runs SQL with psql, as the superuser, and returns its rows: columns are separated by tabs. */
  async sql(text: string, database = "alumet"): Promise<string[]> {
    const connection = ["-h", this.socketDirectory, "-p", String(this.port), "-U", SUPERUSER, "-d", database];
    const flags = ["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-f", "-"];
    const output = await run([`${PROGRAMS}/psql`, [...connection, ...flags]], text);
    return output === "" ? [] : output.replace(/\n$/, "").split("\n");
  }

  /** One value. */
  async value(text: string, database?: string): Promise<string> {
    return (await this.sql(text, database))[0];
  }

  /** Changes settings of the running server, and waits until they hold. */
  async set(settings: Record<string, string | null>): Promise<void> {
    for (const [name, value] of Object.entries(settings)) {
      await this.sql(
        value === null ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${value}'`,
        "postgres",
      );
    }
    await this.sql("SELECT pg_reload_conf()", "postgres");
    await pause(50);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#holder) {
      this.freeze(false);
      this.#signalAll("SIGKILL");
      await this.#end();
    }
    await this.#directory[Symbol.asyncDispose]();
  }
}
