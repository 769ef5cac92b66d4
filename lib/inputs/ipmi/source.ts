/** Asks the management controller for the power before each poll, by `ipmitool dcmi power reading`. */
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import { TimeLimit, within } from "../../base/waiting.ts";
import { f64Metric, type Points, type Series, seriesOf, WATT } from "../polling/points.ts";
import { Retry } from "../polling/retry.ts";
import type { Measuring, PolledSource } from "../polling/source.ts";
import { wattsOf } from "./power_reading.ts";

/** How the kernel's device is called, in the order in which ipmitool tries them. */
const DEVICES = ["ipmi0", "ipmi/0", "ipmidev/0"];
/** The last poll does not wait longer, in ms: a stop does not wait for a controller. */
const LAST_MS = 500;
/** What is kept of an error of ipmitool. */
const MOST_ERROR_CHARACTERS = 200;
const WHAT = "power of the machine";

export class IpmiSource implements PolledSource {
  readonly name = "ipmi";
  readonly #measuring: Measuring;
  readonly #timeoutMs: number;
  readonly #series: Series;
  readonly #retry: Retry;
  readonly #complaint: Complaint;
  readonly #closed = new AbortController();
  /** The question that is under way: there is never a second one. */
  #asking: Promise<void> | null = null;
  /** What was read and is not yet a point. */
  #watts: number | undefined;

  /** Registers the metric. @param timeoutMs The longest that an answer may take. */
  constructor(measuring: Measuring, timeoutMs: number) {
    const { registry, clock } = measuring;
    this.#measuring = measuring;
    this.#timeoutMs = timeoutMs;
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
    if (!await within(this.#asking, LAST_MS)) this.#closed.abort();
  }

  async #ask(device: string): Promise<void> {
    const { files, findings, log } = this.#measuring;
    const program = files.program("ipmitool");
    try {
      if (program === undefined) {
        throw new Error("ipmitool is not installed: sudo apt-get install ipmitool");
      }
      const watts = await this.#read(program);
      findings.measured(WHAT, device, this.#series);
      this.#complaint.end(() => log.info("The management controller answers again", { device }));
      this.#retry.succeeded();
      this.#watts = watts;
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#retry.failed();
      const problem = messageOf(error);
      if (/permission denied/i.test(problem)) {
        return findings.denied(WHAT, device, `sudo setfacl -m u:${Deno.uid()}:rw ${device}`);
      }
      findings.failed(WHAT, device, problem);
      this.#complaint.add((failed) =>
        log.warn(`Cannot read the ${WHAT}: ${problem}`, { file: device, failed })
      );
    }
  }

  /** The power, in watts. @throws why there is none */
  async #read(program: string): Promise<number> {
    using limit = new TimeLimit(this.#timeoutMs, this.#closed.signal);
    const { success, code, stdout, stderr } = await new Deno.Command(program, {
      args: ["dcmi", "power", "reading"],
      // Its output is read as text: no language but that of its source.
      env: { LC_ALL: "C" },
      stdin: "null",
      signal: limit.signal,
    }).output();
    if (limit.isOver) throw new Error(`no answer within ${this.#timeoutMs} ms`);
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
