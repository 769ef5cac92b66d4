/**
 * Makes lib/transforms/energy_to_carbon/table.ts out of published data:
 *
 *     pip download --no-deps codecarbon==3.3.2 pycountry==26.2.16
 *     unzip codecarbon-*.whl codecarbon/data/private_infra/global_energy_mix.json
 *     unzip pycountry-*.whl pycountry/databases/iso3166-1.json
 *     deno run -A tools/carbon_table.ts global_energy_mix.json iso3166-1.json
 *
 * The numbers are those of Ember and the Energy Institute, processed by Our World in Data (CC BY 4.0); docs/transforms.md
 * names them.
 */

interface Mix {
  readonly carbon_intensity: number;
  readonly country_name: string;
  readonly year: number;
}

interface Codes {
  readonly "3166-1": readonly { readonly alpha_2: string; readonly alpha_3: string }[];
}

const [mixFile, codesFile] = Deno.args;
if (!mixFile || !codesFile) {
  console.error("Usage: deno run -A tools/carbon_table.ts global_energy_mix.json iso3166-1.json");
  Deno.exit(64);
}
const mix: Record<string, Mix> = JSON.parse(Deno.readTextFileSync(mixFile));
const codes: Codes = JSON.parse(Deno.readTextFileSync(codesFile));
const alpha2 = new Map(codes["3166-1"].map(({ alpha_2, alpha_3 }) => [alpha_3, alpha_2]));
// Nothing was measured where no electricity causes anything.
const known = Object.entries(mix).filter(([, { carbon_intensity }]) => carbon_intensity > 0).sort();
const rows = known.map(([code, { carbon_intensity, year, country_name }]) =>
  `${code} ${alpha2.get(code) ?? "--"} ${carbon_intensity} ${year} ${country_name}`
);
const path = new URL("../lib/transforms/energy_to_carbon/table.ts", import.meta.url);
Deno.writeTextFileSync(
  path,
  `/**
 * Carbon intensity of electricity by country, made by tools/carbon_table.ts. Ember; Energy Institute; with processing by
 * Our World in Data, CC BY 4.0.
 */

/** Alpha-3 code, alpha-2 code (\`--\` for none), g of CO₂ per kWh, year, name; one country a line. */
export const TABLE = \`\\\n${rows.join("\n")}\n\`;\n`,
);
console.error(`${rows.length} countries`);
