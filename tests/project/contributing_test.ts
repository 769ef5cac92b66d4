/** The input and the output that CONTRIBUTING.md writes are whole: they are checked, and do what is said of them. */
import assert from "node:assert/strict";
import type { PolledInputPlugin } from "../../lib/inputs/polling/declaration.ts";
import { formatAttribute } from "../../lib/outputs/rendering/numbers.ts";
import type { OutputPlugin, PluginContext } from "../../lib/plugin.ts";
import { measure } from "../inputs/testcase.ts";
import { contract, type Instance } from "../kit/contract.ts";
import type { Point } from "../kit/contract/points.ts";
import { blocks, ROOT } from "../kit/documents.ts";
import { HttpPeer } from "../kit/http.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { pause } from "../kit/waiting.ts";

const TEXT = Deno.readTextFileSync(new URL("CONTRIBUTING.md", ROOT));

/** The files that the document writes, by their paths. */
const files = new Map(
  blocks(TEXT, "ts").map((block) => {
    const [, path] = /^\/\/ (lib\/\S+\.ts)\n/.exec(block) ?? assert.fail(`a file without a path:\n${block}`);
    return [path, block] as const;
  }),
);

/** Writes the files to a folder; what they import from lib/ is that of this project. */
function write(folder: string): void {
  for (const [path, text] of files) {
    const here = new URL(path, "file:///");
    const resolved = text.replaceAll(/(from |import\()"(\.[^"]+)"/g, (all, before, specifier) => {
      const target = new URL(specifier, here).pathname.slice(1);
      return files.has(target) ? all : `${before}"${new URL(target, ROOT).href}"`;
    });
    const to = `${folder}/${path}`;
    Deno.mkdirSync(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(to, resolved);
  }
}

const folder = Deno.makeTempDirSync({ prefix: "alumet-relay-contributing-" });
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
write(folder);
const { loadavg }: { loadavg: PolledInputPlugin<unknown> } = await import(`${folder}/lib/inputs/loadavg.ts`);
const { webhook }: { webhook: OutputPlugin<{ url: string; timeout: number }> } = await import(
  `${folder}/lib/outputs/webhook.ts`
);

Deno.test("the files that CONTRIBUTING.md writes pass the type check, the linter and the formatter", async () => {
  assert.equal(files.size, 6);
  await using plain = new TempDir();
  for (const [path, text] of files) {
    Deno.writeTextFileSync(plain.file(path.replaceAll("/", "_")), text.slice(text.indexOf("\n") + 1));
  }
  const entries = [`${folder}/lib/inputs/loadavg.ts`, `${folder}/lib/outputs/webhook.ts`];
  const config = new URL("deno.json", ROOT).pathname;
  const commands = [
    ["check", "--config", config, ...entries],
    ["lint", "--config", config, plain.path],
    ["fmt", "--check", "--config", config, plain.path],
  ];
  for (const args of commands) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    assert.ok(success, `deno ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
});

Deno.test("the first input has at most 40 lines of code", () => {
  const inputs = [...files].filter(([path]) => path.startsWith("lib/inputs/"));
  const lines = inputs.flatMap(([, text]) => text.split("\n")).filter((line) => /\S/.test(line));
  const code = lines.filter((line) => !/^(import|\/\/)/.test(line));
  assert.ok(code.length <= 40, `${code.length}`);
});

Deno.test("the first input measures what CONTRIBUTING.md expects", async () => {
  await using dir = new TempDir();
  for (const [, state, content] of TEXT.matchAll(/^ {4}(\d)\/proc\/loadavg +(.+)$/gm)) {
    Deno.mkdirSync(dir.file(`${state}/proc`), { recursive: true });
    Deno.writeTextFileSync(dir.file(`${state}/proc/loadavg`), content + "\n");
  }
  const [expected] = blocks(TEXT, "text");
  const text = await measure({
    ...{ input: "loadavg", name: "host", path: dir.path, claim: "", plugin: loadavg },
    config: { poll_interval: 1000 },
    states: [dir.file("1"), dir.file("2")],
  });
  assert.equal(text, expected);
});

/** What listens at the webhook's address: it keeps the lines of each request that it answers with success. */
class Listener implements Instance {
  readonly #lines: string[] = [];
  #peer: HttpPeer | null = new HttpPeer((request) => this.#answer(request.text));
  readonly #port = this.#peer!.port;
  #mode: "normal" | "slow" | "refuse" | "hang" = "normal";
  readonly #hanging = new AbortController();

  async #answer(text: string): Promise<Response> {
    if (this.#mode === "refuse") return new Response(null, { status: 503 });
    if (this.#mode === "slow") await pause(100);
    if (this.#mode === "hang") {
      await new Promise((resolve) => this.#hanging.signal.addEventListener("abort", resolve));
      return new Response(null, { status: 500 });
    }
    this.#lines.push(...text.trimEnd().split("\n"));
    return new Response(null, { status: 204 });
  }

  open(context: PluginContext) {
    return webhook.open({ url: `http://127.0.0.1:${this.#port}/points`, timeout: 1000 }, context);
  }

  expected(points: readonly Point[]) {
    return {
      stored: points.map((point) =>
        JSON.stringify({
          metric: point.metric.name,
          time: `${point.seconds}.${String(point.nanos).padStart(9, "0")}`,
          value: formatAttribute(point.value),
          resource: [point.resourceKind, point.resourceId],
          consumer: [point.consumerKind, point.consumerId],
          attributes: point.attributes.map(([name, value]) => [name, formatAttribute(value)]),
        })
      ),
    };
  }

  stored = () => Promise.resolve(this.#lines);

  async stop(): Promise<void> {
    await this.#peer?.[Symbol.asyncDispose]();
    this.#peer = null;
  }

  start(): Promise<void> {
    this.#peer ??= new HttpPeer((request) => this.#answer(request.text), this.#port);
    return Promise.resolve();
  }

  slow = (on: boolean) => void (this.#mode = on ? "slow" : "normal");
  refuse = (on: boolean) => void (this.#mode = on ? "refuse" : "normal");
  hang = (on: boolean) => void (this.#mode = on ? "hang" : "normal");

  async [Symbol.asyncDispose](): Promise<void> {
    this.#hanging.abort();
    await this.stop();
  }
}

contract({
  name: "the first output",
  delivers: "at_least_once",
  fresh: () => Promise.resolve(new Listener()),
});
