/** A session with PostgreSQL whose statements a test answers. */
import type { Session } from "../../lib/outputs/postgresql/session.ts";

type Answer = Record<string, unknown>[] | Error;

export class PlayedSession {
  /** The statements, with single spaces. */
  readonly texts: string[] = [];
  readonly values: (readonly unknown[] | undefined)[] = [];
  lost = false;

  constructor(readonly answer: (text: string, values?: readonly unknown[]) => Answer = () => []) {}

  get session(): Session {
    return this as unknown as Session;
  }

  query(text: string, values?: readonly unknown[]): Promise<unknown> {
    this.texts.push(text.replaceAll(/\s+/g, " ").trim());
    this.values.push(values);
    const rows = this.answer(text, values);
    return rows instanceof Error ? Promise.reject(rows) : Promise.resolve({ rows, rowCount: rows.length });
  }
}

/** An error of the database with this SQLSTATE. */
export const saying = (code: string) => Object.assign(new Error("no"), { code, severity: "ERROR" });
