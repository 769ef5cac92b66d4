/** The page of the process itself. */
import { get, said } from "./asking.js";
import { h, Rows, tableOf } from "./dom.js";
import { age, digits, quantity, shown } from "./format.js";

function card(title, ...content) {
  return h("section", {}, h("h2", {}, title), ...content);
}

export function processPage() {
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
  let shownFacts = "";
  const update = () => {
    if (!said.tick) return;
    const { status } = said.tick;
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
      tableOf(["Output", "Target", "Points waiting", "Oldest", "Dropped", "Dead letters"], outputs),
    ),
    card("Inputs", tableOf(["Input", "Counters since the start"], inputs)),
    card("Log", log),
  );
  return { title: "Process", element, update, read, search: null };
}
