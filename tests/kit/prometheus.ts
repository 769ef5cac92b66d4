/** Prometheus itself, its promtool, and pages as a strict reader sees them. */
import assert from "node:assert/strict";
import { type Need, program } from "./needs.ts";
import { Service } from "./service.ts";
import type { TempDir } from "./temp_dir.ts";

export const prometheus: Need = program("prometheus", "prometheus");
export const promtool: Need = program("promtool", "prometheus");

/** A page: values by `name{labels}`, and what is said of each name. */
export interface Page {
  readonly values: Map<string, string>;
  readonly families: Map<string, { help?: string; type?: string; unit?: string }>;
}

/**
 * Reads a page, and insists on what both formats ask for: lines that end, names, labels and escapes that are right,
 * names in one piece with their HELP and TYPE before them, and no line twice.
 */
export function readPage(text: string, format: "text" | "openmetrics" = "text"): Page {
  const page: Page = { values: new Map(), families: new Map() };
  if (format === "openmetrics") {
    assert.ok(text.endsWith("# EOF\n"), text.slice(-100));
    text = text.slice(0, -6);
  }
  assert.ok(text === "" || text.endsWith("\n"), "the last line is not whole");
  let current = "";
  for (const line of text.split("\n").slice(0, -1)) {
    const comment = /^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line);
    if (comment) {
      const [, kind, name, rest] = comment;
      if (name !== current) {
        assert.ok(!page.families.has(name), `${name} is not in one piece`);
        page.families.set(current = name, {});
      }
      const family = page.families.get(name)!;
      const key = kind.toLowerCase() as "help" | "type" | "unit";
      assert.equal(family[key], undefined, line);
      if (kind === "UNIT") {
        assert.ok(rest !== "" && name.endsWith(`_${rest}`), line);
        assert.equal(format, "openmetrics");
      }
      if (kind === "HELP") {
        assert.match(rest, format === "text" ? /^(\\[\\n]|[^\\])*$/ : /^(\\[\\n"]|[^\\"])*$/, line);
      }
      family[key] = rest;
      continue;
    }
    const sample =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:\\[\\n"]|[^\\"])*",?)*)\} (\S+)( \S+)?$/
        .exec(line);
    assert.ok(sample, `no sample: ${JSON.stringify(line)}`);
    const [, name, labels, value, time = ""] = sample;
    assert.equal(name, current, `${name} is not in one piece`);
    assert.match(value, /^(NaN|[+-]Inf|-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?)$/);
    const names = [...labels.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="(?:\\[\\n"]|[^\\"])*"/g)].map(([, name]) =>
      name
    );
    assert.equal(new Set(names).size, names.length, `a label is there twice: ${line}`);
    const key = `${name}{${labels}}`;
    assert.ok(!page.values.has(key), `twice: ${key}`);
    page.values.set(key, value + time);
  }
  for (const [name, { help, type }] of page.families) {
    assert.ok(help, `${name} has no HELP`);
    assert.equal(type, "gauge");
  }
  return page;
}

/** What Prometheus's own reader says of a page in the text format; what is only a matter of taste is left out. */
export async function promtoolErrors(page: string): Promise<string> {
  const child = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(page));
  await writer.close();
  const { code, stderr } = await output;
  // 1: it cannot be read; 3: it can, but there is advice.
  return code === 0 || code === 3 ? "" : `exit code ${code}: ${new TextDecoder().decode(stderr)}`;
}

/** A sample as the API of Prometheus has it. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

/** A Prometheus that scrapes one target five times a second. */
export class Prometheus implements AsyncDisposable {
  readonly service: Service;
  readonly #url: string;

  constructor(dir: TempDir, port: number, target: string) {
    const config = dir.file("prometheus.yml");
    Deno.writeTextFileSync(
      config,
      `scrape_configs:
  - job_name: alumet
    scrape_interval: 200ms
    scrape_timeout: 200ms
    static_configs:
      - targets: ["${target}"]
`,
    );
    this.#url = `http://127.0.0.1:${port}`;
    this.service = new Service("prometheus", [
      `--config.file=${config}`,
      `--storage.tsdb.path=${dir.file("prometheus")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ], { cwd: dir.path });
  }

  /** The `data` of an answer of the API. */
  async api<T>(path: string, parameters: Record<string, string> = {}): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { status, data, error } = await response.json();
    assert.equal(status, "success", error);
    return data;
  }

  async query(query: string): Promise<readonly Sample[]> {
    const { result } = await this.api<{ result: Sample[] }>("query", { query });
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service[Symbol.asyncDispose]();
  }
}
