/** The command line, declared once: parsing, help and all that is generated come from here. */
import denoConfig from "../../deno.json" with { type: "json" };

export const PROGRAM = "alumet-relay";
export const VERSION = denoConfig.version;

export interface FlagDeclaration {
  /** Without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** What its value is called (a shell completes PATH and DIR as such); absent for a flag without one. */
  readonly value?: string;
  /** The only values that there are. */
  readonly choices?: readonly string[];
  /** May be given more than once. */
  readonly repeat?: boolean;
  /** The only commands that take it. @default all */
  readonly commands?: readonly string[];
  readonly doc: string;
}

export interface CommandDeclaration {
  /** One word or two. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** More, for the command's own help. */
  readonly description?: string;
  /** What the one word behind it is called (a shell completes OUTPUT); absent where there is none. */
  readonly argument?: string;
  /** The only words that there are. */
  readonly choices?: readonly string[];
}

export const COMMANDS: readonly CommandDeclaration[] = [
  {
    name: "run",
    summary: "Run the agent until SIGTERM or Ctrl-C (the default command).",
    description:
      "Without a configuration file, --relay-in makes a server that stores, --relay-out a client that " +
      "measures this machine, both together a hop that passes on what it receives.",
  },
  {
    name: "config check",
    summary: "Check the configuration, and say all that is wrong with it.",
    description:
      "Takes the same flags as run, and checks what run would use. Exit code 0: it is right. Notes say what others could " +
      "make use of; with --strict they are errors.",
  },
  {
    name: "config show",
    summary: "Print the effective values, each with where it comes from.",
    description: "The output is TOML. Secrets are masked.",
  },
  {
    name: "config regen",
    summary: "Write a commented default file, with the keys of every plugin.",
    description:
      "It goes to the path of --config, or to standard output for --config -. The plugins in --plugins, " +
      "or those that --relay-in, --relay-out and --output-file need, are enabled in it.",
  },
  {
    name: "probe",
    summary: "Measure this machine for a second, and print what there is to measure.",
    description:
      "A line for each thing that is found: which input measures it, in which file, its value, and what to do where it " +
      "may not be read. Values of counters are those of one second. Takes the keys of a configuration file, and --plugins; " +
      "sends and stores nothing.",
  },
  { name: "plugins list", summary: "Print the plugins: their names, kinds and what they do." },
  {
    name: "token new",
    argument: "NAME",
    summary: "Make a token, which lets a client send under this name.",
    description:
      "Prints the token for the client, and the line with its hash for the server's file. With --forward the client may " +
      "also pass on what others have measured, as a hop does.",
  },
  {
    name: "journal status",
    summary: "Print what the journal on disk keeps: for which outputs, of which clients, since when.",
    description:
      "Changes nothing, and works while the agent runs. Looks at the journals of all roles in the state directory, unless " +
      "--path or journal.path in the configuration names one.",
  },
  {
    name: "journal check",
    summary: "Read all of the journal, and say what is damaged and where.",
    description:
      "Changes nothing, and works while the agent runs. Exit code 0: all is good; 65: something is damaged.",
  },
  {
    name: "journal repair",
    summary: "Cut off and set aside what is damaged, as a start does, in all of the journal.",
    description:
      "Not while an agent uses the journal (exit code 69). Copies of what is cut off are in quarantine/. An agent does the " +
      "same by itself when it comes to a damaged place; afterwards journal check finds nothing.",
  },
  {
    name: "journal dump",
    summary: "Print the points in the journal as lines of JSON.",
    description:
      "Changes nothing, and works while the agent runs; what is only in its memory is not there. Each line has the number " +
      "of the record, the client and the number of its batch, and the point as dead-letters show prints it. Exit code 65: " +
      "some are damaged.",
  },
  {
    name: "dead-letters list",
    argument: "OUTPUT",
    summary: "Print how many points each output's database has refused for good, since when, and why.",
  },
  {
    name: "dead-letters show",
    argument: "OUTPUT",
    summary: "Print these points as lines of JSON.",
  },
  {
    name: "dead-letters replay",
    argument: "OUTPUT",
    summary: "Write these points again, to where the configuration says.",
    description:
      "Takes the same flags as run, and works while the agent runs. What is refused again is set aside anew. Ends when " +
      "all is written or refused; Ctrl-C ends it before, and what is left is kept. Exit code 0: all is written.",
  },
  {
    name: "dead-letters purge",
    argument: "OUTPUT",
    summary: "Remove these points for good, with --older-than AGE or --all.",
    description: "Without --yes it only says how many it would remove. Works while the agent runs.",
  },
  {
    name: "query",
    argument: "SQL",
    summary: "Run an SQL statement on the database of the sqlite output, or sum up what is in it.",
    description:
      "Works while the agent runs, and changes nothing. The table measurements has a row for each point. On a terminal " +
      "the result is a table, otherwise CSV. - reads the statement from standard input.",
  },
  {
    name: "systemd-unit",
    argument: "client|server|socket",
    choices: ["client", "server", "socket"],
    summary: "Print a hardened systemd unit that runs with the flags given.",
    description:
      "Takes the same flags as run, and checks them. The output goes to /etc/systemd/system/alumet-relay-client.service, " +
      "or -server.service, or -server.socket; see docs/operations.md.",
  },
  {
    name: "completions",
    argument: "SHELL",
    choices: ["bash", "zsh", "fish"],
    summary: "Print a script that completes the command line of a shell.",
    description:
      "For bash: alumet-relay completions bash > ~/.local/share/bash-completion/completions/alumet-relay. For zsh: into a " +
      "file _alumet-relay in a directory of $fpath. For fish: > ~/.config/fish/completions/alumet-relay.fish.",
  },
  { name: "man", summary: "Print the manual page, for man -l -." },
  { name: "help", argument: "COMMAND", summary: "Print help, on a command if one is named." },
  { name: "version", summary: "Print the version." },
];

