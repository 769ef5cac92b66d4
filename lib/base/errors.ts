/** Exit codes, after sysexits.h. */
export const EXIT = {
  ok: 0,
  /** The command line is wrong. */
  usage: 64,
  /** Data that the program keeps is damaged, or of another version. */
  data: 65,
  /** A service, address or file that is needed is not available. */
  unavailable: 69,
  /** Internal error. */
  software: 70,
  /** It runs, and cannot do its work at present. */
  tempfail: 75,
  /** The configuration is wrong. */
  config: 78,
} as const;

/** One of {@linkcode EXIT}. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** An error that ends the process: the message says what, where and what to do. */
export class ExitError extends Error {
  override readonly name = "ExitError";

  constructor(readonly exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Why `fetch` got no answer, without the address, which stands beside it. Deno 2.6 says it in the error, newer ones in
 * what caused the error.
 */
export function requestProblem(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const message = messageOf(cause);
  return message.replace(/^error sending request(?: .*?\))?: /, "");
}
