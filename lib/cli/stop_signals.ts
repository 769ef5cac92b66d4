/** A command that is stopped by the terminal or a service manager tidies up first. */

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/** A signal that is aborted when the process is to stop; until it is disposed of, that does not end the process. */
export function stopOnSignal(): { readonly signal: AbortSignal } & Disposable {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const name of SIGNALS) Deno.addSignalListener(name, onSignal);
  return {
    signal: stop.signal,
    [Symbol.dispose]() {
      for (const name of SIGNALS) Deno.removeSignalListener(name, onSignal);
    },
  };
}