export const FLAGS: readonly FlagDeclaration[] = [
  {
    name: "config",
    value: "PATH",
    doc:
      "The configuration file. Default: environment variable ALUMET_CONFIG, or else alumet-config.toml if there " +
      "is one here.",
  },
  { name: "no-default-config", doc: "Fail if there is no configuration file." },
  {
    name: "config-override",
    value: "KEY=VALUE",
    repeat: true,
    doc: "Set a key of the file, such as plugins.csv.output_path=out.csv. May be given several times.",
  },
  { name: "plugins", value: "A,B", doc: "Run these plugins and no others." },
  {
    name: "relay-in",
    value: "ADDRESS",
    doc: "Receive measurements on this address, such as :50051 (plugins.relay-server.address).",
  },
  {
    name: "relay-out",
    value: "HOST:PORT",
    doc: "Send measurements to this server, such as server:50051 (plugins.relay-client.relay_server).",
  },
  {
    name: "output-file",
    value: "PATH",
    doc: "Write measurements to this CSV file, or with - to standard output (plugins.csv.output_path).",
  },
  {
    name: "state-dir",
    value: "DIR",
    doc:
      "Where client/, server/, hop/ and local/ keep what outlives the process, the journal among it. Default: " +
      "$STATE_DIRECTORY, or else alumet-relay in $XDG_STATE_HOME or ~/.local/state.",
  },
  {
    name: "log-level",
    value: "LEVEL",
    choices: ["error", "warn", "info", "debug", "trace"],
    doc: "The least important messages to log. Default: info.",
  },
  {
    name: "log-format",
    value: "FORMAT",
    choices: ["text", "json"],
    doc: "How log lines are written to standard error. Default: text.",
  },
  {
    name: "path",
    value: "DIR",
    commands: ["journal status", "journal check", "journal repair", "journal dump"],
    doc:
      "The journal's directory. Default: journal.path of the configuration, or those in the state directory.",
  },
  {
    name: "json",
    commands: ["probe", "journal status"],
    doc: "Print JSON: an array with an object for each line, or each journal.",
  },
  {
    name: "waiting-for",
    value: "OUTPUT",
    commands: ["journal dump"],
    doc: "Only what this output has not taken yet.",
  },
  {
    name: "from",
    value: "RECORD",
    commands: ["journal dump"],
    doc: "Begin with the record of this number.",
  },
  { name: "limit", value: "POINTS", commands: ["journal dump"], doc: "Print so many points at most." },
  {
    name: "database",
    value: "PATH",
    commands: ["query"],
    doc:
      "The SQLite database. Default: the one that the configuration names, or that of the state directory.",
  },
  {
    name: "format",
    value: "FORMAT",
    choices: ["table", "csv", "json"],
    commands: ["query"],
    doc: "How rows are printed. Default: table on a terminal, otherwise csv.",
  },
  {
    name: "tokens-file",
    value: "PATH",
    commands: ["token new"],
    doc: "Add the line to this file (plugins.relay-server.tokens).",
  },
  { name: "forward", commands: ["token new"], doc: "Let the client pass on what others have measured." },
  {
    name: "strict",
    commands: ["config check"],
    doc: "Fail (78) where something is open to others: clear text, no tokens, secrets that can be read.",
  },
  { name: "force", commands: ["config regen"], doc: "Replace a file that exists." },
  {
    name: "older-than",
    value: "AGE",
    commands: ["dead-letters purge"],
    doc: "Remove what was refused longer ago than this, such as 30days.",
  },
  { name: "all", commands: ["dead-letters purge"], doc: "Remove all." },
  { name: "yes", commands: ["dead-letters purge"], doc: "Do it." },
  { name: "status", commands: ["plugins list"], doc: "Say which plugins the configuration enables." },
  { name: "help", short: "h", doc: "Print help." },
  { name: "version", short: "V", doc: "Print the version." },
];

