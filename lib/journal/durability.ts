/** Waiting until batches are safe. */
import type { ClientTable } from "../points/origins.ts";

/** Resolves when the condition holds, which is looked at whenever something has become safe. */
export function untilSafe(clients: ClientTable, isSafe: () => boolean): Promise<void> {
  if (isSafe()) return Promise.resolve();
  return new Promise((resolve) => {
    const listening = clients.onProgress(() => {
      if (!isSafe()) return;
      listening[Symbol.dispose]();
      resolve();
    });
  });
}
