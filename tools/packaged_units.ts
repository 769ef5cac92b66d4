/** The units that packages install: `deno run -A tools/packaged_units.ts` writes them to packaging/systemd. */
import { INSTALLED_PROGRAM } from "../lib/cli/systemd_unit.ts";
import { defaultInputs } from "../lib/config/flags.ts";
import { plugins } from "../lib/plugins.ts";
import { PACKAGE_USER, serviceUnit, socketUnit, type UnitRole } from "../lib/systemd/unit.ts";

/** Those of the inputs that packaging/config/client.toml enables, which has their defaults. */
const MEASURING = defaultInputs(plugins).map((name) => plugins.find((plugin) => plugin.name === name)!);
const CAPABILITIES = MEASURING.flatMap((plugin) =>
  (plugin.capabilities?.(plugin.config.defaultValue()) ?? []).map((capability) => ({
    plugin: plugin.name,
    ...capability,
  }))
);
const DEVICES = MEASURING.flatMap(({ name: plugin, devices = [] }) =>
  devices.map((devices) => ({ plugin, ...devices }))
);

function service(role: UnitRole): string {
  const args = ["--config", `/etc/alumet-relay/${role}.toml`];
  return serviceUnit({
    role,
    program: INSTALLED_PROGRAM,
    args,
    checkArgs: ["config", "check", ...args],
    measures: role === "client",
    capabilities: role === "client" ? CAPABILITIES : [],
    realTime: [],
    devices: role === "client" ? DEVICES : [],
    lowPort: false,
    packaged: true,
  });
}

/** Texts by the names of files. */
export const PACKAGED_UNITS: Readonly<Record<string, string>> = {
  "alumet-relay-client.service": service("client"),
  "alumet-relay-server.service": service("server"),
  "alumet-relay-server.socket": socketUnit({ hostname: "::", port: 50051 }, true),
};

/** The user of the services, for systemd-sysusers. */
export const PACKAGED_USER = `u ${PACKAGE_USER} - "alumet-relay services"\n`;

if (import.meta.main) {
  const directory = new URL("../packaging/systemd/", import.meta.url);
  await Deno.mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(PACKAGED_UNITS)) {
    await Deno.writeTextFile(new URL(name, directory), text);
  }
}
