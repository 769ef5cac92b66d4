/** `alumet-relay top`: the hosts of a running process, again and again; once where standard output is no terminal. */
import { EXIT, ExitError } from "../../base/errors.ts";
import { onAbort, Wakeup } from "../../base/waiting.ts";
import type { Status } from "../../seeing/api.ts";
import type { HostRow } from "../../seeing/live/hosts.ts";
import type { CommandLine } from "../parse.ts";
import { ENDING, stopOnSignal } from "../stop_signals.ts";
import type { Surroundings } from "../world.ts";
import { type AgentSource, askJson, findAgent } from "./source.ts";
import { type Sort, topScreen } from "./top_screen.ts";

/** How often the screen is drawn, in ms. */
const REFRESH_MS = 2000;
/** A process that nobody has looked at has no rates and no power yet: how long it gets, in ms. */
const FIRST_MS = 1200;
const PLAIN_COLUMNS = 120;

/** Another screen, without the cursor, and without a second line for what does not fit into the first. */
const ENTER_SCREEN = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE_SCREEN = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/** Of a terminal that does not say how large it is. */
const USUAL_SIZE = { columns: 80, rows: 24 };
const KEYS: Readonly<Record<string, Sort>> = {
  s: "state",
  n: "name",
  p: "power",
  r: "rate",
  l: "contact",
  w: "waiting",
};
const HELP = "sort: s state n name p power r rate l last w waiting   / filter   q quit";

interface Seen {
  readonly status: Status;
  readonly hosts: HostRow[];
}

async function look(source: AgentSource): Promise<Seen> {
  const [status, hosts] = await Promise.all([
    askJson(source, "/api/v1/status"),
    askJson(source, "/api/v1/hosts"),
  ]);
  return { status, hosts };
}

export async function top(line: CommandLine, world: Surroundings): Promise<number> {
  const { source } = await findAgent(line, world);
  // Those of editors and logs take no commands for the screen.
  const isTerminal = world.terminal() && Deno.stdin.isTerminal() && world.env("TERM") !== "dumb";
  await look(source);
  if (isTerminal) return await new Top(source, world).run();
  await new Wakeup().wait(FIRST_MS);
  const { status, hosts } = await look(source);
  const layout = { columns: PLAIN_COLUMNS, sort: "state", filter: "", from: 0, color: false } as const;
  world.stdout(topScreen(status, hosts, layout).map((text) => text.trimEnd() + "\n").join(""));
  return EXIT.ok;
}

/** A screen that is drawn again and again, and keys. */
class Top {
  readonly #source: AgentSource;
  readonly #world: Surroundings;
  readonly #wakeup = new Wakeup();
  #sort: Sort = "state";
  #filter = "";
  #isTyping = false;
  #from = 0;
  #isOver = false;
  #seen: Seen | null = null;
  #problem = "";

  constructor(source: AgentSource, world: Surroundings) {
    this.#source = source;
    this.#world = world;
  }

  async run(): Promise<number> {
    Deno.stdin.setRaw(true, { cbreak: true });
    this.#world.stdout(ENTER_SCREEN);
    const onResize = () => this.#draw();
    Deno.addSignalListener("SIGWINCH", onResize);
    // The terminal becomes as it was before.
    using stop = stopOnSignal(ENDING);
    using _ending = onAbort(stop.signal, () => {
      this.#isOver = true;
      this.#wakeup.wake();
    });
    try {
      void this.#readKeys();
      while (!this.#isOver) {
        try {
          this.#seen = await look(this.#source);
          this.#problem = "";
        } catch (error) {
          if (!(error instanceof ExitError)) throw error;
          this.#problem = error.message;
        }
        this.#draw();
        await this.#wakeup.wait(REFRESH_MS);
      }
    } finally {
      Deno.removeSignalListener("SIGWINCH", onResize);
      this.#world.stdout(LEAVE_SCREEN);
      Deno.stdin.setRaw(false);
    }
    return EXIT.ok;
  }

  async #readKeys(): Promise<void> {
    const buffer = new Uint8Array(64);
    while (!this.#isOver) {
      const count = await Deno.stdin.read(buffer);
      if (count === null) break;
      this.#press(new TextDecoder().decode(buffer.subarray(0, count)));
      this.#draw();
    }
    this.#isOver = true;
    this.#wakeup.wake();
  }

  #press(key: string): void {
    if (key === "\x03") return void (this.#isOver = true);
    if (this.#isTyping) {
      if (key === "\r" || key === "\n") this.#isTyping = false;
      else if (key === "\x1b") [this.#isTyping, this.#filter] = [false, ""];
      else if (key === "\x7f" || key === "\b") this.#filter = this.#filter.slice(0, -1);
      // deno-lint-ignore no-control-regex
      else if (/^[^\x00-\x1f]+$/.test(key)) this.#filter += key;
      this.#from = 0;
      return;
    }
    if (key === "q") this.#isOver = true;
    else if (key === "/") [this.#isTyping, this.#filter] = [true, ""];
    else if (key === "\x1b") this.#filter = "";
    else if (key === "\x1b[B" || key === "j") this.#from++;
    else if (key === "\x1b[A" || key === "k") this.#from--;
    else if (key === "\x1b[6~" || key === " ") this.#from += 10;
    else if (key === "\x1b[5~") this.#from -= 10;
    else if (key in KEYS) [this.#sort, this.#from] = [KEYS[key], 0];
    this.#from = Math.max(0, Math.min(this.#from, (this.#seen?.hosts.length ?? 1) - 1));
  }

  #draw(): void {
    if (!this.#seen || this.#isOver) return;
    const { columns, rows } = sizeOf();
    const color = !this.#world.env("NO_COLOR");
    const lines = topScreen(this.#seen.status, this.#seen.hosts, {
      columns,
      rows: rows - 1,
      sort: this.#sort,
      filter: this.#filter,
      from: this.#from,
      color,
    });
    const last = this.#problem || (this.#isTyping || this.#filter ? `/${this.#filter}` : HELP);
    const text = [...lines.slice(0, rows - 1), last.slice(0, columns)].join("\x1b[K\r\n");
    this.#world.stdout(`\x1b[H${text}\x1b[K\x1b[J`);
  }
}

function sizeOf(): { columns: number; rows: number } {
  const { columns, rows } = Deno.consoleSize();
  return { columns: columns || USUAL_SIZE.columns, rows: rows || USUAL_SIZE.rows };
}
