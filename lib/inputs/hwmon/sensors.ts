/** Which files of a chip are sensors of power and energy. */
import type { Chip } from "./chips.ts";

export interface SensorFiles {
  readonly kind: "power" | "energy";
  /** `power1`, `energy2`; `in1*curr1` for a power that is computed. */
  readonly name: string;
  /** The file with its label. */
  readonly labelFile: string | undefined;
  /** One file, or two whose product is the power: voltage and current. */
  readonly inputs: readonly string[];
}

/** The numbers of the files that match, in order. */
function numbers(files: ReadonlySet<string>, pattern: RegExp): number[] {
  const found = new Set<number>();
  for (const name of files) {
    const match = pattern.exec(name);
    if (match) found.add(Number(match[1]));
  }
  return [...found].sort((a, b) => a - b);
}

/** The sensors of a chip; where it has none of power, each voltage with the current of the same number. */
export function sensorsOf({ files }: Chip): SensorFiles[] {
  const label = (name: string) => files.has(`${name}_label`) ? `${name}_label` : undefined;
  const power = numbers(files, /^power(\d{1,4})_(?:input|average)$/).map((n): SensorFiles => {
    const name = `power${n}`;
    // Both at once are the value now, and the mean since a while before.
    const input = files.has(`${name}_input`) ? `${name}_input` : `${name}_average`;
    return { kind: "power", name, labelFile: label(name), inputs: [input] };
  });
  const energy = numbers(files, /^energy(\d{1,4})_input$/).map((n): SensorFiles => {
    const name = `energy${n}`;
    return { kind: "energy", name, labelFile: label(name), inputs: [`${name}_input`] };
  });
  return [...power.length > 0 ? power : computedPower(files), ...energy];
}

function computedPower(files: ReadonlySet<string>): SensorFiles[] {
  return numbers(files, /^curr(\d{1,4})_input$/).filter((n) => files.has(`in${n}_input`)).map((n) => ({
    kind: "power",
    name: `in${n}*curr${n}`,
    labelFile: [`in${n}_label`, `curr${n}_label`].find((name) => files.has(name)),
    inputs: [`in${n}_input`, `curr${n}_input`],
  }));
}
