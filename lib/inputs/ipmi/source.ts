/**
 * Asks the management controller for the power before each poll: through the kernel's device, or by ipmitool where this
 * process cannot call the C library.
 */
import { isInTime } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { TimeLimit } from "../../base/waiting.ts";
import { f64Metric, type Points, type Series, seriesOf, WATT } from "../polling/points.ts";
import { Retry } from "../polling/retry.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { DeviceError, type OpenDevice, systemDevices } from "./device.ts";
import { GET_POWER_READING, isBusy, wattsOf, wattsOfAnswer } from "./power_reading.ts";

/** How the kernel's device is called, in the order in which ipmitool tries them. */
const DEVICES = ["ipmi0", "ipmi/0", "ipmidev/0"];
/** The last poll does not wait longer, in ms: a stop does not wait for a controller. */
const LAST_MS = 500;
/** A controller that is busy is asked so often in all, with these pauses, in ms. */
const MOST_TRIES = 5;
const BUSY_MS = 200;
/** What is kept of an error of ipmitool. */
const MOST_ERROR_CHARACTERS = 200;
const WHAT = "power of the machine";

export class IpmiSource implements PolledSource {
  readonly name = "ipmi";
  readonly #measuring: Measuring;
  readonly #timeoutMs: number;
  readonly #openDevice: OpenDevice | null | undefined;
  readonly #series: Series;
  readonly #retry: Retry;
  readonly #complaint: Complaint;
  readonly #closed = new AbortController();
  /** The question that is under way: there is never a second one. */
  #asking: Promise<void> | null = null;
  /** What was read and is not yet a point. */
  #watts: number | undefined;

  /**
   * Registers the metric.
   *
   * @param timeoutMs The longest that an answer may take.
   * @param openDevice Opens the kernel's device; `null`: by ipmitool. @default the C library, once there is a device
   */
  constructor(measuring: Measuring, timeoutMs: number, openDevice?: OpenDevice | null) {
    const { registry, clock } = measuring;
    this.#measuring = measuring;
    this.#timeoutMs = timeoutMs;
    this.#openDevice = openDevice;
    this.#series = seriesOf(
      registry.register(
        f64Metric("ipmi_power", WATT, "Power of the whole machine that its management controller reports"),
      ),
      {},
    );
    this.#retry = new Retry(clock);
    this.#complaint = new Complaint(clock);
  }

  get isIdle(): boolean {
    return this.#device === undefined;
  }

  /** The path of the kernel's device; `undefined` where there is none. */
  get #device(): string | undefined {
    const { files } = this.#measuring;
    const isThere = (path: string) => {
      const slash = path.lastIndexOf("/");
      return files.list(path.slice(0, slash)).includes(path.slice(slash + 1));
    };
    return DEVICES.map((name) => `${files.dev}/${name}`).find(isThere);
  }

  async gather(last: boolean): Promise<void> {
    const device = this.#device;
    if (device === undefined) return;
    if (!this.#asking && (last || this.#retry.isDue)) {
      this.#asking = this.#ask(device).finally(() => this.#asking = null);
    }
    if (!this.#asking) return;
    if (!last) return await this.#asking;
    if (!await isInTime(this.#asking, LAST_MS, this.#measuring.clock)) this.#closed.abort();
  }

  async #ask(device: string): Promise<void> {
    const { findings, log } = this.#measuring;
    try {
      const watts = await this.#read(device);
      findings.measured(WHAT, device, this.#series);
      this.#complaint.end(() => log.info("The management controller answers again", { device }));
      this.#retry.succeeded();
      this.#watts = watts;
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#retry.failed();
      const problem = messageOf(error);
      const isDenied = error instanceof DeviceError ? error.isDenied : /permission denied/i.test(problem);
      if (isDenied) {
        return findings.denied(WHAT, device, `sudo setfacl -m u:${Deno.uid()}:rw ${device}`);
      }
      findings.failed(WHAT, device, problem);
      this.#complaint.add((failed) =>
        log.warn(`Cannot read the ${WHAT}: ${problem}`, { file: device, failed })
      );
    }
  }

  /** The power, in watts. @throws why there is none */
  async #read(device: string): Promise<number> {
    using limit = new TimeLimit(this.#timeoutMs, this.#closed.signal);
    const open = this.#openDevice === undefined ? systemDevices() : this.#openDevice;
    const watts = open ? await this.#askDevice(open, device, limit.signal) : await this.#runIpmitool(limit);
    if (watts === undefined) throw new Error(`no answer within ${this.#timeoutMs} ms`);
    return watts;
  }

  /** @returns `undefined` if the signal is aborted first */
  async #askDevice(open: OpenDevice, path: string, signal: AbortSignal): Promise<number | undefined> {
    // Opened for each question: an open device would keep its driver from being unloaded.
    using device = open(path);
    for (let tries = 1;; tries++) {
      const answer = await device.ask(GET_POWER_READING, signal);
      if (!answer) return undefined;
      if (!isBusy(answer) || tries === MOST_TRIES) return wattsOfAnswer(answer);
      await this.#measuring.clock.sleep(BUSY_MS, signal);
    }
  }

  /** @returns `undefined` if the time is over first */
  async #runIpmitool(limit: TimeLimit): Promise<number | undefined> {
    const program = this.#measuring.files.program("ipmitool");
    if (program === undefined) {
      throw new Error("ipmitool is not installed: sudo apt-get install ipmitool");
    }
    const { success, code, stdout, stderr } = await new Deno.Command(program, {
      args: ["dcmi", "power", "reading"],
      // Its output is read as text: no language but that of its source.
      env: { LC_ALL: "C" },
      stdin: "null",
      signal: limit.signal,
    }).output();
    if (limit.isOver) return undefined;
    const text = new TextDecoder();
    const complaint = text.decode(stderr).trim().replaceAll(/\s+/g, " ").slice(0, MOST_ERROR_CHARACTERS);
    if (!success) throw new Error(complaint || `ipmitool ended with exit code ${code}`);
    try {
      return wattsOf(text.decode(stdout));
    } catch (error) {
      throw complaint === "" ? error : new Error(complaint);
    }
  }

  poll(points: Points): void {
    const watts = this.#watts;
    this.#watts = undefined;
    if (watts !== undefined) points.f64(this.#series, watts);
  }

  /** Ends an ipmitool that still runs. */
  close(): void {
    this.#closed.abort();
  }
}
