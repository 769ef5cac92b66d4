/** Devices that sleep: https://docs.kernel.org/driver-api/pm/devices.html */
import type { ProcFiles } from "./files.ts";
import type { Measuring } from "./source.ts";

/** Whether a device sleeps now. Reading one of its files would wake it, and each poll would keep it awake. */
export function isAsleep(files: ProcFiles, device: string): boolean {
  return files.text(statusOf(device))?.trim() === "suspended";
}

/** The same of a device that is about to be opened, which is said once. @param what It, for the log */
export function isFoundAsleep({ files, findings }: Measuring, device: string, what: string): boolean {
  const sleeps = isAsleep(files, device);
  if (sleeps) findings.asleep(what, statusOf(device));
  else findings.forget(what, statusOf(device));
  return sleeps;
}

function statusOf(device: string): string {
  return `${device}/power/runtime_status`;
}
