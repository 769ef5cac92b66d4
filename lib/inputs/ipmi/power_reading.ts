/** The power of a machine as DCMI gives it (DCMI 1.5, 6.6.1 "Get Power Reading"), and as ipmitool prints that. */
import type { IpmiRequest } from "./device.ts";

/** More than a machine uses: some controllers answer 65535 for "unknown". */
const MOST_WATTS = 65_534;
/** Begins the data of requests and answers of DCMI. */
const DCMI_GROUP = 0xdc;
/** The power of the system, as it is now. */
const SYSTEM_POWER = [0x01, 0x00, 0x00];
/** Completion code, group, four powers, time, sampling period, state. */
const ANSWER_BYTES = 19;
/** In the last byte: the controller measures. */
const IS_ACTIVE = 0x40;
const NODE_BUSY = 0xc0;

export const GET_POWER_READING: IpmiRequest = {
  netFunction: 0x2c,
  command: 0x02,
  data: [DCMI_GROUP, ...SYSTEM_POWER],
};

/** Completion codes (IPMI 2.0, table 5-2), and what they mean here. */
const MEANINGS: Readonly<Record<number, string>> = {
  [NODE_BUSY]: "it is busy",
  0xc1: "it has no power reading (DCMI)",
  0xc2: "it has no power reading for this logical unit",
  0xc3: "it has not answered its own sensor in time",
  0xc7: "it does not accept the length of the request",
  0xcb: "it has no sensor of power",
  0xcc: "it does not accept the request",
  0xce: "it cannot answer at present",
  0xd1: "its firmware is being updated",
  0xd2: "it is starting",
  0xd3: "it cannot reach what measures",
  0xd4: "it does not allow this request",
  0xd5: "it cannot answer in its present state",
  0xd6: "its power reading is switched off",
  0xff: "it gives no reason",
};

/** Whether the same request may succeed in a moment. */
export function isBusy(answer: Uint8Array): boolean {
  return answer[0] === NODE_BUSY;
}

/** The power at present, in watts, of an answer to {@linkcode GET_POWER_READING}. @throws why the answer has none */
export function wattsOfAnswer(answer: Uint8Array): number {
  const code = answer[0];
  if (code === undefined) throw new Error("the answer of the controller is empty");
  if (code !== 0) {
    const meaning = MEANINGS[code] ?? "it refuses the request";
    throw new Error(`the controller gives no power: ${meaning} (completion code 0x${code.toString(16)})`);
  }
  if (answer.length < ANSWER_BYTES || answer[1] !== DCMI_GROUP) {
    throw new Error(`the answer of the controller is no power reading: ${hex(answer)}`);
  }
  const view = new DataView(answer.buffer, answer.byteOffset);
  // Values of a measurement that is switched off are old, or 0.
  if ((answer[ANSWER_BYTES - 1] & IS_ACTIVE) === 0) throw inactive("deactivated");
  return known(view.getUint16(2, true));
}

/** The power at present, in watts, of what `ipmitool dcmi power reading` prints. @throws why the answer has none */
export function wattsOf(output: string): number {
  const fields = new Map(
    output.split("\n").map((line) => /^\s*([^:]+?)\s*:\s*(.*?)\s*$/.exec(line)).filter((match) =>
      match !== null
    )
      .map(([, name, value]) => [name.toLowerCase(), value]),
  );
  const state = fields.get("power reading state is");
  if (state !== undefined && state !== "activated") throw inactive(state);
  const text = fields.get("instantaneous power reading");
  const digits = text === undefined ? undefined : /^(\d{1,10}) Watts$/i.exec(text)?.[1];
  if (digits === undefined) throw new Error("the answer of ipmitool has no power reading");
  return known(Number(digits));
}

function known(watts: number): number {
  if (watts > MOST_WATTS) throw new Error(`the controller does not know the power: it says ${watts} W`);
  return watts;
}

function inactive(state: string): Error {
  return new Error(
    `the controller does not measure (its state is ${state}): sudo ipmitool dcmi power activate`,
  );
}

function hex(bytes: Uint8Array): string {
  return [...bytes.subarray(0, ANSWER_BYTES)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
