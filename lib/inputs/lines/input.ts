/**
 * Takes lines that programs write: from standard input, files, Unix sockets, TCP, UDP and HTTP. All of them share one
 * decoder, which knows the series, and one gatherer, which says when the pipe is full: then senders wait, and UDP is
 * dropped.
 */
import { BoundedLog } from "../../base/complaint.ts";
import { EXIT, ExitError, messageOf } from "../../base/errors.ts";
import type { LogFields } from "../../base/log.ts";
import { Timer } from "../../base/timers.ts";
import { onAbort, untilAborted } from "../../base/waiting.ts";
import { Admission, type AdmissionOptions } from "../../intake/admission/admission.ts";
import type { Tokens } from "../../intake/admission/tokens.ts";
import { Gatherer } from "../../intake/gatherer.ts";
import { openTerminator, openTokens } from "../../intake/opening.ts";
import type { TlsTerminator } from "../../intake/tls.ts";
import { formatAddress, parseAddress } from "../../net/address.ts";
import { connectionsWithin } from "../../net/descriptors.ts";
import { listen } from "../../net/listen.ts";
import { BatchBuilder } from "../../points/batch_builder.ts";
import { BatchPool } from "../../points/measurement.ts";
import type { BatchSink, Input, PluginContext } from "../../plugin.ts";
import { Naming } from "../decoding/naming.ts";
import { TIME_UNITS, type TimeUnit } from "../decoding/numbers.ts";
import { ProblemLog } from "../decoding/problems.ts";
import { MetricRules } from "../decoding/rules.ts";
import type { LinesConfig } from "./config.ts";
import { LineConnections, type Listener } from "./connections.ts";
import { Datagrams } from "./datagrams.ts";
import { LineDecoder } from "./line_decoder.ts";
import { LineStream, READ_BYTES } from "./line_stream.ts";
import { listenOnUnix } from "../../net/unix_socket.ts";

const MINUTE_MS = 60_000;
const KEY = "plugins.lines";
/** No point takes less of a line, in bytes: `a=1,`. */
const MIN_POINT_BYTES = 4;
/** In the state directory. */
const POSITIONS_FILE = "followed-files.json";

/** Where lines come from. */
interface Source {
  /** Takes lines until the stop, and then what has arrived. */
  run(stop: AbortSignal, sink: BatchSink): Promise<void>;
  /** Nothing new is accepted. */
  stop(): void;
  /** Ends everything at once. */
  close(): void | Promise<void>;
}

/** What is read as standard input. */
export type StandardInput = Pick<typeof Deno.stdin, "read">;

/** What the input has done since it started. */
export interface LinesStats extends Record<string, number> {
  points: number;
  badLines: number;
  refusedPoints: number;
  skippedTexts: number;
  droppedDatagrams: number;
  connections: number;
  requests: number;
  refusedRequests: number;
}

export class LinesInput implements Input {
  readonly stats: LinesStats = {
    points: 0,
    badLines: 0,
    refusedPoints: 0,
    skippedTexts: 0,
    droppedDatagrams: 0,
    connections: 0,
    requests: 0,
    refusedRequests: 0,
  };
  #config: LinesConfig;
  #stdin: StandardInput = Deno.stdin;
  readonly #context: PluginContext;
  /** Everybody can cause lines in it. */
  readonly #log: BoundedLog;
  readonly #naming: Naming;
  readonly #gatherer = new Gatherer();
  readonly #decoder: LineDecoder;
  readonly #problems: ProblemLog;
  readonly #admission: Admission;
  readonly #tokens: Tokens | undefined;
  readonly #terminator: TlsTerminator | undefined;
  readonly #sources: Source[] = [];
  /** Of each way. */
  readonly #mostConnections: number;
  readonly #newSeriesPerSecond = () => this.#config.limits.new_series_per_second;

