/** How far plots look back: the last quarter of an hour comes from memory, what is older from the database. */
import { choices, choose, get, said } from "./asking.js";
import { h, setText } from "./dom.js";

const SPANS = [
  ["", "15 minutes"],
  ["3600", "1 hour"],
  ["21600", "6 hours"],
  ["86400", "24 hours"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
  ["31536000", "1 year"],
];
/** How often what is older is read again, in ms. */
const OLD_MS = 60_000;

export class Span {
  /** @param onChange Called when another span is chosen. */
  constructor(onChange) {
    this.select = h("select", {}, ...SPANS.map(([value, text]) => h("option", { value }, text)));
    this.select.value = choices().get("span") ?? "";
    if (this.select.selectedIndex < 0) this.select.value = "";
    this.note = h("span", { class: "soft", role: "status" });
    this.label = h("label", { class: "span", hidden: true }, "Last ", this.select);
    this.element = h("span", {}, this.label, " ", this.note);
    this.readMs = -Infinity;
    this.select.addEventListener("change", () => {
      choose({ span: this.select.value });
      this.readMs = -Infinity;
      onChange();
    });
  }

  update() {
    this.label.hidden = !said.tick?.status.history;
  }

  /** Reads a path of the API over the span. @returns nothing if what was read is still new, or cannot be read */
  async get(path) {
    const { value } = this.select;
    if (value === "" || this.label.hidden) {
      setText(this.note, "");
      const answer = await get(path);
      // Another span may have been chosen meanwhile, and its answer may be there.
      return this.select.value === value ? answer : undefined;
    }
    if (performance.now() - this.readMs < OLD_MS) return undefined;
    const waiting = setTimeout(() => setText(this.note, "Reading …"), 300);
    try {
      const answer = await get(`${path}${path.includes("?") ? "&" : "?"}span=${value}`);
      if (this.select.value !== value) return undefined;
      this.readMs = performance.now();
      setText(this.note, answer.whole ? "" : "There is more than could be read in a short time.");
      return answer;
    } catch (error) {
      setText(this.note, error.message);
      return undefined;
    } finally {
      clearTimeout(waiting);
    }
  }
}
