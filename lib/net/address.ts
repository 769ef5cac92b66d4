/**
 * Addresses as they stand in the configuration: `host:50051`, `192.168.1.10:50051`, `[::]:50051`,
 * `[fe80::a225:9fff:fe08:f874%eth0]:50051`; for listening also `:50051` and `50051`.
 */

/** A text is not an address; the message says why, and does not repeat the whole text. */
export class AddressError extends SyntaxError {
  override readonly name = "AddressError";
}

/** Where to listen, or where to connect to. */
export interface Address {
  /** What `Deno.listen` and `Deno.connect` take: a name or an address, without brackets, with its `%scope`. */
  readonly hostname: string;
  readonly port: number;
  /** The interface of a link-local IPv6 address, a name or a number. */
  readonly scope?: string;
  /** The family of an address; absent for a name. */
  readonly family?: "IPv4" | "IPv6";
}

export interface AddressOptions {
  /**
   * It is for listening: port 0 (any free one) is allowed, and a port without a host means all interfaces.
   *
   * @default {false}
   */
  listen?: boolean;
}

/** All interfaces, IPv6 and IPv4. */
const ALL_INTERFACES = "::";

/** @throws {AddressError} if the text is not an address. */
export function parseAddress(text: string, options: AddressOptions = {}): Address {
  if (text === "") {
    throw new AddressError(`it is empty; write ${options.listen ? "a port, or " : ""}HOST:PORT`);
  }
  if (/\s/.test(text)) throw new AddressError("it contains a space");
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text);
  if (scheme) throw new AddressError(`write HOST:PORT, without ${scheme[0]}`);
  return text.startsWith("[") ? bracketed(text, options) : plain(text, options);
}

/** The problem of an address, or `undefined`: for the `check` of a key. */
export function addressProblem(text: string, options: AddressOptions = {}): string | undefined {
  try {
    parseAddress(text, options);
    return undefined;
  } catch (error) {
    if (error instanceof AddressError) return error.message;
    throw error;
  }
}

/** The address as {@linkcode parseAddress} reads it. */
export function formatAddress(address: Pick<Address, "hostname" | "port">): string {
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  return `${host}:${address.port}`;
}

/** Whether the host is this machine itself. */
export function isLoopback(hostname: string): boolean {
  return /^(127\.[\d.]+|::1|::ffff:127\.[\d.]+|localhost)$/i.test(hostname);
}

function bracketed(text: string, options: AddressOptions): Address {
  const end = text.indexOf("]");
  if (end < 0) throw new AddressError("the bracket [ is not closed");
  const [ip, scope, ...more] = text.slice(1, end).split("%");
  const rest = text.slice(end + 1);
  if (more.length > 0) throw new AddressError("it contains more than one %");
  if (!isIPv6(ip)) {
    throw new AddressError(`${ip === "" ? "[]" : ip} is not an IPv6 address; brackets are for IPv6 only`);
  }
  if (rest !== "" && !rest.startsWith(":")) throw new AddressError("after ] only :PORT may follow");
  const port = parsePort(rest === "" ? undefined : rest.slice(1), `[${text.slice(1, end)}]`, options);
  const linkLocal = /^fe[89ab][0-9a-f]:/i.test(ip);
  if (scope === undefined) {
    if (linkLocal) {
      throw new AddressError(
        `${ip} is a link-local address, which needs its interface: add %INTERFACE, for example [${ip}%eth0]`,
      );
    }
    return { hostname: ip, port, family: "IPv6" };
  }
  if (scope === "") throw new AddressError("the interface is missing after %");
  const encoded = /^25([A-Za-z].*)$/.exec(scope);
  if (encoded) {
    throw new AddressError(`%${scope} is the interface ${encoded[1]} as in a URL; write %${encoded[1]}`);
  }
  if (!/^[0-9]+$/.test(scope)) {
    // The kernel's limit is 15 bytes; / and control characters cannot be in a name.
    if (scope.length > 15 || !/^[!-~]+$/.test(scope) || scope.includes("/")) {
      throw new AddressError(`${scope} cannot be the name of an interface`);
    }
    if (!linkLocal && !/^ff/i.test(ip)) {
      throw new AddressError(`%${scope} fits link-local addresses (fe80::) only; leave it out`);
    }
  } else if (Number(scope) === 0 ? linkLocal : Number(scope) > 0xffff_ffff) {
    throw new AddressError(`${scope} cannot be the number of an interface`);
  }
  return { hostname: `${ip}%${scope}`, port, scope, family: "IPv6" };
}

