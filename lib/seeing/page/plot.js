/** Plots on a canvas: lines, or areas on top of each other; with a legend, a reading at the pointer or by keys, and CSV. */
import { h, setChildren, setText } from "./dom.js";
import { csv, marksOfTime, quantity, shown, ticksOf } from "./format.js";

export const COLORS = [
  "#2f7ed8",
  "#e07b00",
  "#1b9e62",
  "#c2457d",
  "#7a5fd0",
  "#0f9fb3",
  "#a5761d",
  "#d1495b",
  "#5b8c2a",
  "#4f6d8f",
];
const OTHERS = "#8b97a5";
/** A line passes over so many seconds without a value, and over twice the usual gap: inputs poll more rarely. */
const MAX_GAP_SECONDS = 63;
const LEFT = 64;
const BOTTOM = 22;
const TOP = 8;
const RIGHT = 8;

/** Plots that the window shows. */
const visible = new Set();
const watching = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) visible.add(target.plot);
    else visible.delete(target.plot);
    if (isIntersecting) target.plot.show();
  }
}, { rootMargin: "200px" });
const measuring = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) target.plot.resize(contentRect);
});
/** Plots that are to be painted; so many milliseconds of each frame are for that. */
const waiting = new Set();
const PAINT_MS = 8;
let frame = 0;
/** What is drawn in: read from the styles once. */
let inks = null;

function paintSome() {
  const began = performance.now();
  frame = 0;
  for (const plot of waiting) {
    waiting.delete(plot);
    plot.paint();
    if (performance.now() - began > PAINT_MS) break;
  }
  if (waiting.size > 0) frame = requestAnimationFrame(paintSome);
}

/** Draws everything again, in the colours of now. */
export function redraw() {
  inks = null;
  for (const plot of visible) plot.draw();
}

/** A card with a plot; what is `more` stands beside its title. */
export function withPlot(heading, title, plot, ...more) {
  const download = h("button", { type: "button", onclick: () => plot.download() }, "CSV");
  download.setAttribute("aria-label", `${title} as CSV`);
  return h(
    "section",
    {},
    h("div", { class: "head" }, h(heading, {}, title), ...more, download),
    plot.element,
  );
}

function legendItem(text, href, color) {
  const swatch = h("span", { class: "swatch" });
  swatch.style.background = color;
  const label = href ? h("a", { href }, text) : h("span", {}, text);
  return h("li", {}, swatch, label, h("span", { class: "value" }));
}

