/** The keys of `[plugins.grace-hopper]`: names and defaults are those of Alumet. */
import { type Infer, table, text } from "../../schema.ts";
import { pollInterval } from "../polling/keys.ts";

/** Where the kernel has its sensors. */
export const DEFAULT_ROOT = "/sys/class/hwmon";

export const config = table({
  poll_interval: pollInterval("1s"),
  root_path: text({ doc: "The folder of the sensors.", default: DEFAULT_ROOT }),
}, {
  doc: "Power and energy of Grace modules. A module contains its Grace, and that its CPU: do not add them.",
});

export type GraceConfig = Infer<typeof config>;
