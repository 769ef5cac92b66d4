/** The keys of `[plugins.energy-to-carbon]`: Alumet's, and which metrics are converted. */
import type { WantedMetric } from "../../plugin.ts";
import { choice, duration, type Infer, list, number, optional, table, text } from "../../schema.ts";
import { findCountry } from "./intensities.ts";

const country = table({
  code: optional(text({
    doc: "The country by ISO 3166-1: two or three letters, such as FR or FRA.",
    default: "FRA",
    check: (code) =>
      findCountry(code) === undefined
        ? 'there are no data of this country; use mode = "intensity_override"'
        : undefined,
  })),
}, { doc: 'The country whose electricity is used, with mode = "country".' });

const override = table({
  intensity: optional(number({ doc: "Grams of CO₂ per kWh.", default: 475, min: 0 })),
}, { doc: 'The intensity, with mode = "intensity_override".' });

export const config = table({
  mode: choice(["world_avg", "country", "intensity_override"], {
    doc: "Where the carbon intensity of electricity comes from.",
    default: "world_avg",
  }),
  country,
  intensity_override: override,
  intensity_metric: optional(text({
    doc:
      "A metric whose points tell the intensity, in grams of CO₂ per kWh, such as one that another program writes. Each client's points are for its own energy, those of this process for all. Until one has come, and when the last is too old, the mode above holds.",
    unset: "the mode above holds",
    default: "carbon_intensity",
    check: (name) => name === "" ? "it is empty" : undefined,
  })),
  intensity_max_age: duration({
    doc: "How far the times of an energy and of the intensity for it may differ.",
    default: "2h",
    min: "1s",
  }),
  metrics: list(text({ doc: "The name of a metric; `*` stands for any characters.", default: "" }), {
    doc:
      "Which metrics are converted, of those in joules. A total contains its parts: choose one of them to add up.",
    default: ["*"],
  }),
}, {
  doc: "Adds a point of the metric carbon_emission (g_CO2) for each point of a metric in joules.",
  check({ mode, country, intensity_override }) {
    if (mode === "country" && country.code === undefined) {
      return { key: "country", problem: 'with mode = "country", set country.code' };
    }
    if (mode === "intensity_override" && intensity_override.intensity === undefined) {
      return {
        key: "intensity_override",
        problem: 'with mode = "intensity_override", set intensity_override.intensity',
      };
    }
  },
});

export type CarbonConfig = Infer<typeof config>;

/** The metrics that it names. */
export function wants({ metrics, intensity_metric }: CarbonConfig): WantedMetric[] {
  return [
    ...metrics.map((metric, i) => ({ path: ["metrics", i], metric, bases: ["J"] })),
    ...intensity_metric === undefined ? [] : [{ path: ["intensity_metric"], metric: intensity_metric }],
  ];
}
