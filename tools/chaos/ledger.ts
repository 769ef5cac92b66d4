/**
 * What a client says of its points beside the pipe: three numbers in a file of its own for each life. They are written
 * by single small writes, which a kill cannot tear, and stay in the kernel's memory when the process is killed.
 */

/** All numbers are counts, and so the number of the first point that does not belong to them. */
export interface Life {
  readonly life: number;
  /** It was about to hand these over: there can be no others. */
  readonly begun: number;
  /** The journal has taken these. */
  readonly taken: number;
  /** The journal had made these durable: whatever happens then, they come. */
  readonly durable: number;
}

const WIDTH = 20;
const FIELDS = ["begun", "taken", "durable"] as const;

/** Of the lives so far. */
export function readLives(directory: string): Life[] {
  const lives: Life[] = [];
  for (const { name } of Deno.readDirSync(directory)) {
    const life = /^life-(\d+)$/.exec(name)?.[1];
    if (life === undefined) continue;
    const text = Deno.readTextFileSync(`${directory}/${name}`);
    const [begun, taken, durable] = FIELDS.map((_, i) => Number(text.slice(i * WIDTH, (i + 1) * WIDTH)));
    lives.push({ life: Number(life), begun, taken, durable });
  }
  return lives.sort((a, b) => a.life - b.life);
}

export class LedgerWriter {
  readonly life: number;
  readonly #file: Deno.FsFile;
  #durable = 0;

  private constructor(life: number, file: Deno.FsFile) {
    this.life = life;
    this.#file = file;
    for (let i = 0; i < FIELDS.length; i++) this.#write(i, 0);
  }

  /** A new life. */
  static begin(directory: string): LedgerWriter {
    const life = (readLives(directory).at(-1)?.life ?? 0) + 1;
    const file = Deno.openSync(`${directory}/life-${life}`, { createNew: true, write: true });
    return new LedgerWriter(life, file);
  }

  begun(count: number): void {
    this.#write(0, count);
  }

  taken(count: number): void {
    this.#write(1, count);
  }

  durable(count: number): void {
    if (count > this.#durable) this.#write(2, this.#durable = count);
  }

  #write(field: number, count: number): void {
    this.#file.seekSync(field * WIDTH, Deno.SeekMode.Start);
    this.#file.writeSync(new TextEncoder().encode(String(count).padEnd(WIDTH - 1) + "\n"));
  }

  close(): void {
    this.#file.close();
  }
}
