/** The page: what is shown at which address, and what keeps it up to date. */
import { age, digits, quantity, shown, sortHosts } from "./format.js";
import { h, Plot } from "./plot.js";

/** How often plots are read again, in ms. */
const READ_MS = 3000;
/** Rows of a table, until somebody asks for all. */
const MOST_ROWS = 200;
/** Lines of one plot. */
const MOST_LINES = 10;
const main = document.getElementById("main");
/** What the process said last. */
let tick = null;
/** What is shown: `update` is called with what is new, `read` every few seconds. */
let page = null;

async function get(path) {
  const response = await fetch(`api/v1/${path}`);
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return await response.json();
}

const hostLink = (name) => `#/host/${encodeURIComponent(name)}`;
const setText = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

function card(title, ...content) {
  return h("section", {}, h("h2", {}, title), ...content);
}

function withPlot(title, plot, more) {
  const download = h("button", { type: "button", onclick: () => plot.download() }, "CSV");
  download.setAttribute("aria-label", `${title} as CSV`);
  return h(
    "section",
    {},
    h("div", { class: "head" }, h("h2", {}, title), more ?? null, download),
    plot.element,
  );
}

/** Rows that are kept, and changed only where something is new: by key. */
class Rows {
  constructor(columns) {
    this.columns = columns;
    this.body = h("tbody");
    this.known = new Map();
  }

  show(items) {
    const rows = items.map(([key, item]) => {
      let row = this.known.get(key);
      if (!row) {
        const cells = this.columns.map((column) => {
          const cell = h("td", { class: column.class ?? "" });
          if (column.link) cell.append(h("a", { href: column.link(item) }));
          return cell;
        });
        row = h("tr", {}, ...cells);
        this.known.set(key, row);
      }
      this.columns.forEach((column, i) => {
        const cell = row.cells[i];
        setText(column.link ? cell.firstChild : cell, column.text(item));
      });
      return row;
    });
    if (rows.length !== this.body.rows.length || rows.some((row, i) => this.body.rows[i] !== row)) {
      this.body.replaceChildren(...rows);
    }
    if (this.known.size > 2 * rows.length + 100) {
      this.known = new Map(items.map(([key], i) => [key, rows[i]]));
    }
    return rows;
  }
}

const HOST_COLUMNS = [
  {
    key: "state",
    title: "State",
    class: "state",
    text: ({ state, connected }) => state === "silent" ? (connected ? "✗ silent" : "✗ gone") : "● live",
  },
  {
    key: "name",
    title: "Host",
    class: "name",
    text: ({ name }) => shown(name),
    link: ({ name }) => hostLink(name),
  },
  { key: "watts", title: "Power", class: "number", text: ({ watts }) => quantity(watts, "W") },
  {
    key: "points_per_second",
    title: "Points/s",
    class: "number",
    text: ({ points_per_second }) => digits(points_per_second, 3),
  },
  {
    key: "silent_seconds",
    title: "Last contact",
    class: "number",
    text: ({ silent_seconds }) => age(silent_seconds),
  },
  {
    key: "pending_points",
    title: "Waiting",
    class: "number",
    text: ({ pending_points }) => pending_points === 0 ? "" : digits(pending_points, 3),
  },
  { key: "version", title: "Version", text: ({ version }) => shown(version ?? "", 30) },
];