/** Commands of Alumet's agent that this program does not have, and what to do instead. */
export const FOREIGN_COMMANDS: Readonly<Record<string, string>> = {
  exec: "it measures running processes (plugins.procfs.processes); start the command yourself",
  watch: "it measures running processes: name them in plugins.procfs.processes.groups",
};

export const EXAMPLES: readonly { readonly line: string; readonly doc: string }[] = [
  { line: "--relay-in :50051", doc: "a server: receives, and stores in a database" },
  { line: "--relay-out server:50051", doc: "a client: measures this machine, and sends" },
  { line: "--relay-in :50051 --relay-out server:50051", doc: "a hop: receives, and sends on" },
  { line: "query", doc: "what is stored, and how to ask for it in SQL" },
  { line: "config regen", doc: "a configuration file to start from" },
];

export const EXIT_CODES: readonly { readonly code: number; readonly doc: string }[] = [
  { code: 0, doc: "stopped in good order" },
  { code: 64, doc: "the command line is wrong" },
  { code: 65, doc: "the journal is damaged, or another version of this program wrote it" },
  { code: 69, doc: "a server, an address or a file that is needed cannot be had" },
  { code: 70, doc: "internal error" },
  { code: 78, doc: "the configuration is wrong" },
  { code: 130, doc: "a second Ctrl-C (SIGINT) stopped it at once" },
  { code: 143, doc: "a second SIGTERM stopped it at once" },
];

export const SIGNALS: readonly { readonly name: string; readonly doc: string }[] = [
  {
    name: "SIGTERM, SIGINT",
    doc: "Stop in good order; a second one stops at once, and the journal is kept.",
  },
  {
    name: "SIGHUP",
    doc:
      "Read the configuration again. What is reloadable is taken over, the rest is named, and a mistake changes nothing.",
  },
];

export const ENVIRONMENT: readonly { readonly name: string; readonly doc: string }[] = [
  { name: "ALUMET_CONFIG", doc: "The configuration file, where --config does not name it." },
  {
    name: "STATE_DIRECTORY, XDG_STATE_HOME, HOME",
    doc: "Where state is kept, the first that is set, where --state-dir does not say it.",
  },
  { name: "NO_COLOR", doc: "No colours on a terminal." },
  {
    name: "NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS, JOURNAL_STREAM, CREDENTIALS_DIRECTORY",
    doc: "Set by systemd, see systemd.exec(5).",
  },
];

export const FILES: readonly { readonly name: string; readonly doc: string }[] = [
  {
    name: "alumet-config.toml",
    doc: "The configuration, in the working directory. Its keys are in the file that config regen writes.",
  },
  { name: "/etc/alumet-relay/client.toml, server.toml", doc: "Those of the units of packages." },
];
