/** The page of one host: all of its metrics, in groups. */
import { choices, choose, said } from "./asking.js";
import { h, setText } from "./dom.js";
import { age, digits, groupOf, GROUPS, quantity, shown } from "./format.js";
import { Plot, withPlot } from "./plot.js";
import { Span } from "./span.js";

/** Lines of one plot. */
const MOST_LINES = 10;

/** What tells the series of one metric apart. */
function seriesName({ resource, consumer, attributes }) {
  const what = [resource, consumer].filter((text) => text !== "local_machine");
  const more = Object.entries(attributes).filter(([name]) => name !== "relay_client")
    .map(([name, value]) => `${name}=${value}`);
  return [...what, ...more].join(" ") || "the machine";
}

/** Plots in groups with a heading; what nothing is searched for in is hidden. */
class Groups {
  constructor() {
    this.element = h("div");
    this.cards = new Map();
    this.groups = GROUPS.map((title) => {
      const grid = h("div", { class: "grid small" });
      const element = h("div", { hidden: true }, h("h2", { class: "group" }, title), grid);
      this.element.append(element);
      return { element, grid };
    });
  }

  card(key, host, { metric, unit, description }) {
    let known = this.cards.get(key);
    if (!known) {
      const plot = new Plot(`${shown(metric, 60)} of ${shown(host, 60)}`, { unit });
      const card = withPlot("h3", shown(metric, 60) + (unit === "" ? "" : ` (${unit})`), plot);
      card.title = shown(description);
      known = { plot, card, text: "", group: this.groups[groupOf(metric, unit)] };
      this.cards.set(key, known);
      known.group.grid.append(card);
    }
    return known;
  }

  filter(text) {
    const wanted = text.toLowerCase();
    const used = new Set();
    for (const { card, text, group } of this.cards.values()) {
      card.hidden = !text.includes(wanted);
      if (!card.hidden) used.add(group);
    }
    for (const group of this.groups) group.element.hidden = !used.has(group);
  }
}

export function hostPage(name) {
  const state = h("p", {});
  const search = h("input", {
    type: "search",
    placeholder: "Search metrics",
    "aria-label": "Search metrics",
  });
  search.value = choices().get("search") ?? "";
  const note = h("p", { class: "soft" });
  const groups = new Groups();
  const span = new Span(() => read().catch(() => {}));
  search.addEventListener("input", () => {
    choose({ search: search.value });
    groups.filter(search.value);
  });
  const update = () => {
    span.update();
    const host = said.tick?.hosts.find((host) => host.name === name);
    if (!host) return setText(state, "Nothing is known of this host at present.");
    state.className = host.state === "silent" ? "silent-text" : "live";
    const last = host.silent_seconds === null ? "" : `, last contact ${age(host.silent_seconds)} ago`;
    setText(
      state,
      `${host.state}${host.connected ? "" : ", not connected"}${last}, ${quantity(host.watts, "W")}, ` +
        `${digits(host.points_per_second, 3)} points/s${host.version ? `, ${shown(host.version)}` : ""}`,
    );
  };
  const read = async () => {
    const answer = await span.get(`host?name=${encodeURIComponent(name)}`);
    if (!answer) return;
    const { series, newest, step_seconds: step, refused_series: refused = 0, other_series: others = 0 } =
      answer;
    const found = Map.groupBy(series, ({ metric, unit }) => `${metric}\n${unit}`);
    let hidden = others;
    for (const key of [...found.keys()].sort()) {
      const members = found.get(key);
      const known = groups.card(key, name, members[0]);
      const named = members.map((one) => ({ ...one, name: seriesName(one) }));
      known.text = named.map((one) => `${one.metric} ${one.name}`).join(" ").toLowerCase();
      // Those with the largest values, in an order that stays.
      named.sort((a, b) => Math.abs(b.last ?? 0) - Math.abs(a.last ?? 0));
      const lines = named.slice(0, MOST_LINES).sort((a, b) => a.name < b.name ? -1 : 1);
      hidden += named.length - lines.length;
      known.plot.set({
        newest,
        step,
        series: lines.map(({ name, values, last }) => ({ name, values: values ?? [last ?? null] })),
      });
    }
    // Metrics without a value in this span.
    for (const [key, { plot }] of groups.cards) if (!found.has(key)) plot.set({ newest, step, series: [] });
    groups.filter(search.value);
    setText(
      note,
      `${series.length + others} series.` +
        (hidden > 0 ? ` ${hidden} with smaller values are not shown.` : "") +
        (refused > 0 ? ` There is no room for ${refused} series: raise memory in [http].` : ""),
    );
  };
  const element = h(
    "div",
    {},
    h("h1", {}, shown(name)),
    state,
    h("div", { class: "row" }, note, span.element, search),
    groups.element,
  );
  return { title: shown(name), element, update, read, search };
}
