/** What passes between the output and the thread that reads its database. */
import type { PastHost, PastPower } from "../../../plugin.ts";

/** What somebody wants to see of the last `spanSeconds`. */
export interface Question {
  /** The power of all hosts, or everything of one: its name is empty for this process. */
  readonly about: { readonly kind: "power" } | { readonly kind: "host"; readonly name: string };
  readonly spanSeconds: number;
  /** In seconds since the epoch. */
  readonly nowSeconds: number;
}

export type Past = PastHost | PastPower;

export interface HistoryRequest {
  readonly path: string;
  readonly question: Question;
}

export type HistoryAnswer = { readonly past: Past } | { readonly problem: string };
