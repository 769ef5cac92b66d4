/** The keys of `[plugins.oar]`: names and defaults are those of Alumet. */
import { choice, flag, type Infer, table } from "../../schema.ts";
import { annotateKey, asAlumet, groupKeys } from "../cgroups/keys.ts";

export const config = table({
  ...groupKeys,
  oar_version: choice(["oar2", "oar3"], {
    doc: "Is not used: the groups of both versions are recognised.",
    default: "oar3",
  }),
  jobs_only: flag({
    doc:
      "Measure the groups of jobs alone. Otherwise all groups are measured, those of jobs with their attributes.",
    default: true,
  }),
  ...annotateKey,
}, { ...asAlumet, doc: "The jobs of OAR on this machine, by their control groups." });

export type OarConfig = Infer<typeof config>;
