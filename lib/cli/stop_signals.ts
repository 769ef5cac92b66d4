/** A command that is stopped by the terminal or a service manager tidies up first. */

const SIGNALS: readonly Deno.Signal[] = ["SIGINT", "SIGTERM"];
/** The same, and that the terminal has gone. */
export const ENDING: readonly Deno.Signal[] = [...SIGNALS, "SIGHUP"];

/** A signal that is aborted when the process is to stop; until it is disposed of, that does not end the process. */
export function stopOnSignal(names = SIGNALS): { readonly signal: AbortSignal } & Disposable {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const name of names) Deno.addSignalListener(name, onSignal);
  return {
    signal: stop.signal,
    [Symbol.dispose]() {
      for (const name of names) Deno.removeSignalListener(name, onSignal);
    },
  };
}
