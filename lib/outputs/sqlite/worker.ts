/**
 * The thread that writes the database: SQLite's calls do not return before the disk has answered, and nothing else must
 * wait for that. Answers requests in order; in between it keeps house.
 */
import { Timer } from "../../base/timers.ts";
import { buffersOf } from "../threads/point_columns.ts";
import type { Answer, PointGroup, Request, StoreOptions } from "./messages.ts";
import { Store } from "./store.ts";
import { StoreError, storeError } from "./store_error.ts";

/** How long nothing must come before there is time for housekeeping, and how long that may wait, in ms. */
const IDLE_MS = 20;
const IDLE_INTERVAL_MS = 1000;

/** The thread's side of the conversation; a reference to the types of workers would replace those of all other modules. */
interface Port {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Answer, transfer: Transferable[]): void;
}
const port = self as unknown as Port;

let store: Store | null = null;
let options: StoreOptions | null = null;
/** The tables were just looked after, because something was missing. */
let mended = false;
let timer: Timer | undefined;

/** The database; one that was closed because of what somebody did to it is opened again. */
function opened(): Store {
  if (store) return store;
  if (!options) throw new StoreError("later", "the database is not open");
  try {
    return store = new Store(options);
  } catch (error) {
    throw withAdvice(storeError(error));
  }
}

function withAdvice(error: StoreError): StoreError {
  if (error.problem !== "schema") return error;
  return new StoreError(
    "fatal",
    `${error.message}; repair it, or move the file away (the output creates a new one)`,
  );
}

function write(group: PointGroup): void {
  const database = opened();
  try {
    database.write(group);
    mended = false;
  } catch (error) {
    const { problem, message } = storeError(error);
    if (problem !== "moved" && problem !== "schema") throw error;
    if (problem === "schema" && mended) throw withAdvice(storeError(error));
    mended = problem === "schema";
    database.leave();
    store = null;
    opened();
    // The new one knows no series.
    throw new StoreError("forgotten", message);
  }
}

function answerTo(request: Request): unknown {
  switch (request.type) {
    case "open":
      options = request.options;
      return opened().stats;
    case "position":
      return opened().position(request.journal);
    case "sequence":
      return opened().sequence(request.instance);
    case "write":
      write(request.group);
      if (request.group.busy) tryToKeepHouse(true);
      return opened().stats;
    case "limits":
      if (options) options = { ...options, limits: request.limits };
      if (store) store.limits = request.limits;
      return undefined;
    case "close":
      store?.[Symbol.dispose]();
      store = options = null;
      return undefined;
  }
}

/** What fails here is tried again with the next step; whatever is wrong shows itself in a write. */
function tryToKeepHouse(busy: boolean): boolean {
  try {
    return store?.keepHouse(Date.now(), busy, performance.now()) ?? false;
  } catch {
    return false;
  }
}

function whenIdle(ms: number): void {
  timer?.[Symbol.dispose]();
  if (store) timer = Timer.after(ms, () => whenIdle(tryToKeepHouse(false) ? 0 : IDLE_INTERVAL_MS));
}

port.onmessage = ({ data }) => {
  const columns = data.type === "write" ? data.group.columns : undefined;
  const transfer = columns ? buffersOf(columns) : [];
  const answer = (rest: Answer) => port.postMessage({ columns, ...rest }, transfer);
  try {
    answer({ result: answerTo(data) });
  } catch (error) {
    const { problem, message, refused } = storeError(error);
    answer({ failure: { problem, message, refused } });
  }
  whenIdle(IDLE_MS);
};