  /** @throws {ExitError} if an address cannot be listened on, or a file of the configuration cannot be used. */
  static async open(
    config: LinesConfig,
    context: PluginContext,
    stdin: StandardInput = Deno.stdin,
  ): Promise<LinesInput> {
    const { log } = context;
    const tokens = openTokens(config.tokens, `${KEY}.tokens`, log);
    const terminator = await openTerminator(config.tls, `${KEY}.tls`, log);
    const input = new LinesInput(config, context, tokens, terminator);
    input.#stdin = stdin;
    try {
      await input.#open();
      return input;
    } catch (error) {
      await input[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    config: LinesConfig,
    context: PluginContext,
    tokens: Tokens | undefined,
    terminator: TlsTerminator | undefined,
  ) {
    this.#config = config;
    this.#context = context;
    this.#tokens = tokens;
    this.#terminator = terminator;
    this.#mostConnections = connectionsWithin(config.limits.connections);
    this.#log = new BoundedLog(context.log, context.clock);
    this.#naming = new Naming({
      input: "lines",
      registry: context.registry,
      store: this.#gatherer.builder.store,
      rules: new MetricRules(config.rules),
      maxMetrics: config.limits.metrics,
      maxMetricsOfSender: config.limits.metrics_per_address,
      maxNameBytes: config.limits.name_length,
    });
    this.#decoder = new LineDecoder(this.#naming, this.#gatherer.builder, this.stats);
    this.#problems = new ProblemLog(context.log, context.clock, this.stats);
    this.#admission = new Admission(this.#admissionOptions(config), this.#log);
  }

