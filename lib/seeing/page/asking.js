/** What the pages ask the process, and what it said last. */

/** What the process said last: `tick` is the data of the last event. */
export const said = { tick: null };

export async function get(path) {
  const response = await fetch(`api/v1/${path}`);
  if (!response.ok) throw new Error((await response.text()).trim() || `status ${response.status}`);
  return await response.json();
}

export const hostLink = (name) => `#/host/${encodeURIComponent(name)}`;

/** The part of the address behind its `?`: what is chosen on a page, so that it can be kept as a bookmark. */
export function choices() {
  return new URLSearchParams(location.hash.split("?")[1] ?? "");
}

/** Changes it; empty values are left out. */
export function choose(changes) {
  const query = choices();
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const [path] = location.hash.split("?");
  const text = query.toString();
  history.replaceState(null, "", `${path || "#/"}${text && `?${text}`}`);
}
