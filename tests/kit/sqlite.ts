/** SQLite databases as users read them: through sqlite3 and Python. */
import { bitsOf } from "./bytes.ts";
import { type Need, succeeds } from "./needs.ts";
import { shell } from "./process.ts";

export const pythonSqlite: Need = () =>
  succeeds("python3", "-c", "import sqlite3") ? undefined : "needs Python with its module sqlite3 (python3)";
export const sqlite3: Need = () =>
  succeeds("sqlite3", "-version") ? undefined : "needs the command sqlite3 (sqlite3)";

/** Reads a database with Python: one array for each row, in which floats are the digits of their bits. */
const READ = `
import json, sqlite3, struct, sys
def plain(value):
    if isinstance(value, float):
        return "bits " + struct.pack(">d", value).hex()
    return value if value is None or isinstance(value, str) else "integer " + str(value)
database = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True, timeout=60)
for row in database.execute(sys.argv[2]):
    print(json.dumps([plain(value) for value in row]))
`;

/** A row: texts, `integer 5`, `bits 3ff0000000000000` (1.0), `null`. */
export type PythonRow = readonly (string | null)[];

export async function readWithPython(path: string, sql: string): Promise<PythonRow[]> {
  const text = await shell("python3", "-c", READ, path, sql);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** A float as {@linkcode readWithPython} has it. */
export const floatText = (value: number) => `bits ${bitsOf(value)}`;

/** What the sqlite3 shell prints. */
export async function sqliteShell(path: string, sql: string): Promise<string> {
  return await shell("sqlite3", "-readonly", "-cmd", ".timeout 60000", path, sql);
}