function plain(text: string, options: AddressOptions): Address {
  const parts = text.split(":");
  if (parts.length > 2) {
    const last = text.lastIndexOf(":");
    const isScoped = (ip: string) => isIPv6(ip.split("%")[0]);
    // ::1:50051 is an address as a whole, but fe80::1%eth0:50051 has its port behind the interface.
    if (isScoped(text) && !text.includes("%")) {
      throw new AddressError(`an IPv6 address needs brackets: [${text}]:PORT`);
    }
    if (isScoped(text.slice(0, last))) {
      throw new AddressError(`an IPv6 address needs brackets: [${text.slice(0, last)}]${text.slice(last)}`);
    }
    if (isScoped(text)) throw new AddressError(`an IPv6 address needs brackets: [${text}]:PORT`);
    throw new AddressError("it contains more than one :; write HOST:PORT, an IPv6 address in brackets");
  }
  const [host, portText] = parts.length === 1 && /^[0-9]+$/.test(text) ? ["", text] : parts;
  const port = parsePort(portText, host, options);
  if (host === "" || host === "*") {
    if (options.listen) return { hostname: ALL_INTERFACES, port, family: "IPv6" };
    throw new AddressError(`it names no host; write HOST:${port}, for example 127.0.0.1:${port}`);
  }
  if (/^[0-9.]*\.?[0-9]+$/.test(host)) {
    if (!isIPv4(host)) throw new AddressError(`${host} is not an IPv4 address (four numbers from 0 to 255)`);
    return { hostname: host, port, family: "IPv4" };
  }
  const problem = hostNameProblem(host);
  if (problem) throw new AddressError(`${host} cannot be a host name: ${problem}`);
  return { hostname: host, port };
}

function parsePort(
  text: string | undefined,
  host: string,
  { listen = false }: AddressOptions,
): number {
  if (text === undefined) {
    throw new AddressError(`it has no port; write ${host}:PORT`);
  }
  if (text === "") throw new AddressError("the port is missing after the :");
  const port = Number(text);
  if (!/^[0-9]{1,9}$/.test(text) || port > 65_535 || (port === 0 && !listen)) {
    throw new AddressError(`port ${text} is not a number from ${listen ? 0 : 1} to 65535`);
  }
  return port;
}

function isIPv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 &&
    parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255);
}

function isIPv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [h, half] of halves.entries()) {
    const parts = half === "" ? [] : half.split(":");
    for (const [i, part] of parts.entries()) {
      if (/^[0-9a-f]{1,4}$/i.test(part)) groups += 1;
      else if (h === halves.length - 1 && i === parts.length - 1 && isIPv4(part)) groups += 2;
      else return false;
    }
  }
  return halves.length === 2 ? groups <= 7 : groups === 8;
}

function hostNameProblem(host: string): string | undefined {
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  if (name.length > 253) return "it is longer than 253 characters";
  for (const label of name.split(".")) {
    if (label === "") return "two dots are side by side, or it starts with one";
    if (label.length > 63) return "a part of it is longer than 63 characters";
    const bad = /[^A-Za-z0-9_-]/u.exec(label);
    if (bad) return `it contains ${JSON.stringify(bad[0])}`;
    if (label.startsWith("-") || label.endsWith("-")) return "a part of it starts or ends with -";
  }
  return undefined;
}

/** A network interface of this machine. */
export interface NetworkInterface {
  readonly name: string;
  readonly index: number;
}

/** The interfaces of this machine, with or without an address, by their number; empty if the system does not tell. */
export function listInterfaces(root = "/sys/class/net"): NetworkInterface[] {
  try {
    const interfaces: NetworkInterface[] = [];
    for (const { name } of Deno.readDirSync(root)) {
      try {
        interfaces.push({ name, index: Number(Deno.readTextFileSync(`${root}/${name}/ifindex`)) });
      } catch {
        // Not an interface (bonding_masters), or one that has just disappeared.
      }
    }
    return interfaces.sort((a, b) => a.index - b.index);
  } catch {
    return [];
  }
}

/**
 * The problem of the interface of an address, or `undefined` if it exists, the address has none, or the interfaces
 * are unknown.
 */
export function interfaceProblem(
  { scope }: Pick<Address, "scope">,
  interfaces?: readonly NetworkInterface[],
): string | undefined {
  if (scope === undefined) return undefined;
  interfaces ??= listInterfaces();
  if (interfaces.length === 0) return undefined;
  const byNumber = /^[0-9]+$/.test(scope);
  if (interfaces.some(({ name, index }) => name === scope || (byNumber && index === Number(scope)))) {
    return undefined;
  }
  const known = interfaces.map(({ name, index }) => `${name} (${index})`).join(", ");
  return `interface ${scope} does not exist; there are ${known}`;
}

/** A URL that secrets should not be sent to. */
export function isOpenUrl(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !/^(127\.[\d.]+|\[::1\]|localhost)$/.test(hostname);
}
