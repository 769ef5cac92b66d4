/** The page `/`: one answer, made of the files in page/, that needs nothing else and asks nobody else. */
import { createHash } from "node:crypto";
import { type Page, sharedPage } from "./pages.ts";

/** In the order in which they use each other. */
const SCRIPTS = [
  "format.js",
  "dom.js",
  "asking.js",
  "plot.js",
  "span.js",
  "overview.js",
  "host.js",
  "process.js",
  "app.js",
];

const read = (name: string) => Deno.readTextFileSync(new URL(`./page/${name}`, import.meta.url));
const hashOf = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const encoder = new TextEncoder();

/** One script of several modules: their names are unique, so imports and exports of each other are not needed. */
function bundle(): string {
  return SCRIPTS.map((name) =>
    read(name).replace(/^import [^;]*? from "\.\/[^"]+";\n/gm, "").replace(/^export (?=[a-z])/gm, "")
  ).join("\n");
}

interface Assembled {
  readonly html: Uint8Array<ArrayBuffer>;
  /** Allows the script and the style of the page by their hashes, and nothing else. */
  readonly policy: string;
}

function assemble(): Assembled {
  const [style, script] = [read("page.css"), bundle()];
  const html = read("page.html")
    .replace(/<style>[^]*?<\/style>/, () => `<style>${style}</style>`)
    .replace(/<script type="module">[^]*?<\/script>/, () => `<script type="module">${script}</script>`);
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
  return { html: encoder.encode(html), policy };
}

/** The page, and its picture. */
export function htmlPages(): Record<string, Page> {
  let assembled: Assembled | null = null;
  return {
    "/": sharedPage(() => {
      const { html, policy } = assembled ??= assemble();
      return {
        key: "",
        headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": policy },
        make: () => html,
      };
    }),
    "/favicon.svg": sharedPage(() => ({
      key: "",
      headers: { "content-type": "image/svg+xml" },
      make: () => encoder.encode(read("favicon.svg")),
    })),
  };
}
