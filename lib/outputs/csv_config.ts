/** The keys of the `csv` output. */
import { flag, type Infer, live, table, text } from "../schema.ts";

const oneCharacter = (value: string) => {
  if ([...value].length !== 1) return "must be one character";
  if (value === '"' || value === "\n" || value === "\r") return "must not be a quote or a line break";
};

export const config = table({
  output_path: text({
    doc: "The file, absolute or relative to the working directory.",
    default: "alumet-output.csv",
  }),
  force_flush: live(
    flag({ doc: "Write at once what has arrived, rather than once a second.", default: true }),
  ),
  append_unit_to_metric_name: flag({ doc: "Write `energy_J` rather than `energy`.", default: true }),
  use_unit_display_name: flag({
    doc: "Write units as people read them (`kWh`), not by name.",
    default: true,
  }),
  csv_delimiter: text({ doc: "Between columns.", default: ";", check: oneCharacter }),
  csv_late_delimiter: text({
    doc: "Between the entries of the column __late_attributes.",
    default: ",",
    check: oneCharacter,
  }),
}, { doc: "Writes measurements to a CSV file." });

export type CsvConfig = Infer<typeof config>;
