/** The outputs whose promises are checked: how a server is told to use one, and what is in it afterwards. */

/** A point as it stands in an output. */
export interface StoredPoint {
  readonly life: number;
  readonly number: number;
  /** Nanoseconds of its time within the second. */
  readonly nanos: number;
}

export interface ChaosOutput {
  readonly name: string;
  /** Flags of the server. */
  args(directory: string): string[];
  /** Grows when something is stored: bytes. */
  size(directory: string): number;
  /** Everything that is stored. */
  read(directory: string): Iterable<StoredPoint>;
}

function sizes(directory: string, pattern: RegExp): number {
  let size = 0;
  for (const { name } of Deno.readDirSync(directory)) {
    if (!pattern.test(name)) continue;
    try {
      size += Deno.statSync(`${directory}/${name}`).size;
    } catch { /* a file that is gone by now */ }
  }
  return size;
}

const CSV_FILE = /^measures(-\d+)?\.csv$/;

const csv: ChaosOutput = {
  name: "csv",
  args: (directory) => ["--plugins", "relay-server,csv", "--output-file", `${directory}/measures.csv`],
  size: (directory) => sizes(directory, CSV_FILE),
  *read(directory) {
    const files = [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) =>
      CSV_FILE.test(name)
    );
    for (const file of files) {
      const text = Deno.readTextFileSync(`${directory}/${file}`);
      if (text === "") continue;
      if (!text.endsWith("\n")) throw new Error(`${file} ends in half a row: ${text.slice(-200)}`);
      const columns = text.slice(0, text.indexOf("\n")).split(";");
      const [life, value, time] = ["consumer_id", "value", "timestamp"].map((name) => columns.indexOf(name));
      for (let start = text.indexOf("\n") + 1; start < text.length;) {
        const end = text.indexOf("\n", start);
        const row = text.slice(start, end).split(";");
        if (row.length !== columns.length) throw new Error(`${file}: not a row: ${text.slice(start, end)}`);
        const fraction = /\.(\d+)/.exec(row[time])?.[1] ?? "0";
        yield {
          life: Number(row[life]),
          number: Number(row[value]),
          nanos: Number(fraction.padEnd(9, "0")),
        };
        start = end + 1;
      }
    }
  },
};

export const OUTPUTS: readonly ChaosOutput[] = [csv];
