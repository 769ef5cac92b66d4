/** The page: what is shown at which address, and what keeps it up to date. */
import { said } from "./asking.js";
import { setText } from "./dom.js";
import { age, shown } from "./format.js";
import { hostPage } from "./host.js";
import { overview } from "./overview.js";
import { redraw } from "./plot.js";
import { processPage } from "./process.js";

/** How often plots are read again, in ms. */
const READ_MS = 3000;
const main = document.getElementById("main");
/**
 * What is shown: `update` is called with what is new, `read` every few seconds, `scrolled` when the window shows another
 * part.
 */
let page = null;

function route() {
  const [hash] = location.hash.split("?");
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
  if (isReading || document.hidden || !said.tick) return;
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
    const isFirst = !said.tick || isLost;
    said.tick = JSON.parse(event.data);
    isLost = false;
    const { status } = said.tick;
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
let isMoving = false;
for (const event of ["scroll", "resize"]) {
  addEventListener(event, () => {
    if (isMoving || !page.scrolled) return;
    isMoving = true;
    requestAnimationFrame(() => {
      isMoving = false;
      page.scrolled?.();
    });
  }, { passive: true });
}
document.addEventListener("visibilitychange", readPage);
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = dark === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch { /* not allowed here */ }
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
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