/** Hosts, and their power. */
function overview() {
  const plot = new Plot("Power of all hosts", { unit: "W", stacked: true });
  const total = h("span", { class: "big", id: "total" }, "–");
  const counts = h("p", { class: "soft", id: "counts" });
  const search = h("input", { type: "search", placeholder: "Search hosts", "aria-label": "Search hosts" });
  const rows = new Rows(HOST_COLUMNS);
  const more = h("button", { type: "button", id: "more", hidden: true });
  const sort = { key: "state", reverse: false };
  let isAll = false;
  let isRead = false;
  const heads = HOST_COLUMNS.map(({ key, title, class: name }) => {
    const head = h("th", { scope: "col", class: name === "number" ? "number" : "" });
    const change = () => {
      sort.reverse = sort.key === key && !sort.reverse;
      sort.key = key;
      update();
    };
    head.append(h("button", { type: "button", onclick: change }, title));
    return [key, head];
  });
  const table = h(
    "table",
    { id: "hosts" },
    h("thead", {}, h("tr", {}, ...heads.map(([, head]) => head))),
    rows.body,
  );
  search.addEventListener("input", () => update());
  more.addEventListener("click", () => {
    isAll = true;
    update();
  });
  const consumers = new Rows([
    { text: ({ watts }) => quantity(watts, "W"), class: "number" },
    { text: ({ consumer }) => shown(consumer), class: "name" },
    { text: ({ host }) => shown(host), link: ({ host }) => hostLink(host) },
    { text: ({ metric }) => shown(metric, 60) },
  ]);
  const consumerCard = h(
    "section",
    { hidden: true },
    h("h2", {}, "Power of processes, control groups and jobs"),
    h(
      "div",
      { class: "scroll", tabindex: "0" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h("tr", {}, ...["Power", "Who", "Host", "Metric"].map((title) => h("th", { scope: "col" }, title))),
        ),
        consumers.body,
      ),
    ),
  );
  const update = () => {
    if (!tick) return;
    const { hosts } = tick;
    const silent = hosts.filter(({ state }) => state === "silent").length;
    const known = hosts.filter(({ watts }) => watts !== null);
    setText(
      total,
      known.length === 0 ? "–" : quantity(known.reduce((sum, { watts }) => sum + watts, 0), "W"),
    );
    const rate = hosts.reduce((sum, { points_per_second }) => sum + points_per_second, 0);
    setText(
      counts,
      `${hosts.length} hosts, ${silent} silent, ${known.length} with power, ${digits(rate, 3)} points/s`,
    );
    const list = sortHosts(hosts, sort, search.value);
    const part = isAll ? list : list.slice(0, MOST_ROWS);
    rows.show(part.map((host) => [host.name, host])).forEach((row, i) => {
      const name = part[i].state === "silent" ? "silent" : "";
      if (row.className !== name) row.className = name;
    });
    more.hidden = part.length === list.length;
    setText(more, `Show all ${list.length} hosts`);
    for (const [key, head] of heads) {
      if (key !== sort.key) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", sort.reverse ? "descending" : "ascending");
    }
    if (!isRead) {
      isRead = true;
      read();
    }
  };
  const read = async () => {
    const [power, list] = await Promise.all([get("power"), get("consumers")]);
    if (power) {
      plot.set({
        newest: power.newest,
        step: power.step_seconds,
        series: power.hosts.map(({ name, watts, rest }) => ({
          name,
          values: watts,
          isRest: rest,
          href: rest ? undefined : hostLink(name),
        })),
      });
    }
    consumerCard.hidden = list.length === 0;
    consumers.show(list.map((one) => [JSON.stringify([one.host, one.consumer, one.metric]), one]));
  };
  const element = h(
    "div",
    {},
    h("h1", {}, "Hosts"),
    withPlot("Power of all hosts, last 15 minutes", plot, total),
    h(
      "section",
      {},
      h("div", { class: "row" }, h("h2", {}, "All hosts"), search),
      counts,
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of hosts" }, table),
      more,
    ),
    consumerCard,
  );
  return { title: "Hosts", element, update, read, search };
}

/** What tells the series of one metric apart. */
function seriesName({ resource, consumer, attributes }) {
  const what = [resource, consumer].filter((text) => text !== "local_machine");
  const more = Object.entries(attributes).filter(([name]) => name !== "relay_client")
    .map(([name, value]) => `${name}=${value}`);
  return [...what, ...more].join(" ") || "the machine";
}

