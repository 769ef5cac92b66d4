/** Sensor chips (https://docs.kernel.org/hwmon/sysfs-interface.html). */
import type { ProcFiles } from "../polling/files.ts";

export interface Chip {
  /** The folder with the files of its sensors. */
  readonly path: string;
  /** The driver's name: `ina3221`, `power_meter`, `amdgpu`. */
  readonly name: string;
  /** The device, by the kernel's name on its bus: `1-0040`, `0000:03:00.0`; empty where there is none. */
  readonly device: string;
  /** The folder of the device. */
  readonly deviceFolder: string;
  /** The names of its files. */
  readonly files: ReadonlySet<string>;
}

/** All chips of /sys/class/hwmon. */
export function* chipsOf(files: ProcFiles): Generator<Chip> {
  const root = `${files.sys}/class/hwmon`;
  for (const entry of files.list(root)) {
    const path = `${root}/${entry}`;
    const link = files.link(`${path}/device`);
    const device = typeof link === "string" ? link.slice(link.lastIndexOf("/") + 1) : "";
    // Some drivers, such as that of ACPI power meters before Linux 6.17, have their files at the device.
    for (const folder of [path, `${path}/device`]) {
      const names = new Set(files.list(folder));
      if (![...names].some((name) => /^(power|energy|curr|in)\d+_/.test(name))) continue;
      const name = files.text(`${path}/name`) ?? files.text(`${path}/device/name`) ?? "";
      yield { path: folder, name: name.trim(), device, deviceFolder: `${path}/device`, files: names };
      break;
    }
  }
}
