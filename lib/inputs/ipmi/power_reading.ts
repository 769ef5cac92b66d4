/** What `ipmitool dcmi power reading` prints. */

/** More than a machine uses: some controllers answer 65535 for "unknown". */
const MOST_WATTS = 65_534;

/** The power at present, in watts. @throws why the answer has none */
export function wattsOf(output: string): number {
  const fields = new Map(
    output.split("\n").map((line) => /^\s*([^:]+?)\s*:\s*(.*?)\s*$/.exec(line)).filter((match) =>
      match !== null
    )
      .map(([, name, value]) => [name.toLowerCase(), value]),
  );
  const state = fields.get("power reading state is");
  // Values of a measurement that is switched off are old, or 0.
  if (state !== undefined && state !== "activated") {
    throw new Error(
      `the controller does not measure (its state is ${state}): sudo ipmitool dcmi power activate`,
    );
  }
  const text = fields.get("instantaneous power reading");
  const digits = text === undefined ? undefined : /^(\d{1,10}) Watts$/i.exec(text)?.[1];
  if (digits === undefined) throw new Error("the answer of ipmitool has no power reading");
  const watts = Number(digits);
  if (watts > MOST_WATTS) throw new Error(`the controller does not know the power: it says ${watts} W`);
  return watts;
}