export class Plot {
  /** @param title What it shows. */
  constructor(title, { unit, stacked = false }) {
    this.title = title;
    this.unit = unit;
    this.stacked = stacked;
    this.data = { series: [], newest: 0, step: 1 };
    this.cursor = null;
    this.canvas = h("canvas", { role: "img", tabindex: "0", "aria-label": title });
    this.reading = h("p", { class: "reading", "aria-live": "polite" });
    this.legend = h("ul", { class: "legend", tabindex: "0", "aria-label": `Legend of ${title}` });
    this.element = h("figure", { class: "plot" }, this.canvas, this.reading, this.legend);
    this.canvas.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.read(null));
    this.canvas.addEventListener("blur", () => this.read(null));
    this.canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -1e6, End: 1e6 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.read((this.cursor ?? this.length - 1) + moves[event.key]);
    });
    this.items = new Map();
    this.width = this.height = 0;
    this.canvas.plot = this;
    watching.observe(this.canvas);
    measuring.observe(this.canvas);
  }

  get length() {
    return Math.max(0, ...this.data.series.map(({ values }) => values.length));
  }

  /** @param data `series` (name, values, oldest first), `newest` and `step` in seconds. */
  set(data) {
    this.data = data;
    data.series.forEach((one, i) => one.color = one.isRest ? OTHERS : COLORS[i % COLORS.length]);
    if (visible.has(this)) this.show();
  }

  /** Shows what it has: a plot that nobody sees costs nothing. */
  show() {
    this.showLegend();
    this.draw();
    if (this.cursor !== null) this.read(this.cursor);
  }

  /** The last value that is not older than a gap. */
  last(values) {
    const oldest = values.length - Math.max(3, MAX_GAP_SECONDS / this.data.step);
    for (let i = values.length - 1; i >= Math.max(0, oldest); i--) if (values[i] !== null) return values[i];
    return null;
  }

  showLegend() {
    const before = this.items;
    this.items = new Map();
    const list = this.data.series.map(({ name, values, color, href }) => {
      const text = shown(name, 80);
      const key = `${color} ${href} ${name}`;
      const item = before.get(key) ?? legendItem(text, href, color);
      this.items.set(key, item);
      setText(item.lastChild, quantity(this.last(values), this.unit));
      return item;
    });
    setChildren(this.legend, list);
    const now = this.data.series.slice(0, 5)
      .map(({ name, values }) => `${shown(name, 40)} ${quantity(this.last(values), this.unit)}`);
    this.canvas.setAttribute("aria-label", `${this.title}; now: ${now.join(", ") || "nothing"}`);
  }

  download() {
    const blob = new Blob([csv(this.data)], { type: "text/csv" });
    const url = URL.createObjectURL(blob);
    h("a", { href: url, download: `${this.title.replace(/[^\w.-]+/g, "_")}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  point(x) {
    const width = this.canvas.clientWidth - LEFT - RIGHT;
    this.read(Math.round((x - LEFT) / width * (this.length - 1)));
  }

  /** Reads the values of a sample aloud, or none. */
  read(sample) {
    const { series, newest, step } = this.data;
    this.cursor = sample === null || this.length === 0
      ? null
      : Math.max(0, Math.min(this.length - 1, sample));
    if (this.cursor === null) this.reading.textContent = "";
    else {
      const date = new Date((newest - (this.length - 1 - this.cursor) * step) * 1000);
      const time = this.length * step > 86_400 / 2 ? date.toLocaleString() : date.toLocaleTimeString();
      const values = series.map(({ name, values }) => ({ name, value: values[this.cursor] }))
        .filter(({ value }) => value !== null);
      const sum = this.stacked && values.length > 1
        ? ` all ${quantity(values.reduce((sum, { value }) => sum + value, 0), this.unit)},`
        : "";
      const list = values.slice(0, 8).map(({ name, value }) =>
        `${shown(name, 30)} ${quantity(value, this.unit)}`
      );
      this.reading.textContent = `${time}:${sum} ${list.join(", ") || "no values"}`;
    }
    this.draw();
  }

  draw() {
    if (!visible.has(this)) return;
    waiting.add(this);
    frame ||= requestAnimationFrame(paintSome);
  }

  /** Reading the size where plots are painted would lay out the page once for each. */
  resize({ width, height }) {
    this.width = Math.round(width);
    this.height = Math.round(height);
    this.draw();
  }

  paint() {
    const { canvas, width, height, data: { series, newest, step } } = this;
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!inks) {
      const style = getComputedStyle(canvas);
      inks = ["--soft", "--line", "--text"].map((name) => style.getPropertyValue(name));
    }
    const [soft, line, text] = inks;
    const { length } = this;
    const tops = this.stacked ? stack(series, length) : null;
    let [low, high] = [0, 0];
    for (const values of tops ?? series.map(({ values }) => values)) {
      for (const value of values) {
        if (value === null) continue;
        if (value > high) high = value;
        if (value < low) low = value;
      }
    }
    const marks = ticksOf(low, high || 1, Math.max(2, Math.floor(height / 50)), this.unit);
    [low, high] = [marks[0], marks[marks.length - 1]];
    canvas.dataset.high = String(high);
    const x = (i) => LEFT + (width - LEFT - RIGHT) * (length < 2 ? 1 : i / (length - 1));
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - (value - low) / (high - low));
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = soft;
    context.strokeStyle = line;
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const mark of marks) {
      context.fillText(quantity(mark, this.unit), LEFT - 8, y(mark));
      context.beginPath();
      context.moveTo(LEFT, Math.round(y(mark)) + 0.5);
      context.lineTo(width - RIGHT, Math.round(y(mark)) + 0.5);
      context.stroke();
    }
    context.textBaseline = "bottom";
    const first = newest - (length - 1) * step;
    context.textAlign = "center";
    for (const { time, text } of marksOfTime(first, newest, Math.max(2, Math.floor(width / 90)))) {
      const at = x((time - first) / step);
      if (at < width - 30) context.fillText(text, at, height - 2);
    }
    if (tops) this.paintAreas(context, tops, x, y);
    else for (const { values, color } of series) paintLine(context, values, color, x, y, step);
    if (this.cursor !== null) {
      context.strokeStyle = text;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(x(this.cursor), TOP);
      context.lineTo(x(this.cursor), height - BOTTOM);
      context.stroke();
    }
  }

  paintAreas(context, tops, x, y) {
    const { series } = this.data;
    // From the highest to the lowest, each over the one before.
    for (let n = series.length - 1; n >= 0; n--) {
      const values = tops[n];
      context.fillStyle = series[n].color;
      for (let from = 0; from < values.length;) {
        if (values[from] === null) {
          from++;
          continue;
        }
        let to = from;
        while (to + 1 < values.length && values[to + 1] !== null) to++;
        context.beginPath();
        // A single sample has a width, too.
        context.moveTo(x(from - (from === to ? 0.5 : 0)), y(0));
        for (let i = from; i <= to; i++) context.lineTo(x(i - (from === to ? 0.5 : 0)), y(values[i]));
        context.lineTo(x(to + (from === to ? 0.5 : 0)), y(values[to]));
        context.lineTo(x(to + (from === to ? 0.5 : 0)), y(0));
        context.fill();
        from = to + 1;
      }
    }
  }
}

/** The upper edges of areas on top of each other; `null` where no series has a value. */
export function stack(series, length) {
  const sums = new Array(length).fill(null);
  return series.map(({ values }) => {
    for (let i = 0; i < length; i++) {
      if (values[i] !== null && values[i] !== undefined) sums[i] = (sums[i] ?? 0) + Math.max(0, values[i]);
    }
    return [...sums];
  });
}

/** How many samples a line passes over. */
function mostGap(values, step) {
  let [before, least] = [-1, Infinity];
  for (let i = 0; i < values.length; i++) {
    if (values[i] === null) continue;
    if (before >= 0 && i - before < least) least = i - before;
    before = i;
  }
  return Math.max(MAX_GAP_SECONDS / step, Number.isFinite(least) ? 2 * least : 0);
}

function paintLine(context, values, color, x, y, step) {
  const gap = mostGap(values, step);
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = 1.75;
  context.lineJoin = "round";
  context.beginPath();
  let before = -1;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === null) continue;
    if (before >= 0 && i - before <= gap) context.lineTo(x(i), y(values[i]));
    else context.moveTo(x(i), y(values[i]));
    before = i;
  }
  context.stroke();
  if (before < 0) return;
  context.beginPath();
  context.arc(x(before), y(values[before]), 2.5, 0, 7);
  context.fill();
}
