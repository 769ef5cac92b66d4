/** Chromium without a window, driven over the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/). */
import { TextLineStream } from "@std/streams/text-line-stream";
import { type Need, program } from "./needs.ts";
import { TempDir } from "./temp_dir.ts";
import { atMost, PATIENCE_MS, until } from "./waiting.ts";

export const chromium: Need = program("chromium", "chromium");

// deno-lint-ignore no-explicit-any
type Json = any;

export class Browser implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** Its standard error, to the end. */
  readonly #reading: Promise<void>;
  readonly #profile: TempDir;
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, PromiseWithResolvers<Json>>();
  readonly #tabs = new Map<string, (method: string, parameters: Json) => void>();
  /** Resolves when Chromium has ended the connection. */
  readonly #closed = Promise.withResolvers<void>();
  #next = 1;

  static async start(): Promise<Browser> {
    const profile = new TempDir();
    const child = new Deno.Command("chromium", {
      args: [
        ...["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
        ...["--disable-background-networking", "--disable-component-update", "--disable-extensions"],
        ...["--remote-debugging-port=0", `--user-data-dir=${profile.path}`, "about:blank"],
      ],
      env: { HOME: profile.path },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const address = Promise.withResolvers<string>();
    const reading = (async () => {
      const lines = child.stderr.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
      for await (const line of lines) {
        const [, url] = /^DevTools listening on (\S+)/.exec(line) ?? [];
        if (url) address.resolve(url);
      }
      address.reject(new Error("Chromium has ended"));
    })();
    address.promise.catch(() => {});
    const socket = new WebSocket(await atMost(PATIENCE_MS, address.promise, () => "the start of Chromium"));
    const opening = new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = () => reject(new Error("Chromium does not take the connection"));
    });
    await atMost(PATIENCE_MS, opening, () => "the connection to Chromium");
    return new Browser(child, reading, profile, socket);
  }

  private constructor(child: Deno.ChildProcess, reading: Promise<void>, profile: TempDir, socket: WebSocket) {
    this.#child = child;
    this.#reading = reading;
    this.#profile = profile;
    this.#socket = socket;
    socket.onclose = () => {
      this.#closed.resolve();
      for (const answer of this.#answers.values()) answer.reject(new Error("Chromium has ended"));
    };
    socket.onmessage = ({ data }) => {
      const { id, result, error, method, params, sessionId } = JSON.parse(data);
      if (id === undefined) return this.#tabs.get(sessionId)?.(method, params);
      const answer = this.#answers.get(id);
      this.#answers.delete(id);
      if (error) answer?.reject(new Error(error.message));
      else answer?.resolve(result);
    };
  }

  async send(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error("Chromium has ended");
    const id = this.#next++;
    const answer = Promise.withResolvers<Json>();
    this.#answers.set(id, answer);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return await atMost(PATIENCE_MS, answer.promise, () => `the answer to ${method}`);
  }

  /** A new tab. */
  async open(
    url: string,
    { width = 1200, height = 900, dark = false, bypassPolicy = false } = {},
  ): Promise<Tab> {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, sessionId, targetId);
    this.#tabs.set(sessionId, (method, parameters) => tab.told(method, parameters));
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await tab.send(`${domain}.enable`);
    await tab.resize(width, height);
    await tab.send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
    if (bypassPolicy) await tab.send("Page.setBypassCSP", { enabled: true });
    await tab.send("Page.navigate", { url });
    return tab;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It may end before it answers.
    await this.send("Browser.close").catch(() => {});
    await this.#closed.promise;
    await this.#child.status;
    await this.#reading;
    await this.#profile[Symbol.asyncDispose]();
  }
}

export class Tab implements AsyncDisposable {
  /** Errors on the console, and errors that nobody catches. */
  readonly errors: string[] = [];
  /** What the page asked for. */
  readonly requests: string[] = [];
  readonly #browser: Browser;
  readonly #session: string;
  readonly #target: string;

  constructor(browser: Browser, session: string, target: string) {
    this.#browser = browser;
    this.#session = session;
    this.#target = target;
  }

  told(method: string, parameters: Json): void {
    if (method === "Network.requestWillBeSent") this.requests.push(parameters.request.url);
    else if (method === "Runtime.exceptionThrown") {
      const { text, exception } = parameters.exceptionDetails;
      this.errors.push(exception?.description ?? text);
    } else if (method === "Runtime.consoleAPICalled" && parameters.type === "error") {
      this.errors.push(parameters.args.map(({ value, description }: Json) => value ?? description).join(" "));
    } else if (method === "Log.entryAdded" && parameters.entry.level === "error") {
      this.errors.push(`${parameters.entry.text} ${parameters.entry.url ?? ""}`);
    }
  }

  send(method: string, parameters: Json = {}): Promise<Json> {
    return this.#browser.send(method, parameters, this.#session);
  }

  async resize(width: number, height: number): Promise<void> {
    await this.send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
  }

  /** The value of an expression, which may be a promise. @throws what it throws */
  async evaluate(expression: string): Promise<Json> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** The text that is shown. */
  text(selector = "body"): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`);
  }

  /** Waits until the expression is true. */
  async until(expression: string, ms = PATIENCE_MS): Promise<void> {
    await until(
      () => this.evaluate(expression).catch(() => false),
      ms,
      `${expression}; ${this.errors.join("; ")}`,
    );
  }

  /** Presses a key. */
  async press(key: string): Promise<void> {
    const text = key.length === 1 ? key : undefined;
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key });
  }

  async screenshot(format: "png" | "webp" = "png"): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = await this.send("Page.captureScreenshot", {
      format,
      quality: format === "webp" ? 85 : undefined,
    });
    return Uint8Array.fromBase64(data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.send("Target.closeTarget", { targetId: this.#target });
  }
}
