/**
 * Asks a management controller through the kernel's device (https://docs.kernel.org/driver-api/ipmi.html): open, send a
 * request, wait for its answer. The structs lie in memory as `linux/ipmi.h` declares them for 64 bits.
 */
import { ERRNO, errnoOf, openLibc } from "../../base/libc.ts";

/** A request of IPMI. */
export interface IpmiRequest {
  /** The network function: which kind of command it is. */
  readonly netFunction: number;
  readonly command: number;
  readonly data: readonly number[];
}

/** The device cannot be opened or asked. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";

  constructor(readonly errorNumber: number, action: string, meaning: string) {
    super(`cannot ${action}: ${meaning} (error ${errorNumber})`);
  }

  /** This process may not open it. */
  get isDenied(): boolean {
    return this.errorNumber === EPERM || this.errorNumber === EACCES;
  }
}

const EPERM = 1;
const EACCES = 13;
const O_RDWR = 2;
const O_CLOEXEC = 0x80000;
const POLLIN = 1;
/** How long a thread waits for an answer before it looks whether somebody still wants it, in ms. */
const TURN_MS = 100;

const IPMICTL_SEND_COMMAND = 0x8028690dn;
const IPMICTL_RECEIVE_MSG_TRUNC = 0xc030690bn;
const IPMI_SYSTEM_INTERFACE_ADDR_TYPE = 0x0c;
const IPMI_BMC_CHANNEL = 0x0f;
const IPMI_RESPONSE_RECV_TYPE = 1;
/** In the network function of an answer. */
const IS_ANSWER = 1;

/** Where the parts of a message lie in one piece of memory, in bytes. */
const STRUCT = 0;
const ADDRESS = 64;
const DATA = 128;
/** `struct ipmi_system_interface_addr`, and room for any address. */
const ADDRESS_BYTES = 8;
const MOST_ADDRESS_BYTES = 40;
/** `IPMI_MAX_MSG_LENGTH`: the longest message. */
const MOST_DATA_BYTES = 272;

const SYMBOLS = {
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  // The controller answers within milliseconds or seconds: another thread waits for it.
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
  close: { parameters: ["i32"], result: "i32" },
  strerror: { parameters: ["i32"], result: "pointer" },
  ...ERRNO,
} as const;

type Libc = Deno.StaticForeignLibraryInterface<typeof SYMBOLS>;

/** The device of a controller. */
class IpmiDevice implements Disposable {
  readonly #libc: Libc;
  readonly #descriptor: number;
  /** `struct pollfd`. It is a field so that it lives as long as the thread that waits. */
  readonly #waited = new Uint8Array(new ArrayBuffer(8));
  #messageId = 0;