  #admissionOptions({ allow, deny, without_token, limits }: LinesConfig): AdmissionOptions {
    return {
      allow,
      deny,
      tokens: this.#tokens,
      withoutToken: without_token,
      maxConnections: this.#mostConnections,
      maxConnectionsPerAddress: limits.connections_per_address,
      maxNameLength: limits.name_length,
    };
  }

  async #open(): Promise<void> {
    const { stdin, files, unix, unix_mode, tcp, udp, http } = this.#config;
    if (stdin) this.#sources.push(this.#standardInput());
    if (files.length > 0) await this.#follow(files);
    if (unix !== "") {
      const { listener, close } = await listenOnUnix(unix, unix_mode, `${KEY}.unix`);
      this.#addConnections({ accept: () => listener.accept(), close }, { unix });
    }
    if (tcp !== "") {
      const listener = listen(parseAddress(tcp, { listen: true }), {
        key: `${KEY}.tcp`,
        open: Deno.listen,
        log: this.#log,
      });
      this.#addConnections(listener, { tcp: formatAddress(listener.addr as Deno.NetAddr) });
    }
    if (http !== "") this.#sources.push(await this.#http(http));
    if (udp !== "") this.#sources.push(this.#datagrams(udp));
  }

  #addConnections(listener: Listener, where: LogFields): void {
    const connections = new LineConnections(listener, {
      log: this.#log,
      gatherer: this.#gatherer,
      admission: this.#admission,
      terminator: this.#terminator,
      bytesPerSecond: () => this.#config.limits.bytes_per_second || Infinity,
      newSeriesPerSecond: this.#newSeriesPerSecond,
      maxConnections: this.#mostConnections,
      drainMs: this.#context.drainMs,
      newStream: (from, sender) => this.#newStream({ ...where, ...from }, { sender }),
      onChange: (change) => this.stats.connections += change,
    });
    this.#sources.push(connections);
    this.#context.log.info("Listening for lines", where);
  }

  #datagrams(udp: string): Source {
    const address = parseAddress(udp, { listen: true });
    let socket: Deno.DatagramConn;
    try {
      socket = Deno.listenDatagram({ transport: "udp", hostname: address.hostname, port: address.port });
    } catch (error) {
      throw new ExitError(
        EXIT.unavailable,
        `Cannot listen on ${formatAddress(address)} (${KEY}.udp): ${messageOf(error)}`,
        { cause: error },
      );
    }
    const where = { udp: formatAddress(socket.addr as Deno.NetAddr) };
    const datagrams = new Datagrams(socket, {
      log: this.#log,
      clock: this.#context.clock,
      gatherer: this.#gatherer,
      admission: this.#admission,
      decoder: this.#decoder,
      problems: this.#problems.of(where),
      scale: this.#scale,
      newSeriesPerSecond: this.#newSeriesPerSecond,
      stats: this.stats,
    });
    this.#context.log.info("Listening for lines", where);
    return { run: () => datagrams.run(), stop: () => datagrams.close(), close: () => datagrams.close() };
  }

  async #http(http: string): Promise<Source> {
    // Most of the code of this input, which the command `send` does without.
    const { HttpServer } = await import("../../http/server.ts");
    const { HttpIntake } = await import("./http_intake.ts");
    const { log, clock, untilDurable, drainMs } = this.#context;
    const address = parseAddress(http, { listen: true });
    const listener = listen(address, { key: `${KEY}.http`, open: Deno.listen, log });
    const { limits } = this.#config;
    const intake = new HttpIntake({
      log: this.#log,
      clock,
      gatherer: this.#gatherer,
      admission: this.#admission,
      decoder: this.#decoder,
      problemsOf: (http) => this.#problems.of({ http }),
      scale: this.#scale,
      maxBodyBytes: () => this.#config.limits.body,
      maxLineBytes: () => this.#config.limits.line_length,
      bytesPerSecond: () => this.#config.limits.bytes_per_second || Infinity,
      newSeriesPerSecond: this.#newSeriesPerSecond,
      untilDurable,
      stats: this.stats,
    });
    const terminator = this.#terminator;
    const server = new HttpServer(
      listener,
      (request, peer, body) => intake.answer(request, peer, body),
      log,
      { connections: limits.connections, connectionsPerAddress: limits.connections_per_address },
      {
        takesPosts: true,
        secure: terminator && ((conn) => terminator.secure(conn, new Uint8Array(0))),
        lastAnswersMs: drainMs,
      },
    );
    const { port } = server.address;
    const scheme = terminator ? "https" : "http";
    log.info("Listening for lines", { http: `${scheme}://${formatAddress({ ...address, port })}` });
    let closing: Promise<void> | undefined;
    const close = () => closing ??= server[Symbol.asyncDispose]();
    return {
      async run(stop) {
        await untilAborted(stop);
        await close();
      },
      stop: () => void close(),
      close,
    };
  }

  /** The unit of times, where the configuration names another one than the usual ones. */
  get #scale(): TimeUnit | undefined {
    const { precision } = this.#config;
    return precision === "ns" ? undefined : TIME_UNITS[precision];
  }

  async #follow(files: readonly string[]): Promise<void> {
    const { FollowedFile } = await import("./followed_file.ts");
    const { Positions } = await import("./positions.ts");
    const { log, clock, clients, stateDirectory, untilDurable, drainMs } = this.#context;
    const path = stateDirectory === null ? null : `${stateDirectory}/${POSITIONS_FILE}`;
    const positions = new Positions(path, log, clock);
    // Lines that are decoded together are one batch, which is written as a whole or not at all.
    const bufferBytes = this.#config.limits.line_length + READ_BYTES;
    const builder = new BatchBuilder(new BatchPool(Math.ceil(bufferBytes / MIN_POINT_BYTES), 1));
    const decoder = new LineDecoder(this.#naming, builder, this.stats);
    for (const file of new Set(files)) {
      const followed = new FollowedFile(file, {
        log,
        clock,
        clients,
        positions,
        untilDurable,
        drainMs,
        builder,
        newStream: () => this.#newStream({ file }, { decoder }),
      });
      this.#sources.push({
        run: (stop, sink) => followed.run(sink, stop),
        stop: () => {},
        close: () => followed.close(),
      });
    }
  }

  #newStream(
    from: LogFields,
    { decoder = this.#decoder, sender }: { decoder?: LineDecoder; sender?: string } = {},
  ): LineStream {
    return new LineStream({
      decoder,
      sender,
      clock: this.#context.clock,
      problems: this.#problems.of(from),
      maxLineBytes: this.#config.limits.line_length,
      scale: this.#scale,
    });
  }

  /** Ends when standard input does. */
  #standardInput(): Source {
    const stream = this.#newStream({ from: "stdin" });
    return {
      run: async (stop) => {
        const stopped = new Promise<null>((resolve) => onAbort(stop, () => resolve(null)));
        while (!stop.aborted) {
          const count = await Promise.race([this.#stdin.read(stream.space), stopped]);
          if (count === null) break;
          stream.received(count);
          await this.#gatherer.gathered();
        }
        if (!stop.aborted) stream.end();
      },
      stop: () => {},
      close: () => {},
    };
  }

  reconfigure(config: LinesConfig): void {
    this.#config = config;
    this.#admission.change(this.#admissionOptions(config));
  }

  async run(sink: BatchSink, stop: AbortSignal): Promise<void> {
    this.#gatherer.start(sink);
    using _stopping = onAbort(stop, () => {
      for (const source of this.#sources) source.stop();
    });
    try {
      using _report = Timer.every(MINUTE_MS, () => this.#catchUp());
      await Promise.all(this.#sources.map((source) => source.run(stop, sink)));
      await this.#gatherer.flush();
    } finally {
      this.#catchUp();
    }
  }

  #catchUp(): void {
    this.#log.catchUp();
    this.#problems.catchUp();
  }

  handOver(): void {
    this.#gatherer.close();
    for (const source of this.#sources) void source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
    this.#gatherer[Symbol.dispose]();
    this.#terminator?.[Symbol.dispose]();
    this.#naming[Symbol.dispose]();
  }
}
