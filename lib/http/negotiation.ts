/** Which format a scraper wants, from its headers (RFC 9110, section 12). */

/** The text format 0.0.4 of Prometheus, or OpenMetrics 1.0. */
export type PageFormat = "text" | "openmetrics";

export const CONTENT_TYPE: Readonly<Record<PageFormat, string>> = {
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

interface Element {
  /** In lower case. */
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** 0 to 1. */
  readonly quality: number;
}

/** Splits at a separator that is not within quotes. */
function splitUnquoted(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '"') quoted = !quoted;
    if (c === "\\" && quoted) part += text[i++];
    if (c === separator && !quoted) {
      parts.push(part);
      part = "";
    } else part += text[i] ?? "";
  }
  parts.push(part);
  return parts;
}

function elements(header: string): Element[] {
  return splitUnquoted(header, ",").map((element) => {
    const [value, ...rest] = splitUnquoted(element, ";").map((part) => part.trim());
    const parameters = new Map(rest.map((parameter) => {
      const [name, ...text] = parameter.split("=");
      return [name.trim().toLowerCase(), text.join("=").trim().replace(/^"(.*)"$/s, "$1")];
    }));
    const weight = parameters.get("q");
    // A quality that is not a number between 0 and 1 counts as 0.
    const quality = weight === undefined ? 1 : /^(0(\.\d*)?|1(\.0*)?)$/.test(weight) ? Number(weight) : 0;
    return { value: value.toLowerCase(), parameters, quality };
  }).filter(({ value }) => value !== "");
}

/** In the order in which they are preferred, where both are named. */
const OFFERS: readonly { format: PageFormat; type: string; version: string }[] = [
  { format: "openmetrics", type: "application/openmetrics-text", version: "1.0.0" },
  { format: "text", type: "text/plain", version: "0.0.4" },
];

/** How exactly a range names a type: 0 not at all, 1 and 2 by wildcards, 3 by its name. */
function specificity(range: Element, type: string, version: string): number {
  if (range.value === type) return (range.parameters.get("version") ?? version) === version ? 3 : 0;
  return range.value === `${type.split("/")[0]}/*` ? 2 : range.value === "*/*" ? 1 : 0;
}

/**
 * The format for an `Accept` header: the one with the highest quality, of equals the one that is named. Where nothing
 * fits or nothing is named, and without a header, it is the text format: browsers and curl show it.
 */
export function chooseFormat(accept: string | undefined): PageFormat {
  const ranges = elements(accept ?? "");
  let best = { format: "text" as PageFormat, quality: 0, named: false };
  for (const { format, type, version } of OFFERS) {
    // The most specific range decides on the quality of a type.
    let quality = 0;
    let exactness = 0;
    for (const range of ranges) {
      const own = specificity(range, type, version);
      if (own > exactness) {
        exactness = own;
        quality = range.quality;
      } else if (own === exactness && own > 0) quality = Math.max(quality, range.quality);
    }
    if (quality > best.quality || quality > 0 && quality === best.quality && !best.named) {
      best = { format, quality, named: exactness === 3 };
    }
  }
  return best.format;
}

/** Whether an `Accept-Encoding` header allows gzip, and prefers it to nothing at all. */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const qualities = new Map(elements(acceptEncoding ?? "").map(({ value, quality }) => [value, quality]));
  const gzip = qualities.get("gzip") ?? qualities.get("x-gzip") ?? qualities.get("*") ?? 0;
  return gzip > 0 && gzip >= (qualities.get("identity") ?? 0);
}