/** All metrics of one host. */
function hostPage(name) {
  const state = h("p", {});
  const search = h("input", {
    type: "search",
    placeholder: "Search metrics",
    "aria-label": "Search metrics",
  });
  const grid = h("div", { class: "grid small" });
  const note = h("p", { class: "soft" });
  const cards = new Map();
  const filter = () => {
    const wanted = search.value.toLowerCase();
    for (const { card, text } of cards.values()) card.hidden = !text.includes(wanted);
  };
  search.addEventListener("input", filter);
  const update = () => {
    const host = tick?.hosts.find((host) => host.name === name);
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
    const { series, newest, step_seconds: step, refused_series: refused } = await get(
      `host?name=${encodeURIComponent(name)}`,
    );
    const groups = Map.groupBy(series, ({ metric, unit }) => `${metric}\n${unit}`);
    for (const key of [...groups.keys()].sort()) {
      const members = groups.get(key);
      const { metric, unit, description } = members[0];
      let known = cards.get(key);
      if (!known) {
        const plot = new Plot(`${shown(metric, 60)} of ${shown(name, 60)}`, { unit });
        const title = shown(metric, 60) + (unit === "" ? "" : ` (${unit})`);
        const card = withPlot(title, plot);
        card.title = shown(description);
        known = { plot, card, text: "" };
        cards.set(key, known);
        grid.append(card);
      }
      const named = members.map((one) => ({ ...one, name: seriesName(one) }));
      known.text = named.map((one) => `${metric} ${one.name}`).join(" ").toLowerCase();
      // Those with the largest values, in an order that stays.
      named.sort((a, b) => Math.abs(b.last ?? 0) - Math.abs(a.last ?? 0));
      const lines = named.slice(0, MOST_LINES).sort((a, b) => a.name < b.name ? -1 : 1);
      known.plot.set({
        newest,
        step,
        series: lines.map(({ name, values, last }) => ({ name, values: values ?? [last] })),
      });
    }
    filter();
    const hidden = [...groups.values()].reduce(
      (sum, { length }) => sum + Math.max(0, length - MOST_LINES),
      0,
    );
    setText(
      note,
      `${series.length} series.` + (hidden > 0 ? ` ${hidden} with smaller values are not shown.` : "") +
        (refused > 0 ? ` There is no room for ${refused} series: raise memory in [http].` : ""),
    );
  };
  const element = h(
    "div",
    {},
    h("h1", {}, shown(name)),
    state,
    h("div", { class: "row" }, note, search),
    grid,
  );
  return { title: shown(name), element, update, read, search };
}

/** The process itself. */
function processPage() {
  const facts = h("dl");
  const outputs = new Rows([
    { text: ({ name }) => shown(name), class: "name" },
    { text: ({ target_away }) => target_away ? "target away" : "ok" },
    { text: ({ pending_points }) => digits(pending_points), class: "number" },
    {
      text: ({ pending_points, lag_seconds }) => pending_points === 0 ? "–" : age(lag_seconds),
      class: "number",
    },
    { text: ({ dropped_points }) => digits(dropped_points), class: "number" },
    { text: ({ dead_letters }) => digits(dead_letters), class: "number" },
  ]);
  const inputs = new Rows([
    { text: ({ name }) => shown(name), class: "name" },
    {
      class: "name",
      text: ({ counters }) =>
        Object.entries(counters).map(([name, value]) => `${name} ${digits(value)}`).join(", "),
    },
  ]);
  const log = h("ul", { class: "log", tabindex: "0", "aria-label": "Log" });
  const table = (titles, rows) => {
    const heads = titles.map((title, i) =>
      h("th", { scope: "col", class: rows.columns[i].class === "number" ? "number" : "" }, title)
    );
    return h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": titles[0] },
      h("table", {}, h("thead", {}, h("tr", {}, ...heads)), rows.body),
    );
  };
  let shownFacts = "";
  const update = () => {
    if (!tick) return;
    const { status } = tick;
    const { journal } = status;
    const list = [
      [
        "Role",
        `${status.role} on ${shown(status.host)}, alumet-relay ${status.version}, process ${status.pid}`,
      ],
      ["Since", `${new Date(status.started * 1000).toLocaleString()} (${age(status.now - status.started)})`],
      ["Ready", status.ready ? "yes" : status.problems.join(", ")],
      ["Connected to", status.connected_to.map((server) => shown(server)).join(", ")],
      [
        "Clients",
        status.clients === null ? "" : `${status.clients} connected, ${status.refused_clients} refused`,
      ],
      [
        "Points",
        `${digits(status.points, 12)}; ${digits(status.dropped_points)} dropped, ${
          digits(status.rejected_points)
        } ` +
        `rejected, ${digits(status.duplicate_points)} duplicates`,
      ],
      [
        "Journal",
        `${quantity(journal.bytes, "B")} of ${quantity(journal.limit_bytes, "B")}` +
        (journal.directory === null ? " in memory" : ` in ${shown(journal.directory)}`) +
        (journal.full ? ", FULL" : ""),
      ],
      [
        "Waiting",
        `${digits(status.pending_points, 12)} points` +
        (status.pending_points > 0 ? `, the oldest for ${age(journal.oldest_seconds)}` : ""),
      ],
      ["Memory", quantity(status.memory_bytes, "B")],
      ["CPU time", quantity(status.cpu_seconds, "s")],
    ].filter(([, value]) => value !== "");
    const text = JSON.stringify(list);
    if (text !== shownFacts) {
      shownFacts = text;
      facts.replaceChildren(...list.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
    }
    outputs.show(status.outputs.map((output) => [output.name, output]));
    inputs.show(status.inputs.map((input) => [input.name, input]));
  };
  let lines = "";
  const read = async () => {
    const entries = await get("log");
    const text = JSON.stringify(entries);
    if (text === lines) return;
    lines = text;
    log.replaceChildren(
      ...entries.reverse().map(({ time, level, part, message, fields }) => {
        const more = Object.entries(fields).map(([name, value]) => ` ${name}=${shown(value)}`).join("");
        const clock = new Date(time * 1000).toLocaleTimeString();
        return h(
          "li",
          { class: level },
          `${clock} ${level.toUpperCase()} ${part}: ${shown(message, 1000)}${more}`,
        );
      }),
    );
  };
  const element = h(
    "div",
    {},
    h("h1", {}, "Process"),
    card("State", facts),
    card(
      "Outputs",
      table(["Output", "Target", "Points waiting", "Oldest", "Dropped", "Dead letters"], outputs),
    ),
    card("Inputs", table(["Input", "Counters since the start"], inputs)),
    card("Log", log),
  );
  return { title: "Process", element, update, read, search: null };
}