  /** @throws {DeviceError} if it cannot be opened */
  constructor(libc: Libc, path: string) {
    this.#libc = libc;
    this.#descriptor = libc.open(new TextEncoder().encode(`${path}\0`), O_RDWR | O_CLOEXEC, 0);
    if (this.#descriptor < 0) throw this.#error(`open ${path}`);
    const view = new DataView(this.#waited.buffer);
    view.setInt32(0, this.#descriptor, true);
    view.setInt16(4, POLLIN, true);
  }

  /**
   * Sends a request and waits for its answer.
   *
   * @returns the completion code and the data behind it; `null` if the signal is aborted before there is an answer
   * @throws {DeviceError} if the driver refuses it
   */
  async ask(request: IpmiRequest, signal: AbortSignal): Promise<Uint8Array | null> {
    const id = ++this.#messageId;
    const message = encodeRequest(request, id);
    if (this.#libc.ioctl(this.#descriptor, IPMICTL_SEND_COMMAND, message) < 0) throw this.#error("ask");
    while (!signal.aborted) {
      if (await this.#libc.poll(this.#waited, 1n, TURN_MS) <= 0) continue;
      const received = emptyAnswer();
      if (this.#libc.ioctl(this.#descriptor, IPMICTL_RECEIVE_MSG_TRUNC, received) < 0) {
        throw this.#error("read the answer");
      }
      const answer = decodeAnswer(received, request, id);
      if (answer) return answer;
    }
    return null;
  }

  #error(action: string): DeviceError {
    const number = errnoOf(this.#libc);
    const meaning = this.#libc.strerror(number);
    return new DeviceError(
      number,
      action,
      meaning === null ? "unknown error" : new Deno.UnsafePointerView(meaning).getCString(),
    );
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#descriptor);
  }
}

/** Opens the device with this path. @throws {DeviceError} if it cannot be opened */
export type OpenDevice = (path: string) => IpmiDevice;

let opener: OpenDevice | null = null;

/** Opens devices of this machine; `null` where there is no C library or no permission to call it. */
export function systemDevices(): OpenDevice | null {
  if (opener) return opener;
  // It is never closed: the process has it loaded in any case.
  const library = openLibc(SYMBOLS);
  return library && (opener = devicesOf(library.symbols));
}

/** Opens devices by the C library in this file, for tests. */
export function devicesOfLibrary(path: string): { open: OpenDevice } & Disposable {
  const library = Deno.dlopen(path, SYMBOLS);
  return { open: devicesOf(library.symbols), [Symbol.dispose]: () => library.close() };
}

function devicesOf(libc: Libc): OpenDevice {
  return (path) => new IpmiDevice(libc, path);
}

/** `struct ipmi_req`, with what it points to behind it. */
function encodeRequest({ netFunction, command, data }: IpmiRequest, id: number): Uint8Array<ArrayBuffer> {
  const { bytes, view, at } = memory();
  view.setInt32(ADDRESS, IPMI_SYSTEM_INTERFACE_ADDR_TYPE, true);
  view.setInt16(ADDRESS + 4, IPMI_BMC_CHANNEL, true);
  bytes.set(data, DATA);
  view.setBigUint64(STRUCT, at(ADDRESS), true);
  view.setUint32(STRUCT + 8, ADDRESS_BYTES, true);
  view.setBigInt64(STRUCT + 16, BigInt(id), true);
  view.setUint8(STRUCT + 24, netFunction);
  view.setUint8(STRUCT + 25, command);
  view.setUint16(STRUCT + 26, data.length, true);
  view.setBigUint64(STRUCT + 32, at(DATA), true);
  return bytes;
}

/** `struct ipmi_recv`, with room for what it points to behind it. */
function emptyAnswer(): Uint8Array<ArrayBuffer> {
  const { bytes, view, at } = memory();
  view.setBigUint64(STRUCT + 8, at(ADDRESS), true);
  view.setUint32(STRUCT + 16, MOST_ADDRESS_BYTES, true);
  view.setUint16(STRUCT + 34, MOST_DATA_BYTES, true);
  view.setBigUint64(STRUCT + 40, at(DATA), true);
  return bytes;
}

/** The data of an answer; `null` if it is an event, or the answer to another request. */
function decodeAnswer(
  bytes: Uint8Array<ArrayBuffer>,
  { netFunction, command }: IpmiRequest,
  id: number,
): Uint8Array | null {
  const view = new DataView(bytes.buffer);
  const isOurs = view.getInt32(STRUCT, true) === IPMI_RESPONSE_RECV_TYPE &&
    view.getBigInt64(STRUCT + 24, true) === BigInt(id) &&
    view.getUint8(STRUCT + 32) === (netFunction | IS_ANSWER) && view.getUint8(STRUCT + 33) === command;
  if (!isOurs) return null;
  return bytes.slice(DATA, DATA + Math.min(MOST_DATA_BYTES, view.getUint16(STRUCT + 34, true)));
}

function memory() {
  const bytes = new Uint8Array(new ArrayBuffer(DATA + MOST_DATA_BYTES));
  const base = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  return { bytes, view: new DataView(bytes.buffer), at: (offset: number) => base + BigInt(offset) };
}
