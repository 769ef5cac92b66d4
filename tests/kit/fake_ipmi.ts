/** A made-up management controller behind the kernel's device (./fake_ipmi.c). */
import { devicesOfLibrary, type OpenDevice } from "../../lib/inputs/ipmi/device.ts";
import { compileLibrary } from "./c_library.ts";

const SYMBOLS = {
  ipmi_reset: { parameters: ["i32", "i32"], result: "void" },
  ipmi_answer: { parameters: ["i32", "i32", "buffer", "i32"], result: "void" },
  ipmi_asked: { parameters: ["buffer"], result: "i32" },
  ipmi_open_now: { parameters: [], result: "i32" },
} as const;

/** Kinds of what comes: `IPMI_RESPONSE_RECV_TYPE` and `IPMI_ASYNC_EVENT_RECV_TYPE`. */
const ANSWER = 1;
export const EVENT = 2;

let compiled: string | undefined;

export class FakeIpmi implements Disposable {
  readonly open: OpenDevice;
  readonly #devices: { open: OpenDevice } & Disposable;
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;

  /** A controller that does not answer. */
  constructor() {
    compiled ??= compileLibrary("./fake_ipmi.c", "libfakeipmi.so");
    this.#devices = devicesOfLibrary(compiled);
    this.open = this.#devices.open;
    this.#library = Deno.dlopen(compiled, SYMBOLS);
    this.reset();
  }

  /** Forgets all answers. From now on opening and asking fail with these error numbers; 0: they do not. */
  reset({ onOpen = 0, onSend = 0 } = {}): void {
    this.#library.symbols.ipmi_reset(onOpen, onSend);
  }

  /** The next answer. @param idOffset How far its number is from that of the request. */
  answer(bytes: readonly number[], { type = ANSWER, idOffset = 0 } = {}): void {
    this.#library.symbols.ipmi_answer(type, idOffset, new Uint8Array([...bytes, 0]), bytes.length);
  }

  /** Network function, command and data of the last request; empty: there was none. */
  get asked(): number[] {
    const bytes = new Uint8Array(new ArrayBuffer(64));
    return [...bytes.subarray(0, this.#library.symbols.ipmi_asked(bytes))];
  }

  /** Devices that are open. */
  get openNow(): number {
    return this.#library.symbols.ipmi_open_now();
  }

  [Symbol.dispose](): void {
    this.#devices[Symbol.dispose]();
    this.#library.close();
  }
}
