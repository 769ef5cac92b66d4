/** Elements, and tables whose rows are kept. */

/** Makes an element; children are elements or texts, and no text is ever taken for markup. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && typeof value !== "string") element[name] = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

/** Puts elements into another one; those that are there already stay, and so does the focus in them. */
export function setChildren(element, children) {
  const wanted = new Set(children);
  for (const child of [...element.children]) if (!wanted.has(child)) child.remove();
  let next = element.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else element.insertBefore(child, next);
  }
}

/** Rows that are kept, and changed only where something is new: by key. */
export class Rows {
  constructor(columns) {
    this.columns = columns;
    this.body = h("tbody");
    this.known = new Map();
  }

  /** @param items Pairs of a key and what the columns show. */
  show(items) {
    setChildren(this.body, this.rowsOf(items));
  }

  rowsOf(items) {
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
    if (this.known.size > 2 * rows.length + 100) {
      this.known = new Map(items.map(([key], i) => [key, rows[i]]));
    }
    return rows;
  }
}

/** Rows above and below the window that exist as well. */
const SPARE_ROWS = 15;
const ROW_HEIGHT = 33;

/** Rows of which only those near the window exist: a table of any length costs as much as a short one. */
export class WindowedRows extends Rows {
  constructor(columns, { classOf }) {
    super(columns);
    this.classOf = classOf;
    this.items = [];
    this.above = h("tr", { class: "space", "aria-hidden": "true" }, h("td", { colSpan: columns.length }));
    this.below = this.above.cloneNode(true);
    this.height = ROW_HEIGHT;
  }

  show(items) {
    this.items = items;
    this.render();
  }

  /** Shows what the window shows now. */
  render() {
    const { items, height } = this;
    const top = this.body.getBoundingClientRect().top;
    const first = Math.floor(-top / height) - SPARE_ROWS;
    const count = Math.ceil(innerHeight / height) + 2 * SPARE_ROWS;
    const from = Math.max(0, Math.min(first, items.length - count));
    const to = Math.min(items.length, from + count);
    const part = items.slice(from, to);
    const rows = this.rowsOf(part);
    rows.forEach((row, i) => {
      setClass(row, this.classOf(part[i][1]));
      row.ariaRowIndex = String(from + i + 2);
    });
    this.body.parentElement?.setAttribute("aria-rowcount", String(items.length + 1));
    const space = (row, count) => {
      const text = `${count * height}px`;
      if (row.firstChild.style.height !== text) row.firstChild.style.height = text;
      return count === 0 ? [] : [row];
    };
    setChildren(this.body, [...space(this.above, from), ...rows, ...space(this.below, items.length - to)]);
    if (rows.length > 0 && rows[0].offsetHeight > 0) this.height = rows[0].offsetHeight;
  }
}

/** A table that scrolls sideways where it is too wide. */
export function scrolling(label, ...content) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...content);
}

export function tableOf(titles, rows, label = titles[0]) {
  const heads = titles.map((title, i) =>
    h("th", { scope: "col", class: rows.columns[i].class === "number" ? "number" : "" }, title)
  );
  return scrolling(label, h("table", {}, h("thead", {}, h("tr", {}, ...heads)), rows.body));
}
