/** What pages of Redfish (DMTF DSP0266, schemas Chassis, Power and EnvironmentMetrics) say of power. */

/** A power, in watts, and what it is of. */
export interface Reading {
  /** The name of an entry of PowerControl; empty for the whole chassis. */
  readonly name: string;
  readonly watts: number;
}

/** More entries than a controller has are not read. */
const MOST_ENTRIES = 64;
/** The longest name of an entry. */
const MOST_NAME = 100;

/** The value at these keys; `undefined` where there is none. */
export function at(value: unknown, ...keys: string[]): unknown {
  for (const key of keys) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** The path that a link leads to; `undefined` where there is none on this controller. */
export function linkOf(value: unknown): string | undefined {
  const path = at(value, "@odata.id");
  return typeof path === "string" && /^\/(?!\/)[\x21-\x7e]{0,500}$/.test(path) ? path : undefined;
}

/** The paths of the members of a collection. */
export function membersOf(page: unknown): string[] {
  const members = at(page, "Members");
  if (!Array.isArray(members)) return [];
  return members.slice(0, MOST_ENTRIES).flatMap((member) => linkOf(member) ?? []);
}

const isPower = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;

/** The powers of an EnvironmentMetrics or Power page; none where the controller does not know them at present. */
export function readingsOf(page: unknown): Reading[] {
  const watts = at(page, "PowerWatts", "Reading");
  if (isPower(watts)) return [{ name: "", watts }];
  const controls = at(page, "PowerControl");
  if (!Array.isArray(controls)) return [];
  const readings = new Map<string, Reading>();
  controls.slice(0, MOST_ENTRIES).forEach((control, i) => {
    const watts = at(control, "PowerConsumedWatts");
    if (!isPower(watts)) return;
    const given = at(control, "Name");
    const name = typeof given === "string" && given.isWellFormed() ? given.slice(0, MOST_NAME) : "";
    // Two entries of one name would be one series.
    const key = name === "" || readings.has(name) ? `${name}#${i}` : name;
    readings.set(key, { name: key, watts });
  });
  return [...readings.values()];
}
