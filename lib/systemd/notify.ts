/** Notifies a service manager: sd_notify(3), datagrams of `NAME=value` lines to the socket in `$NOTIFY_SOCKET`. */
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";

/** One line of a message. */
export type Assignment =
  | "READY=1"
  | "RELOADING=1"
  | "STOPPING=1"
  | "WATCHDOG=1"
  | `STATUS=${string}`
  | `MONOTONIC_USEC=${number}`
  | `EXTEND_TIMEOUT_USEC=${number}`;

type Environment = (name: string) => string | undefined;

/**
 * Times of the monotonic clock, never earlier than now: a manager ignores a `RELOADING=1` with a time before its own
 * request. Deno has no CLOCK_MONOTONIC; /proc/uptime is that clock in hundredths of a second, or ahead of it on a machine
 * that was suspended. If the unit hides that file, only whole seconds are available, which the kernel rounds up
 * (sysinfo(2)). It is read once, because the process may drop the permission.
 */
export class MonotonicClock {
  readonly #uptimeUs: number;
  readonly #atMs = performance.now();

  constructor(read: () => string = () => Deno.readTextFileSync("/proc/uptime")) {
    try {
      this.#uptimeUs = Math.round(Number(read().split(" ")[0]) * 1e6) + 10_000;
    } catch {
      this.#uptimeUs = Deno.osUptime() * 1e6;
    }
  }

  /** In µs. */
  now(): number {
    return this.#uptimeUs + Math.ceil((performance.now() - this.#atMs) * 1000);
  }
}

/** Messages that wait for a manager that takes none; further ones are not sent. */
const MAX_WAITING = 100;

/** The manager of this service. What cannot be told is logged once, and is no reason to fail. */
export class Notifier implements Disposable {
  readonly #socket: Deno.DatagramConn;
  readonly #to: Deno.UnixAddr;
  readonly #log: Logger;
  #complained = false;
  #closed = false;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  private constructor(socket: Deno.DatagramConn, path: string, log: Logger) {
    this.#socket = socket;
    this.#to = { transport: "unixpacket", path };
    this.#log = log;
  }

  /** `null` where there is no manager, or it cannot be reached, which is then logged. */
  static open(env: Environment, log: Logger): Notifier | null {
    const address = env("NOTIFY_SOCKET");
    if (!address) return null;
    if (!/^[/@]/.test(address)) {
      log.warn(
        "Cannot tell the service manager anything: NOTIFY_SOCKET is neither a path nor an abstract socket",
        {
          NOTIFY_SOCKET: address,
        },
      );
      return null;
    }
    try {
      return new Notifier(bindSomewhere(env), address.replace(/^@/, "\0"), log);
    } catch (error) {
      log.warn(`Cannot tell the service manager anything: ${messageOf(error)}`);
      return null;
    }
  }

  /** Sends one message, after those before it. Resolves when the manager has it, or it cannot be sent. */
  send(...assignments: readonly Assignment[]): Promise<void> {
    if (this.#waiting >= MAX_WAITING) return Promise.resolve();
    this.#waiting++;
    return this.#last = this.#last.then(() => this.#send(assignments)).finally(() => this.#waiting--);
  }

  async #send(assignments: readonly Assignment[]): Promise<void> {
    const text = assignments.map((line) => line.replaceAll("\n", " ")).join("\n");
    try {
      await this.#socket.send(new TextEncoder().encode(text), this.#to);
      this.#complained = false;
    } catch (error) {
      if (this.#complained || this.#closed) return;
      this.#complained = true;
      const abstract = this.#to.path.startsWith("\0") && error instanceof TypeError;
      this.#log.warn(
        `Cannot tell the service manager ${assignments[0]}: ${
          abstract ? `Deno ${Deno.version.deno} cannot send to an abstract socket` : messageOf(error)
        }`,
      );
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#socket.close();
  }
}

/** Deno sends only from a socket that has a name; nobody answers, so the name need not last. */
function bindSomewhere(env: Environment): Deno.DatagramConn {
  let failure: unknown;
  const runtime = env("RUNTIME_DIRECTORY")?.split(":")[0];
  for (const dir of [runtime, undefined]) {
    if (dir === "") continue;
    let folder: string | undefined;
    try {
      folder = Deno.makeTempDirSync({ dir, prefix: "alumet-relay-notify-" });
      return Deno.listenDatagram({ transport: "unixpacket", path: `${folder}/socket` });
    } catch (error) {
      failure = error;
    } finally {
      if (folder) Deno.removeSync(folder, { recursive: true });
    }
  }
  throw failure;
}
