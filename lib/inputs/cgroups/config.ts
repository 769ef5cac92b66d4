/** The keys of `[plugins.cgroups]`: names and defaults are those of Alumet. */
import { flag, type Infer, live, table } from "../../schema.ts";
import { asAlumet, groupKeys } from "./keys.ts";

export const config = table({
  ...groupKeys,
  describe_groups: live(flag({
    doc: "Add what the path of a group says: container_id and container_runtime, or else systemd_unit.",
    default: true,
  })),
}, {
  doc: "Every control group, the root included. A group contains the groups below it: do not add levels.",
  ...asAlumet,
});

export type CgroupsConfig = Infer<typeof config>;
