/** Listens on an address of the configuration, or on a socket that systemd opened, and accepts connections. */
import { type Address, formatAddress, interfaceProblem } from "./address.ts";
import { delay } from "@std/async/delay";
import { PROCESS_CLOCK } from "../base/clock.ts";
import { Complaint } from "../base/complaint.ts";
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { adoptListener, passedDescriptors } from "./activation.ts";

/** Wait before accepting again after an error, in ms. */
const ACCEPT_RETRY_MS = 100;

/** What listening needs besides an address. */
export interface ListenOptions {
  /** The configuration key that the address comes from, for errors. */
  key: string;
  /** Opens the socket: `Deno.listen`. */
  open: (options: Deno.TcpListenOptions) => Deno.TcpListener;
  log: Logger;
}

/**
 * Listens on an address such as `[::]:50051` (which also takes IPv4), `127.0.0.1:50051` or `[fe80::1%eth0]:50051`.
 *
 * @throws {ExitError} that names the address and the key, if that is not possible.
 */
export function listen(address: Address, { key, open, log }: ListenOptions): Deno.TcpListener {
  const { hostname, port } = address;
  try {
    return open({ hostname, port });
  } catch (error) {
    if (hostname === "::" && !(error instanceof Deno.errors.AddrInUse)) {
      try {
        const listener = open({ hostname: "0.0.0.0", port });
        log.warn("IPv6 is not available, listening on IPv4 only", { address: `0.0.0.0:${port}` });
        return listener;
      } catch { /* the first error is more useful */ }
    }
    const reason = interfaceProblem(address) ??
      (error instanceof Deno.errors.AddrInUse
        ? "another program uses that port; stop it or choose another port"
        : error instanceof Deno.errors.AddrNotAvailable
        ? "no interface of this machine has that address"
        : messageOf(error));
    throw new ExitError(EXIT.unavailable, `Cannot listen on ${formatAddress(address)} (${key}): ${reason}`, {
      cause: error,
    });
  }
}

/**
 * Listens on the socket that systemd has passed to this process. If there is none, or this version of Deno cannot take
 * it, listens on the address like {@linkcode listen}.
 */
export async function listenOrAdopt(
  address: Address,
  options: ListenOptions,
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
): Promise<{ listener: Deno.TcpListener; isAdopted: boolean }> {
  const { key, log } = options;
  const [fd, ...others] = passedDescriptors(env);
  if (fd === undefined) return { listener: listen(address, options), isAdopted: false };
  if (others.length > 0) log.warn("systemd passed several sockets, using the first one", { fd });
  try {
    return { listener: await adoptListener(fd), isAdopted: true };
  } catch (error) {
    const reason = `Deno ${Deno.version.deno} cannot take a socket from systemd (${messageOf(error)})`;
    log.warn(`${reason}: listening without it`);
    try {
      return { listener: listen(address, options), isAdopted: false };
    } catch (error) {
      if (!(error instanceof ExitError) || !(error.cause instanceof Deno.errors.AddrInUse)) throw error;
      throw new ExitError(
        EXIT.unavailable,
        `Cannot listen on ${
          formatAddress(address)
        } (${key}): systemd uses that port, and ${reason}; release it with ` +
          `systemctl disable --now alumet-relay-server.socket`,
        { cause: error },
      );
    }
  }
}

/**
 * The connections of a listener, one after another, as long as `isOpen`: it must be false before the listener is closed.
 * An error (most likely there are no free file descriptors) ends nothing: connections wait in the kernel's queue until
 * the next try.
 */
export async function* accepted<C>(
  listener: { accept(): Promise<C> },
  isOpen: () => boolean,
  log: Logger,
  clock = PROCESS_CLOCK,
): AsyncGenerator<C, void> {
  const complaint = new Complaint(clock);
  while (isOpen()) {
    let conn: C;
    try {
      conn = await listener.accept();
    } catch (error) {
      if (!isOpen()) return;
      complaint.add((times) => {
        log.error("Cannot accept connections, retrying", { reason: messageOf(error), times });
      });
      await delay(ACCEPT_RETRY_MS);
      continue;
    }
    complaint.end(() => log.info("Connections are accepted again"));
    yield conn;
  }
}
