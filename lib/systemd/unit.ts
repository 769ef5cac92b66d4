/**
 * The units of systemd that packages install and `alumet-relay systemd-unit` prints.
 *
 * They work with systemd 252 (Debian 12). `Type=notify-reload` needs 253, so they reload with `ExecReload=`; therefore
 * `systemctl reload` fails with the reason if the file has a mistake.
 */
import { type Address, formatAddress } from "../net/address.ts";
import type { Capability, DeviceGroup } from "../plugin.ts";
import { escapeSpecifiers, quoteArgument, quoteProgram } from "./quoting.ts";

const UNIT_ROLES = ["client", "server"] as const;
export type UnitRole = typeof UNIT_ROLES[number];
/** All units: two services, and the socket of the server. */
export const UNIT_KINDS = [...UNIT_ROLES, "socket"] as const;
export type UnitKind = typeof UNIT_KINDS[number];

export interface ServiceOptions {
  readonly role: UnitRole;
  /** Absolute path of the executable. */
  readonly program: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** The arguments that check the configuration. */
  readonly checkArgs: readonly string[];
  /** It reads /proc and /sys, for all processes. */
  readonly measures: boolean;
  /** The capabilities that plugins need. */
  readonly capabilities: readonly PluginCapability[];
  /** The devices that plugins open. */
  readonly devices: readonly PluginDevices[];
  /** Plugins that must not wait while other processes keep all CPUs busy. */
  readonly realTime: readonly string[];
  /** It listens on a port below 1024. */
  readonly lowPort: boolean;
  /**
   * Whether the package is installed, with its user {@linkcode PACKAGE_USER} and the manual page. Otherwise the user exists
   * only while the process runs, and only root can read what it stores.
   */
  readonly packaged: boolean;
}

/** A capability, and the plugin that needs it. */
export interface PluginCapability extends Capability {
  readonly plugin: string;
}

/** Devices, and the plugin that opens them. */
export interface PluginDevices extends DeviceGroup {
  readonly plugin: string;
}

/** The user of packaged services, and the group that may read what they store. */
export const PACKAGE_USER = "alumet-relay";
/** The file with which the package creates them. */
export const PACKAGE_USER_FILE = "/usr/lib/sysusers.d/alumet-relay.conf";
const MANUAL_PAGE = "Documentation=man:alumet-relay(1)";

/** The directory of the configuration, below /etc. */
export const CONFIGURATION_DIRECTORY = "alumet-relay";
/**
 * Secrets that root can put into systemd's store of credentials: `/etc/credstore/alumet-relay-client.token` becomes
 * `$CREDENTIALS_DIRECTORY/token`. (systemd ignores missing credentials, but not missing paths below /etc.)
 */
const CREDENTIALS = ["token", "password", "tls_ca", "tls_cert", "tls_key"] as const;

/** How long a part may be stuck, in s; see lib/systemd/watchdog.ts. */
const WATCHDOG_S = 60;

/** Of the memory of the machine. The process adapts to it: lib/base/memory.ts. */
const MEMORY_HIGH = "40%";
const MEMORY_MAX = "50%";

const PURPOSES: Record<UnitRole, string> = {
  client: "alumet-relay client, measures this machine and sends to a relay server",
  server: "alumet-relay server, receives measurements and stores them",
};

/** Without `.service` or `.socket`. */
export function unitName(kind: UnitKind): string {
  return `alumet-relay-${kind === "client" ? "client" : "server"}`;
}

/** What the process may do; systemd denies it everything else. */
function sandbox(
  { measures, capabilities: wanted, devices, realTime, lowPort, packaged }: ServiceOptions,
): string[] {
  const capabilities = [
    ...new Set([...wanted.map(({ name }) => name), ...(lowPort ? ["CAP_NET_BIND_SERVICE"] : [])]),
  ];
  const lines = wanted.map(({ name, plugin, reason }) => `# ${name} for ${plugin}: ${reason}.`);
  if (capabilities.includes("CAP_DAC_READ_SEARCH")) {
    lines.push(
      "# CAP_DAC_READ_SEARCH allows reading all files, and changing none. Files with secrets are hidden below.",
    );
  }
  lines.push(
    `CapabilityBoundingSet=${capabilities.join(" ")}`,
    `AmbientCapabilities=${capabilities.join(" ")}`,
    "NoNewPrivileges=yes",
    // In a user namespace, capabilities have no effect outside of it.
    ...(capabilities.length === 0 ? ["PrivateUsers=yes"] : []),
  );
  if (realTime.length > 0) {
    lines.push(
      `# Without real-time priority, a busy machine delays the polls of ${realTime.join(" and ")}.`,
      "CPUSchedulingPolicy=rr",
      "CPUSchedulingPriority=1",
    );
  }
  lines.push(
    "ProtectSystem=strict",
    "ProtectHome=yes",
    ...(measures
      ? [
        `InaccessiblePaths=-/etc/shadow -/etc/shadow- -/etc/gshadow -/etc/gshadow- -/etc/sudoers -/etc/sudoers.d`,
        `InaccessiblePaths=-/etc/ssh -/etc/ssl/private -/etc/krb5.keytab -/etc/credstore -/etc/credstore.encrypted`,
        `InaccessiblePaths=-/boot -/efi -/srv -/mnt -/media -/var/backups -/var/spool -/var/mail`,
        "# The client measures all processes, so it sees all.",
        "ProtectProc=default",
        "ProcSubset=all",
      ]
      : ["ProtectProc=invisible", "ProcSubset=pid"]),
    "PrivateTmp=yes",
    "PrivateMounts=yes",
    ...devices.map(({ name, plugin, reason }) => `# Devices of ${name} for ${plugin}: ${reason}.`),
    // A private /dev would not have them; without one, access is still denied to all others.
    devices.length > 0 ? "PrivateDevices=no" : "PrivateDevices=yes",
    "DevicePolicy=closed",
    ...devices.map(({ name }) => `DeviceAllow=char-${name} rw`),
    "PrivateIPC=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "KeyringMode=private",
    "# The just-in-time compiler of V8 writes code while the program runs.",
    "MemoryDenyWriteExecute=no",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    ...(capabilities.includes("CAP_PERFMON") ? ["SystemCallFilter=perf_event_open"] : []),
    "SystemCallErrorNumber=EPERM",
    `UMask=${packaged ? "0027" : "0077"}`,
    ...(packaged ? ["RemoveIPC=yes"] : []),
  );
  return lines;
}

