/** The password file: https://www.postgresql.org/docs/current/libpq-pgpass.html */
import { type Environment, type Host, SOCKET_DIRECTORIES } from "./environment.ts";

export interface Login extends Host {
  readonly database: string;
  readonly user: string;
}

/** The fields of a line, where `\:` and `\\` stand for a colon and a backslash. */
function fieldsOf(line: string): string[] {
  const fields = [""];
  for (let i = 0; i < line.length; i++) {
    if (line[i] === "\\" && i + 1 < line.length) fields[fields.length - 1] += line[++i];
    else if (line[i] === ":" && fields.length < 5) fields.push("");
    else fields[fields.length - 1] += line[i];
  }
  return fields;
}

/** A password file is not used when others can read it. */
function isPrivate(mode: number): boolean {
  return (mode & 0o077) === 0;
}

/** The password of the first line that fits; `undefined` where there is none, or no file that may be used. */
export function findPassword(
  path: string,
  login: Login,
  { readFile, mode }: Pick<Environment, "readFile" | "mode">,
): string | undefined {
  const bits = mode(path);
  if (bits === null || !isPrivate(bits)) return undefined;
  let text: string;
  try {
    text = readFile(path);
  } catch {
    return undefined;
  }
  const local = (SOCKET_DIRECTORIES as readonly string[]).includes(login.host);
  const wanted = [local ? "localhost" : login.host, String(login.port), login.database, login.user];
  for (const line of text.split(/\r?\n/)) {
    if (line === "" || line.startsWith("#")) continue;
    const fields = fieldsOf(line);
    if (fields.length === 5 && wanted.every((value, i) => fields[i] === "*" || fields[i] === value)) {
      return fields[4];
    }
  }
  return undefined;
}
