/**
 * The thread that writes the database: SQLite's calls do not return before the disk has answered, and nothing else must
 * wait for that. Answers requests in order; in between it keeps house.
 */
import type { Answer, Request } from "./messages.ts";
import { Store } from "./store.ts";
import { StoreError, storeError } from "./store_error.ts";

/** How long nothing must come before there is time for housekeeping, and how long that may wait, in ms. */
const IDLE_MS = 20;
const IDLE_INTERVAL_MS = 1000;

/** The thread's side of the conversation; a reference to the types of workers would replace those of all other modules. */
interface Port {
  onmessage: ((event: MessageEvent<Request & { readonly id: number }>) => void) | null;
  postMessage(message: Answer, transfer: Transferable[]): void;
}
const port = self as unknown as Port;

let store: Store | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;

function opened(): Store {
  if (!store) throw new StoreError("later", "the database is not open");
  return store;
}

function answerTo(request: Request): unknown {
  switch (request.type) {
    case "open":
      store ??= new Store(request.options);
      return store.stats;
    case "position":
      return opened().position(request.journal);
    case "sequence":
      return opened().sequence(request.instance);
    case "write":
      opened().write(request.group);
      if (request.group.busy) tryToKeepHouse(true);
      return opened().stats;
    case "keep":
      store?.keep(request.keepMs);
      return undefined;
    case "close":
      store?.[Symbol.dispose]();
      store = null;
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
  clearTimeout(timer);
  if (store) timer = setTimeout(() => whenIdle(tryToKeepHouse(false) ? 0 : IDLE_INTERVAL_MS), ms);
}

port.onmessage = ({ data }) => {
  const columns = data.type === "write" ? data.group.columns : undefined;
  const transfer = columns ? [columns.series, columns.seconds, columns.nanos, columns.values] : [];
  const answer = (rest: Omit<Answer, "id">) => {
    port.postMessage(
      { id: data.id, columns, ...rest } satisfies Answer,
      transfer.map(({ buffer }) => buffer),
    );
  };
  try {
    answer({ result: answerTo(data) });
  } catch (error) {
    const { problem, message } = storeError(error);
    answer({ failure: { problem, message } });
  }
  whenIdle(IDLE_MS);
};
