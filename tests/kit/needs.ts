/** What a test needs of the machine, and how it is skipped where that is missing. */

/** Why a test cannot run here, or `undefined`. */
export type Need = () => string | undefined;

/** Whether a command is there and exits with 0. */
export const succeeds = (program: string, ...args: string[]) => {
  try {
    return new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
};

export const linux: Need = () => Deno.build.os === "linux" ? undefined : "needs Linux";
export const python3: Need = () => succeeds("python3", "-V") ? undefined : "needs python3";
export const systemd: Need = () =>
  succeeds("systemd-analyze", "--version") ? undefined : "needs systemd-analyze (systemd)";
/** A program in the PATH, which is in the Debian package of that name. */
export const has = (program: string, packaged = program): Need => () =>
  succeeds("sh", "-c", `command -v ${program}`) ? undefined : `needs ${program} (${packaged})`;
export const namespaces: Need = () =>
  succeeds("unshare", "--mount", "--net", "true")
    ? undefined
    : "needs the right to make mount and network namespaces (root)";
export const iproute2: Need = () => succeeds("ip", "-V") ? undefined : "needs the command ip (iproute2)";
/** A program of a Debian package, whose flag `--version` or another one succeeds. */
export const program = (name: string, debianPackage: string, ...args: string[]): Need => () =>
  succeeds(name, ...args.length > 0 ? args : ["--version"])
    ? undefined
    : `needs the command ${name} (${debianPackage})`;
export const openssl: Need = program("openssl", "openssl", "version");

/**
 * The part of a test's definition that skips it where something is missing, and says why. In CI nothing is skipped:
 * the test fails by what is missing.
 */
export function needs(...list: Need[]): { ignore: boolean } {
  if (Deno.env.get("CI")) return { ignore: false };
  const missing = list.map((need) => need()).filter((reason) => reason !== undefined);
  if (missing.length > 0) {
    console.error(`${new Error().stack?.match(/\w+_test\.ts:\d+/)}: ${missing.join(", ")}`);
  }
  return { ignore: missing.length > 0 };
}

/**
 * The same for what the kernel allows, which nobody can install: where it does not, the test is skipped in CI as well, and
 * the log says why.
 */
export function kernelAllows(...list: Need[]): { ignore: boolean } {
  const missing = list.map((need) => need()).filter((reason) => reason !== undefined);
  if (missing.length > 0) {
    console.error(`${new Error().stack?.match(/\w+_test\.ts:\d+/)}: skipped, ${missing.join(", ")}`);
  }
  return { ignore: missing.length > 0 };
}

/** The folder with InfluxData's client libraries, see .ci/run. */
export const influxdbClients: Need = () =>
  Deno.env.get("INFLUXDB_CLIENTS")
    ? undefined
    : "needs the client libraries of InfluxDB (INFLUXDB_CLIENTS, see .ci/run)";