function route() {
  const hash = location.hash;
  if (hash === "#main") return;
  const [, host] = /^#\/host\/(.+)$/.exec(hash) ?? [];
  let name;
  try {
    name = host && decodeURIComponent(host);
  } catch { /* not a name */ }
  const kind = name ? "host" : hash === "#/process" ? "process" : "overview";
  page = name ? hostPage(name) : kind === "process" ? processPage() : overview();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.page === kind) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.title} – alumet-relay`;
  main.replaceChildren(page.element);
  scrollTo(0, 0);
  page.update();
  readPage();
}

const problem = document.getElementById("problem");
function say(text) {
  setText(problem, text);
  problem.hidden = text === "";
}

let isReading = false;
async function readPage() {
  if (isReading || document.hidden || !tick) return;
  isReading = true;
  const shown = page;
  try {
    await shown.read();
  } catch (error) {
    if (shown === page && !isLost) say(`Cannot read values: ${error.message}`);
  }
  isReading = false;
}

let isLost = false;
function listen() {
  const events = new EventSource("api/v1/events");
  events.addEventListener("tick", (event) => {
    const isFirst = !tick || isLost;
    tick = JSON.parse(event.data);
    isLost = false;
    const { status } = tick;
    say(status.ready ? "" : `Not ready: ${status.problems.join(", ")}`);
    setText(
      document.getElementById("who"),
      `${status.role} on ${shown(status.host, 60)}, up ${
        age(status.now - status.started)
      }, version ${status.version}`,
    );
    page.update();
    if (isFirst) readPage();
  });
  events.addEventListener("error", () => {
    isLost = true;
    say("The process does not answer. What is shown is not of now.");
  });
}

addEventListener("hashchange", route);
document.addEventListener("visibilitychange", readPage);
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = dark === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch { /* not allowed here */ }
  page.read?.();
});
try {
  const theme = localStorage.getItem("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
} catch { /* not allowed here */ }
addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof HTMLInputElement;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && isTyping) {
    event.target.value = "";
    event.target.dispatchEvent(new Event("input"));
    event.target.blur();
  } else if (isTyping) return;
  else if (event.key === "/" && page.search) {
    event.preventDefault();
    page.search.focus();
  } else if (event.key === "h") location.hash = "#/";
  else if (event.key === "p") location.hash = "#/process";
});
route();
listen();
setInterval(readPage, READ_MS);
