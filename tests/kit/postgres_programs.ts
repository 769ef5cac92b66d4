/** PostgreSQL's programs, who runs them, and the folder that each new server begins with. */
import type { Need } from "./needs.ts";
import { madeOnce, runDirectory } from "./run_directory.ts";
import { TempDir } from "./temp_dir.ts";
import { atMost, PATIENCE_MS } from "./waiting.ts";

/** PostgreSQL does not run as root: then as this user, which its Debian package has made. */
const USER = "postgres";
export const SUPERUSER = "postgres";
export const SETTINGS = {
  // What is tested are processes that die, not machines.
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "16MB",
  max_connections: "200",
  logging_collector: "off",
  // In the folder of the data, which goes with the server, however that ends.
  dynamic_shared_memory_type: "mmap",
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

export const PROGRAMS = findPrograms();
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
export function unprivileged(...command: string[]): [string, string[]] {
  if (!isRoot) return [command[0], command.slice(1)];
  return ["setpriv", ["--reuid", USER, "--regid", USER, "--clear-groups", "--", ...command]];
}

export async function runCommand(command: [string, string[]], input?: string): Promise<string> {
  const child = new Deno.Command(command[0], {
    args: command[1],
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C", PGCONNECT_TIMEOUT: "60" },
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

let template: Promise<string> | null = null;

/** An initialised folder, made once for all tests of a run, or of a file that runs by itself. */
export function templateData(): Promise<string> {
  return template ??= makeTemplate();
}

function makeTemplate(): Promise<string> {
  if (runDirectory) {
    return madeOnce(runDirectory, "postgres-template", () => initialise(`${runDirectory}/template`));
  }
  const directory = new TempDir();
  globalThis.addEventListener("unload", () => Deno.removeSync(directory.path, { recursive: true }));
  return initialise(directory.path);
}

async function initialise(directory: string): Promise<string> {
  await Deno.mkdir(directory, { recursive: true });
  await Deno.chmod(directory, 0o777);
  const data = `${directory}/data`;
  await runCommand(
    unprivileged(
      `${PROGRAMS}/initdb`,
      ...["--pgdata", data, "--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-locale"],
      "--no-sync",
    ),
  );
  return data;
}
