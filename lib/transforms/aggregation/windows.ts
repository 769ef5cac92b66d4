/**
 * The windows that are open, as columns: a window is a number. Those of one series are linked with each other, the one
 * that got the last point first; all of them are linked in the order in which they were opened.
 */
import { grown, nextLength } from "../../base/growing.ts";
import type { ClientRecord } from "../../points/origins.ts";
import type { ExactContent, WindowNeeds } from "./functions.ts";

/** No window. */
export const NONE = -1;
const INITIAL_CAPACITY = 1024;
/** Memory of a window in the columns that each window has, in one of the others, of a list of values, and of a value, in bytes. */
const WINDOW_BYTES = 69;
const COLUMN_BYTES = 8;
const VALUES_BYTES = 200;
const VALUE_BYTES = 8;

export class Windows {
  /** The series. */
  base = new Uint32Array(INITIAL_CAPACITY);
  /** In ms since the epoch. */
  start = new Float64Array(INITIAL_CAPACITY);
  /** While it is the first one of its series: points before this time complete no other window of the series, in ms. */
  limit = new Float64Array(INITIAL_CAPACITY);
  /** Where the first of its points is in the journal. */
  place = new Float64Array(INITIAL_CAPACITY);
  /** When the last of its points came, in ticks modulo 2^32. */
  tick = new Uint32Array(INITIAL_CAPACITY);
  count = new Float64Array(INITIAL_CAPACITY);
  /** The sum; `Infinity` for integers that are in {@linkcode Windows.exact}. */
  sum = new Float64Array(INITIAL_CAPACITY);
  min: Float64Array<ArrayBuffer>;
  max: Float64Array<ArrayBuffer>;
  last: Float64Array<ArrayBuffer>;
  /** Whether the values are integers (1), and whether another window of the same time was completed before (2). */
  flags = new Uint8Array(INITIAL_CAPACITY);
  /** The next one of the same series. */
  sibling = new Int32Array(INITIAL_CAPACITY);
  /** The ones that were opened before and after it. */
  older = new Int32Array(INITIAL_CAPACITY);
  younger = new Int32Array(INITIAL_CAPACITY);
  readonly client: (ClientRecord | null)[] = [];
  /** All values, where functions need them. */
  readonly values: (number[] | null)[] = [];
  readonly exact: Map<number, ExactContent> = new Map();
  /** How many there are. */
  size = 0;
  valueCount = 0;
  /** What the series of the windows take, in bytes: they are kept for them. */
  seriesBytes = 0;
  oldest = NONE;
  #youngest = NONE;
  /** Numbers that are not in use, linked by {@linkcode Windows.sibling}. */
  #free = NONE;
  #end = 0;
  readonly #windowBytes: number;
  readonly #needs: WindowNeeds;

  constructor(needs: WindowNeeds) {
    const { extremes, last, values } = needs;
    this.#needs = needs;
    this.min = new Float64Array(extremes ? INITIAL_CAPACITY : 0);
    this.max = new Float64Array(extremes ? INITIAL_CAPACITY : 0);
    this.last = new Float64Array(last ? INITIAL_CAPACITY : 0);
    const columns = (extremes ? 2 : 0) + (last ? 1 : 0);
    this.#windowBytes = WINDOW_BYTES + columns * COLUMN_BYTES + (values ? VALUES_BYTES : 0);
  }

  /** What the open windows take. */
  get bytes(): number {
    return this.size * this.#windowBytes + this.valueCount * VALUE_BYTES + this.seriesBytes;
  }

  /** Opens one, whose fields the caller sets. */
  open(): number {
    let window = this.#free;
    if (window !== NONE) this.#free = this.sibling[window];
    else {
      window = this.#end++;
      if (window === this.start.length) this.#grow();
    }
    this.older[window] = this.#youngest;
    this.younger[window] = NONE;
    if (this.#youngest === NONE) this.oldest = window;
    else this.younger[this.#youngest] = window;
    this.#youngest = window;
    this.size++;
    return window;
  }

  /** Ends the use of a window, which is not among those of its series any more. */
  close(window: number): void {
    const [older, younger] = [this.older[window], this.younger[window]];
    if (older === NONE) this.oldest = younger;
    else this.younger[older] = younger;
    if (younger === NONE) this.#youngest = older;
    else this.older[younger] = older;
    if (this.#needs.values) {
      this.valueCount -= this.values[window]!.length;
      this.values[window] = null;
    }
    this.client[window] = null;
    if (this.exact.size > 0) this.exact.delete(window);
    this.sibling[window] = this.#free;
    this.#free = window;
    this.size--;
  }

  #grow(): void {
    const capacity = nextLength(this.start.length);
    const { extremes, last } = this.#needs;
    this.base = grown(this.base, capacity);
    this.start = grown(this.start, capacity);
    this.limit = grown(this.limit, capacity);
    this.place = grown(this.place, capacity);
    this.tick = grown(this.tick, capacity);
    this.count = grown(this.count, capacity);
    this.sum = grown(this.sum, capacity);
    if (extremes) {
      this.min = grown(this.min, capacity);
      this.max = grown(this.max, capacity);
    }
    if (last) this.last = grown(this.last, capacity);
    this.flags = grown(this.flags, capacity);
    this.sibling = grown(this.sibling, capacity);
    this.older = grown(this.older, capacity);
    this.younger = grown(this.younger, capacity);
  }
}
