/** What is outside of the configuration, and the servers that it may name. */
/** One server of the list. */
export interface Host {
  /** A name, an address, or the directory of a socket. */
  readonly host: string;
  readonly port: number;
}

/** What is outside of the configuration. */
export interface Environment {
  readonly env: (name: string) => string | undefined;
  /** Throws like `Deno.readTextFileSync`. */
  readonly readFile: (path: string) => string;
  /** Mode bits, or `null` where there is no such file. */
  readonly mode: (path: string) => number | null;
  /** The user that this process runs as. */
  readonly userName: () => string;
}

/** Where the socket is, on Debian and on others. */
export const SOCKET_DIRECTORIES = ["/var/run/postgresql", "/tmp"] as const;

export const systemEnvironment: Environment = {
  env: (name) => Deno.env.get(name),
  readFile: (path) => Deno.readTextFileSync(path),
  mode: (path) => {
    try {
      return Deno.statSync(path).mode ?? 0;
    } catch {
      return null;
    }
  },
  userName: () => Deno.env.get("USER") || Deno.env.get("LOGNAME") || nameOf(Deno.uid()),
};

/** The name of a user, from /etc/passwd. */
function nameOf(uid: number | null): string {
  try {
    const line = Deno.readTextFileSync("/etc/passwd").split("\n").find((line) =>
      line.split(":")[2] === String(uid)
    );
    return line?.split(":")[0] ?? "";
  } catch {
    return "";
  }
}
