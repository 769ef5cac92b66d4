/** The rails of the board's sensors, as JetPack 4 and those since JetPack 5 show them. */
import type { ProcFiles } from "../polling/files.ts";

export interface Rail {
  /** The folder with its files. */
  readonly folder: string;
  /** Number of the device in the kernel: 3 for `hwmon3`. */
  readonly device: number;
  /** Address on the I²C bus. */
  readonly address: number;
  readonly channel: number;
  readonly label: string;
  /** Names of the files, in mA, mV and mW. */
  readonly current: string;
  readonly voltage: string;
  readonly power: string;
}

/** `1-0040`: bus 1, address 0x40. */
const I2C_DEVICE = /^\d+-([0-9a-f]{4})$/;
/** A sensor has three rails; the voltages of its other numbers are those of shunts. */
const CHANNELS = [1, 2, 3];

/** All rails, by address and channel. */
export function railsOf(files: ProcFiles): Rail[] {
  const rails = [...railsOfHwmon(files), ...railsOfIio(files)];
  return rails.sort((a, b) => a.address - b.address || a.channel - b.channel);
}

/** Folders of devices: `ROOT/1-0040/BELOWhwmon3`. */
function* devicesOf(
  files: ProcFiles,
  root: string,
  below: string,
  pattern: RegExp,
): Generator<{ folder: string; device: number; address: number }> {
  for (const entry of files.list(root)) {
    const address = I2C_DEVICE.exec(entry)?.[1];
    if (address === undefined) continue;
    for (const name of files.list(`${root}/${entry}${below}`)) {
      const device = pattern.exec(name)?.[1];
      if (device === undefined) continue;
      yield {
        folder: `${root}/${entry}${below}/${name}`,
        device: Number(device),
        address: parseInt(address, 16),
      };
    }
  }
}

/** JetPack 5 and later: the driver of Linux. */
function* railsOfHwmon(files: ProcFiles): Generator<Rail> {
  const root = `${files.sys}/bus/i2c/drivers/ina3221`;
  for (const device of devicesOf(files, root, "/hwmon", /^hwmon(\d{1,5})$/)) {
    const names = files.list(device.folder);
    for (const channel of CHANNELS) {
      if (!names.includes(`in${channel}_input`) && !names.includes(`curr${channel}_input`)) continue;
      const label = files.text(`${device.folder}/in${channel}_label`)?.trim();
      yield {
        ...device,
        channel,
        label: label || `channel_${channel}`,
        current: `curr${channel}_input`,
        voltage: `in${channel}_input`,
        power: `power${channel}_input`,
      };
    }
  }
}

/** JetPack 4: a driver of NVIDIA. */
function* railsOfIio(files: ProcFiles): Generator<Rail> {
  const root = `${files.sys}/bus/i2c/drivers/ina3221x`;
  for (const device of devicesOf(files, root, "", /^iio:device(\d{1,5})$/)) {
    const names = files.list(device.folder);
    for (const channel of [0, ...CHANNELS]) {
      if (!names.includes(`in_voltage${channel}_input`) && !names.includes(`in_current${channel}_input`)) {
        continue;
      }
      const label = files.text(`${device.folder}/rail_name_${channel}`)?.trim();
      yield {
        ...device,
        channel,
        label: label || `channel_${channel}`,
        current: `in_current${channel}_input`,
        voltage: `in_voltage${channel}_input`,
        power: `in_power${channel}_input`,
      };
    }
  }
}
