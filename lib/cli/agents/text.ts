/** How commands write numbers, sizes and times for people. */
import { printable } from "../../base/log.ts";

/** With commas. */
export function count(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(?:\d{3})+(?!\d))/g, ",");
}

/** In at most five characters: `999`, `1.2k`, `12M`. */
export function short(value: number): string {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (Math.abs(value) < size) continue;
    const scaled = value / size;
    return `${Math.abs(scaled) < 10 ? scaled.toFixed(1) : Math.round(scaled)}${unit}`;
  }
  return Number.isInteger(value) || Math.abs(value) >= 10 ? String(Math.round(value)) : value.toFixed(1);
}

/** `12.3 W`, `1.20 kW`. */
export function watts(value: number | null): string {
  if (value === null) return "";
  for (const [unit, size] of [["MW", 1e6], ["kW", 1e3]] as const) {
    if (Math.abs(value) >= size) return `${(value / size).toFixed(2)} ${unit}`;
  }
  return `${value.toFixed(1)} W`;
}

/** `1.2 MiB` */
export function bytes(value: number): string {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const) {
    if (value >= size) return `${(value / size).toFixed(1)} ${unit}`;
  }
  return `${value} bytes`;
}

/** `12s`, `3m`, `2h`, `5d` */
export function age(seconds: number): string {
  if (seconds < 100) return `${Math.max(0, Math.round(seconds))}s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}

/** Text in at most `width` characters, with `…` where it was longer. */
export function cut(text: string, width: number): string {
  const characters = [...printable(text)];
  return characters.length <= width
    ? characters.join("")
    : characters.slice(0, Math.max(0, width - 1)).join("") + "…";
}

/** Cut, and filled with spaces. */
export function fit(text: string, width: number, right = false): string {
  const shown = cut(text, width);
  const padding = " ".repeat(Math.max(0, width - [...shown].length));
  return right ? padding + shown : shown + padding;
}
