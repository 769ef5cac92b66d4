/** The page of all hosts: their power, and a table of them. */
import { choices, choose, get, hostLink, said } from "./asking.js";
import { h, Rows, scrolling, setText, tableOf, WindowedRows } from "./dom.js";
import { age, digits, quantity, shown, sortHosts } from "./format.js";
import { Plot, withPlot } from "./plot.js";
import { Span } from "./span.js";

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
    class: "host",
    text: ({ name }) => shown(name),
    link: ({ name }) => hostLink(name),
  },
  { key: "watts", title: "Power", class: "number", text: ({ watts }) => quantity(watts, "W") },
  {
    key: "points_per_second",
    title: "Points/s",
    class: "number minor",
    text: ({ points_per_second }) => digits(points_per_second, 3),
  },
  {
    key: "silent_seconds",
    title: "Last contact",
    class: "number contact",
    text: ({ silent_seconds }) => age(silent_seconds),
  },
  {
    key: "pending_points",
    title: "Waiting",
    class: "number minor",
    text: ({ pending_points }) => pending_points === 0 ? "" : digits(pending_points, 3),
  },
  {
    key: "version",
    title: "Version",
    class: "version minor",
    text: ({ version }) => shown(version ?? "", 30),
  },
];

/** The table of hosts: sorted, searched, and as much of it as the window shows. */
function hostTable(onChange) {
  const rows = new WindowedRows(HOST_COLUMNS, { classOf: ({ state }) => state === "silent" ? "silent" : "" });
  const given = choices();
  const search = h("input", { type: "search", placeholder: "Search hosts", "aria-label": "Search hosts" });
  search.value = given.get("search") ?? "";
  const sort = { key: "state", reverse: given.has("reverse") };
  if (HOST_COLUMNS.some(({ key }) => key === given.get("sort"))) sort.key = given.get("sort");
  const heads = HOST_COLUMNS.map(({ key, title, class: name }) => {
    const change = () => {
      sort.reverse = sort.key === key && !sort.reverse;
      sort.key = key;
      choose({ sort: key === "state" ? "" : key, reverse: sort.reverse ? "1" : "" });
      onChange();
    };
    return h("th", { scope: "col", class: name }, h("button", { type: "button", onclick: change }, title));
  });
  search.addEventListener("input", () => {
    choose({ search: search.value });
    onChange();
  });
  const head = h("thead", {}, h("tr", {}, ...heads));
  const element = scrolling("Table of hosts", h("table", { id: "hosts" }, head, rows.body));
  const show = (hosts) => {
    rows.show(sortHosts(hosts, sort, search.value).map((host) => [host.name, host]));
    HOST_COLUMNS.forEach(({ key }, i) => {
      heads[i].ariaSort = key === sort.key ? (sort.reverse ? "descending" : "ascending") : null;
    });
  };
  return { element, search, show, render: () => rows.render() };
}

export function overview() {
  const plot = new Plot("Power of all hosts", { unit: "W", stacked: true });
  const total = h("span", { class: "big", id: "total" }, "–");
  const counts = h("p", { class: "soft", id: "counts" });
  const span = new Span(() => read().catch(() => {}));
  const table = hostTable(() => update());
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
    tableOf(["Power", "Who", "Host", "Metric"], consumers, "Who uses power"),
  );
  let isRead = false;
  const update = () => {
    if (!said.tick) return;
    const { hosts } = said.tick;
    span.update();
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
    table.show(hosts);
    if (!isRead) {
      isRead = true;
      read().catch(() => {});
    }
  };
  const read = async () => {
    const [power, list] = await Promise.all([span.get("power"), get("consumers")]);
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
    withPlot("h2", "Power of all hosts", plot, span.element, total),
    h(
      "section",
      {},
      h("div", { class: "row" }, h("h2", {}, "All hosts"), table.search),
      counts,
      table.element,
    ),
    consumerCard,
  );
  return { title: "Hosts", element, update, read, search: table.search, scrolled: table.render };
}
