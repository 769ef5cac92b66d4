/** Lines over UDP: nobody can wait there, so what comes while the pipe is full is dropped and counted. */
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Admission } from "../../intake/admission/admission.ts";
import type { Gatherer } from "../../intake/gatherer.ts";
import { formatAddress } from "../../net/address.ts";
import type { LineProblems } from "../decoding/problems.ts";
import type { TimeUnit } from "../decoding/numbers.ts";
import { type LineDecoder, LinePosition } from "./line_decoder.ts";
import { RateLimits } from "./rate_limits.ts";

/** The largest datagram. */
const MAX_BYTES = 65_536;
const RETRY_MS = 100;

export interface DatagramOptions {
  readonly log: Logger;
  readonly clock: Clock;
  readonly gatherer: Gatherer;
  readonly admission: Admission;
  readonly decoder: LineDecoder;
  readonly problems: LineProblems;
  readonly scale: TimeUnit | undefined;
  /** Of one address, while there is no room for them. */
  newSeriesPerSecond(): number;
  readonly stats: { droppedDatagrams: number };
}

export class Datagrams {
  readonly #socket: Deno.DatagramConn;
  readonly #options: DatagramOptions;
  readonly #position = new LinePosition();
  readonly #dropped: Complaint;
  readonly #tooMany: Complaint;
  readonly #failed: Complaint;
  readonly #seriesRates: RateLimits;
  #isOpen = true;

  constructor(socket: Deno.DatagramConn, options: DatagramOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#dropped = new Complaint(options.clock);
    this.#tooMany = new Complaint(options.clock);
    this.#failed = new Complaint(options.clock);
    this.#seriesRates = new RateLimits(options.clock);
  }

  /** Takes datagrams until it is closed. */
  async run(): Promise<void> {
    const buffer = new Uint8Array(MAX_BYTES);
    const view = new DataView(buffer.buffer);
    const { clock, log } = this.#options;
    while (this.#isOpen) {
      try {
        const [bytes, from] = await this.#socket.receive(buffer);
        this.#take(bytes, view, from as Deno.NetAddr);
      } catch (error) {
        if (!this.#isOpen) return;
        this.#failed.add((times) =>
          log.error("Cannot receive datagrams", { reason: messageOf(error), times })
        );
        await clock.sleep(RETRY_MS);
      }
    }
  }

  #take(bytes: Uint8Array, view: DataView, { hostname, port }: Deno.NetAddr): void {
    const { admission, gatherer, decoder, problems, scale, clock, log, stats } = this.#options;
    const peer = { hostname: hostname.replace(/^::ffff:(?=[\d.]+$)/, "") };
    const reason = admission.recheck(peer, null) ??
      admission.check({ ...peer, name: "udp", token: undefined });
    if (typeof reason === "string") {
      stats.droppedDatagrams++;
      return admission.refuse({ address: formatAddress({ ...peer, port }), reason });
    }
    if (gatherer.blocked) {
      stats.droppedDatagrams++;
      return this.#dropped.add((datagrams) => {
        log.warn("Lines over UDP come faster than they are taken, some are dropped", { datagrams });
      });
    }
    const perSecond = this.#options.newSeriesPerSecond();
    if (this.#seriesRates.waitMs(peer.hostname, perSecond) > 0) {
      stats.droppedDatagrams++;
      return this.#tooMany.add((datagrams) => {
        log.warn(
          "A sender brings more new series than there is room for, some of its datagrams are dropped",
          {
            address: peer.hostname,
            datagrams,
          },
        );
      });
    }
    const { store } = gatherer.builder;
    const { excess } = store;
    this.#position.line = 0;
    decoder.decode(bytes, view, 0, bytes.length, this.#position, {
      problems,
      scale,
      now: clock.now(),
      isFinal: true,
      sender: peer.hostname,
    });
    this.#seriesRates.took(peer.hostname, store.excess - excess, perSecond);
    void gatherer.gathered();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.close();
  }
}
