/**
 * The names of pods and containers: asked for beside the polls, when something has none yet. Until there is an answer,
 * what is known is given; after it, whoever was told before asks again (`revision`).
 */
import type { Clock } from "../../base/clock.ts";
import { Complaint } from "../../base/complaint.ts";
import { messageOf } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Findings } from "../polling/findings.ts";
import { ApiError, type PodApi } from "./api.ts";
import type { Pod, PodList } from "./pod_list.ts";

/** The shortest time between two requests, in ms. */
const PAUSE_MS = 10_000;
/** Lists that did not have a name, after which it is not asked for again: containers that only keep a pod have none. */
const MOST_TRIES = 6;
/** The longest time between two requests while the API is away: `PAUSE_MS * 2 ** MOST_DOUBLINGS`. */
const MOST_DOUBLINGS = 3;

const WHAT = "names of pods";

export class PodNames {
  readonly stats = { requests: 0, answeredRequests: 0, failedRequests: 0 };
  readonly #api: Pick<PodApi, "list" | "url" | "node" | "isKubelet">;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #findings: Findings;
  readonly #complaint: Complaint;
  readonly #unknown: Complaint;
  readonly #closed = new AbortController();
  #list: PodList = { pods: new Map(), containers: new Map() };
  /** What has no name, and in how many lists it was not. */
  #missing = new Map<string, number>();
  /** The same, before the last request: what still misses its name is asked for again by then. */
  #before = new Map<string, number>();
  #asking: Promise<void> | null = null;
  #askedMs = -Infinity;
  #failures = 0;
  #revision = 0;

  constructor(
    api: Pick<PodApi, "list" | "url" | "node" | "isKubelet">,
    { clock, log, findings }: { clock: Clock; log: Logger; findings: Findings },
  ) {
    this.#api = api;
    this.#clock = clock;
    this.#log = log;
    this.#findings = findings;
    this.#complaint = new Complaint(clock);
    this.#unknown = new Complaint(clock);
  }

  /** Changes with each answer: what was asked for may be known now. */
  get revision(): number {
    return this.#revision;
  }

  /** The pod with the uid that the path of its group has, if it is known by now. */
  pod(uid: string): Pod | undefined {
    return this.#find(this.#list.pods, uid);
  }

  /** The name of a container, if it is known by now. */
  container(id: string): string | undefined {
    return this.#find(this.#list.containers, id);
  }

  #find<T>(known: ReadonlyMap<string, T>, key: string): T | undefined {
    const value = known.get(key);
    if (value === undefined && !this.#missing.has(key)) this.#missing.set(key, this.#before.get(key) ?? 0);
    return value;
  }

  /** How many names it has, and misses. */
  get remembered(): number {
    const { pods, containers } = this.#list;
    return pods.size + containers.size + this.#missing.size + this.#before.size;
  }

  /** To be called at each poll: asks if something has no name, and it is time. */
  tick(): void {
    if (this.#asking || this.#closed.signal.aborted) return;
    const tries = Math.min(...this.#missing.values());
    if (!(tries < MOST_TRIES)) return;
    const doublings = this.#failures > 0 ? Math.min(this.#failures - 1, MOST_DOUBLINGS) : tries;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#askedMs + PAUSE_MS * 2 ** doublings) return;
    this.#askedMs = nowMs;
    this.#asking = this.#ask().finally(() => this.#asking = null);
  }

  async #ask(): Promise<void> {
    this.stats.requests++;
    const asked = this.#missing;
    this.#before = this.#missing;
    this.#missing = new Map();
    try {
      this.#list = await this.#api.list(this.#closed.signal);
      this.#answered(asked);
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#failed(messageOf(error), error instanceof ApiError ? error.advice : undefined);
    }
    this.#revision++;
  }

  #answered(asked: ReadonlyMap<string, number>): void {
    const { url } = this.#api;
    this.stats.answeredRequests++;
    this.#failures = 0;
    this.#complaint.end(() => this.#log.info("The names of pods are known again", { url }));
    this.#findings.usual(WHAT, url);
    // What is known by now is not asked for again.
    this.#before = new Map([...asked].map(([key, tries]) => [key, tries + 1]));
    if (this.#list.pods.size > 0 || this.#api.isKubelet) return;
    this.#unknown.add(() => {
      this.#log.warn("Kubernetes knows no pod on this node: check plugins.k8s.k8s_node", {
        node: this.#api.node,
        url,
      });
    });
  }

  #failed(problem: string, advice: string | undefined): void {
    this.stats.failedRequests++;
    this.#failures++;
    const { url } = this.#api;
    this.#findings.failed(WHAT, url, problem, advice);
    this.#complaint.add((requests) => {
      const what = "Cannot ask Kubernetes for the names of pods; until then their uid stands alone";
      this.#log.warn(what, { problem, advice, url, requests });
    });
  }

  /** Resolves when nothing is asked any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#asking;
  }
}
