/**
 * Marks in the journals around a stage (see `isMark`), whose numbers are what the stage must know after a restart.
 *
 * In the journal behind it, in the very records that hold its results:
 *
 *     place    one more than the number of the batch whose results end with this record
 *     need     one more than the number of the oldest batch that was still needed then
 *     part     how many records have been written that begin or continue the results of a batch, and do not end them
 *     base     what `part` was when the results of the batch of `place` ended
 *
 * In the journal before it:
 *
 *     tick     a tick
 *     flush    everything that the transform has is to be completed
 */
import { type ClientRecord, type ClientTable, markName } from "../../points/origins.ts";

const KINDS = ["place", "need", "part", "base", "tick", "flush"] as const;
export type MarkKind = typeof KINDS[number];

/**
 * A mark for the stage that reads the journal with this id.
 *
 * @param id 32 hexadecimal digits. Marks with the same instance would share one number, so each kind changes the id.
 */
export function markOf(clients: ClientTable, kind: MarkKind, id: string): ClientRecord {
  const digits = KINDS.indexOf(kind).toString(16).padStart(2, "0");
  return clients.get(markName(kind), digits + id.slice(digits.length));
}