/** The text of the service. */
export function serviceUnit(options: ServiceOptions): string {
  const { role, program, args, checkArgs, packaged } = options;
  const name = unitName(role);
  const command = (args: readonly string[]) => [quoteProgram(program), ...args.map(quoteArgument)].join(" ");
  return [
    "[Unit]",
    `Description=${PURPOSES[role]}`,
    ...(packaged ? [MANUAL_PAGE] : []),
    ...(role === "server"
      ? [
        "# The server can listen on an address of one interface only when the interface has it.",
        "Wants=network-online.target",
        "After=network-online.target",
      ]
      : [
        "# The client measures from the first second, and keeps on disk what it cannot send yet.",
        "After=network.target",
      ]),
    "# The runtime does not start while the clock is before 1970.",
    "After=time-set.target",
    "",
    "[Service]",
    "Type=notify",
    "NotifyAccess=main",
    `ExecStart=${command(args)}`,
    "# A mistake in the file makes the reload fail, and does not disturb the process.",
    `ExecReload=${command(checkArgs)}`,
    `ExecReload=/bin/sh -c "kill -HUP $MAINPID"`,
    "# The process tells the watchdog that all is well while it makes progress. systemd first asks a stuck process to",
    "# stop, so that it saves what it still can.",
    `WatchdogSec=${WATCHDOG_S}`,
    "WatchdogSignal=SIGTERM",
    "Restart=on-failure",
    "RestartSec=5",
    "# 64: wrong command line, 65: a journal of another version, 78: wrong configuration. A restart would not help.",
    "RestartPreventExitStatus=64 65 78",
    "TimeoutStopSec=30",
    "KillMode=mixed",
    "LimitNOFILE=524288",
    "# What the process remembers is less where the memory is less: see series.memory. Above MemoryHigh the kernel slows it",
    "# down instead of others.",
    `MemoryHigh=${MEMORY_HIGH}`,
    `MemoryMax=${MEMORY_MAX}`,
    "",
    ...(packaged
      ? [
        `# Members of the group ${PACKAGE_USER} may read what it stores.`,
        `User=${PACKAGE_USER}`,
        `Group=${PACKAGE_USER}`,
      ]
      : ["DynamicUser=yes"]),
    `StateDirectory=${name}`,
    "StateDirectoryMode=0750",
    `RuntimeDirectory=${name}`,
    `ConfigurationDirectory=${CONFIGURATION_DIRECTORY}`,
    "# Variables that the configuration uses.",
    "EnvironmentFile=-/etc/default/alumet-relay",
    `# Relative paths, such as that of a CSV file, are below /var/lib/${name}.`,
    `WorkingDirectory=%S/${name}`,
    `# Secrets: /etc/credstore/${name}.token, readable for root only, is ` +
    "${CREDENTIALS_DIRECTORY}/token in the",
    "# configuration, and so are the others. Missing ones are ignored.",
    ...CREDENTIALS.map((credential) => `LoadCredential=${credential}:${name}.${credential}`),
    "",
    ...sandbox(options),
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n");
}

/** The text of the server's socket, which takes connections while the server restarts. */
export function socketUnit(address: Address, packaged: boolean): string {
  const { hostname, port } = address;
  // ListenStream= has no syntax for an interface; BindToDevice= sets it for a link-local address.
  const [host, scope] = hostname.split("%");
  return [
    "[Unit]",
    "Description=alumet-relay server, socket for relay clients",
    ...(packaged ? [MANUAL_PAGE] : []),
    "",
    "[Socket]",
    `ListenStream=${host === "::" ? port : escapeSpecifiers(formatAddress({ hostname: host, port }))}`,
    ...(scope ? [`BindToDevice=${escapeSpecifiers(scope)}`] : []),
    "NoDelay=yes",
    "KeepAlive=yes",
    "# The number of connections that can wait while the server restarts.",
    "Backlog=4096",
    "",
    "[Install]",
    "WantedBy=sockets.target",
    "",
  ].join("\n");
}
