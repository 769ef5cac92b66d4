/** The thread that reads the database for whoever looks back: a question may take seconds, and nothing else waits for it. */
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../../base/errors.ts";
import { answer } from "./answers.ts";
import type { HistoryAnswer, HistoryRequest } from "./messages.ts";

/** How long SQLite waits where another process has locked the database, in ms. */
const BUSY_MS = 1000;

/** The thread's side of the conversation; a reference to the types of workers would replace those of all other modules. */
interface Port {
  onmessage: ((event: MessageEvent<HistoryRequest>) => void) | null;
  postMessage(message: HistoryAnswer): void;
}
const port = self as unknown as Port;

/** Each question opens the database: the file may be another one by then. */
function ask({ path, question }: HistoryRequest): HistoryAnswer {
  try {
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      db.prepare(`PRAGMA busy_timeout = ${BUSY_MS}`).get();
      // All of it is of one state: housekeeping moves what is read here.
      db.exec("BEGIN");
      return { past: answer(db, question) };
    } finally {
      db.close();
    }
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

port.onmessage = ({ data }) => port.postMessage(ask(data));
