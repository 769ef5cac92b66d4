/** Devices that sleep: https://docs.kernel.org/driver-api/pm/devices.html */
import type { ProcFiles } from "./files.ts";

/** Whether a device sleeps now. Reading one of its files would wake it, and each poll would keep it awake. */
export function isAsleep(files: ProcFiles, device: string): boolean {
  return files.text(`${device}/power/runtime_status`)?.trim() === "suspended";
}
