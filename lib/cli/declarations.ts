/** The command line, declared once: parsing, help, the manual page and completions come from here. */
import denoConfig from "../../deno.json" with { type: "json" };

export const PROGRAM = "alumet-relay";
export const VERSION = denoConfig.version;

export interface FlagDeclaration {
  /** Without dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** The name of its value (a shell completes PATH and DIR as paths); absent for a flag without a value. */
  readonly value?: string;
  /** The allowed values. */
  readonly choices?: readonly string[];
  /** It may be given more than once. */
  readonly repeat?: boolean;
  /** The commands that take it. @default all */
  readonly commands?: readonly string[];
  readonly doc: string;
}

export interface CommandDeclaration {
  /** One word or two. */
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** Details, for the help of the command. */
  readonly description?: string;
  /** The name of the word behind it (a shell completes OUTPUT); absent if it takes none. */
  readonly argument?: string;
  /** Whether it takes several of these words. */
  readonly many?: boolean;
  /** The allowed words. */
  readonly choices?: readonly string[];
  /** The name of a command line of a program, which takes all that follows; absent if it runs none. */
  readonly program?: string;
}

export const COMMANDS: readonly CommandDeclaration[] = [
  {
    name: "run",
    summary: "Run the agent until SIGTERM or Ctrl-C (the default command).",
    description:
      "Without a configuration file, --relay-in runs a server that stores, --relay-out a client that " +
      "measures this machine, and both together a hop that forwards what it receives.",
  },
  {
    name: "config check",
    summary: "Check the configuration, and print every problem in it.",
    description:
      "Takes the same flags as run, and checks what run would use. Exit code 0: it is valid. Notes name what is open to " +
      "others; with --strict they are errors.",
  },
  {
    name: "config show",
    summary: "Print the values in effect, each with its source.",
    description: "The output is TOML. Secrets are masked.",
  },
  {
    name: "config regen",
    summary: "Write a commented default file, with the keys of every plugin.",
    description:
      "Writes it to the path of --config, or to standard output for --config -. It enables the plugins in --plugins, " +
      "or those that --relay-in, --relay-out and --output-file need.",
  },
  {
    name: "probe",
    summary: "Measure this machine for a second, and print what can be measured.",
    description:
      "Prints a line for each source: the input that measures it, its file, its value, and what to do if it is not " +
      "readable. Values of counters are those of one second. Uses a configuration file and --plugins; sends and stores " +
      "nothing.",
  },
  {
    name: "exec",
    program: "COMMAND ARGS",
    summary: "Run a program, and print what it used: time, CPU, memory, energy and CO2.",
    description:
      "Needs no server. Prints on standard error when the program has ended: the CPU time of the program and of its " +
      "descendants, their peak memory, the energy of each part of the machine meanwhile, and the program's share of it " +
      "by CPU time. Standard input, output and error are those of the program. Hands on SIGTERM, SIGINT, SIGQUIT, SIGHUP, " +
      "SIGUSR1 and SIGUSR2. The exit code is the program's: 128 + N if signal N ended it, 127 if it is not found, 126 if " +
      "it is not executable.",
  },
  {
    name: "watch",
    argument: "PID",
    summary: "Measure a running process until it ends, and print what it used meanwhile.",
    description:
      "As exec, for a process that runs already, with its descendants: Ctrl-C ends the measurement, and not the process. " +
      "CPU time is what /proc shows, in steps of 10 ms. The exit code is 0, or 69 if there is no such process.",
  },
  {
    name: "send",
    argument: "LINE",
    summary: "Send numbers to a relay server once, and wait until the server has them.",
    description:
      "Takes lines of InfluxDB's line protocol or JSON, as the input lines does: the one behind it, or those of standard " +
      "input. The server is that of --relay-out, or of relay-client in the configuration, with its token and TLS; rules " +
      "of an enabled plugins.lines hold. Exit code 0: an alumet-relay server has acknowledged all points (a real Alumet " +
      "server acknowledges nothing, there they are sent); 65: a line is bad, and it has the others; 69: it has not " +
      "acknowledged them in time.",
  },
  {
    name: "status",
    argument: "URL",
    summary: "Print how running processes are doing: role, since when, what waits, last error.",
    description:
      "Needs no configuration: finds the processes of all roles in the state directories, or the one at a URL or in a " +
      "directory of a role. Exit code 0: all can take points; 75: one cannot; 69: none runs. A page that needs a token " +
      "gets that of ALUMET_RELAY_TOKEN.",
  },
  {
    name: "top",
    argument: "URL",
    summary: "Show the hosts of a running process: who is silent, power, rates, what waits.",
    description:
      "Keys: s, n, p, r, l and w sort by state, name, power, rate, last contact and what waits; / filters by name; arrows " +
      "scroll; q quits. Where standard output is not a terminal, it prints one table. Finds the process as status does; of " +
      "several, a server or hop.",
  },
  {
    name: "tap",
    argument: "URL",
    summary: "Print points as they pass through a running process.",
    description:
      "--client and --metric choose by patterns. The process never waits for it: points that come faster than --rate, or " +
      "than they are read, are not shown, and their number is. On a terminal the result is a table, otherwise lines of " +
      "JSON. Finds the process as top does.",
  },
  { name: "plugins list", summary: "Print the names and kinds of the plugins, and what they do." },
  {
    name: "token new",
    argument: "NAME",
    summary: "Create a token, with which a client may send under this name.",
    description:
      "Prints the token for the client, and the line with its hash for the server's file. With --forward the client may " +
      "also forward what others have measured, as a hop does.",
  },
  {
    name: "journal status",
    summary: "Print what the journal on disk keeps, for which outputs, from which clients, and since when.",
    description:
      "Changes nothing, and works while the agent runs. Reads the journals of all roles in the state directories, unless " +
      "--path or journal.path in the configuration names one.",
  },
  {
    name: "journal check",
    summary: "Read the whole journal, and print what is damaged and where.",
    description:
      "Changes nothing, and works while the agent runs. Exit code 0: nothing is damaged; 65: something is.",
  },
  {
    name: "journal repair",
    summary: "Cut off and set aside what is damaged in the whole journal.",
    description:
      "Does not work while an agent uses the journal (exit code 69). Copies of what it cuts off are in quarantine/. An " +
      "agent does the same when it reaches a damaged place. Afterwards journal check finds no damage.",
  },
  {
    name: "journal dump",
    summary: "Print the points in the journal as lines of JSON.",
    description:
      "Changes nothing, and works while the agent runs; points that are only in its memory are missing. Each line has the " +
      "number of the record, the client and the number of its batch, and the point as dead-letters show prints it. Exit " +
      "code 65: some are damaged.",
  },
  {
    name: "dead-letters list",
    argument: "OUTPUT",
    summary:
      "Print how many points the database of each output has permanently refused, since when, and why.",
  },
  {
    name: "dead-letters show",
    argument: "OUTPUT",
    summary: "Print these points as lines of JSON.",
  },
  {
    name: "dead-letters replay",
    argument: "OUTPUT",
    summary: "Write these points again, to the outputs of the configuration.",
    description:
      "Takes the same flags as run, and works while the agent runs. Points that are refused again are set aside again. " +
      "Ends when all points are written or refused; Ctrl-C ends it earlier, and keeps the rest. Exit code 0: all points " +
      "are written.",
  },
  {
    name: "dead-letters purge",
    argument: "OUTPUT",
    summary: "Permanently remove these points, with --older-than AGE or --all.",
    description: "Without --yes it only prints how many points it would remove. Works while the agent runs.",
  },
  {
    name: "query",
    argument: "SQL",
    summary:
      "Print points of the sqlite output's database, run an SQL statement on it, or print a summary of it.",
    description:
      "Changes nothing, and works while the agent runs. --metric, --host, --since, --every and --attributes print points without SQL. The " +
      "view measurements has a row for each point. On a terminal the result is a table, otherwise CSV. - reads the " +
      "statement from standard input.",
  },
  {
    name: "export",
    argument: "FILE",
    summary: "Write points of the sqlite output's database to a file: Parquet, CSV or JSON lines.",
    description:
      "The file's ending says the format, or --format does. --metric, --host, --since and --until choose points. Works " +
      "while the agent runs, in little memory, and prints its progress on a terminal. The file appears when it is " +
      "complete. - writes to standard output.",
  },
  {
    name: "import",
    argument: "FILE...",
    many: true,
    summary: "Write the points of files that export has written to the outputs of the configuration.",
    description:
      "Reads Parquet, CSV and JSON lines; the file's ending says which, or --format does. --plugins chooses outputs, " +
      "--relay-out sends to a server. First checks all files: a row that is not a point is named, and nothing is " +
      "written. Works while the agent runs, in little memory, and prints its progress on a terminal. Databases and " +
      "alumet-relay servers take each file once, however often it is imported. Exit code 65: a row is bad, or an output " +
      "has set points aside; 69: an output has not taken all.",
  },
  {
    name: "systemd-unit",
    argument: "client|server|socket",
    choices: ["client", "server", "socket"],
    summary: "Print a hardened systemd unit that runs with these flags.",
    description:
      "Takes the same flags as run, and checks them. Save the output as /etc/systemd/system/alumet-relay-client.service, " +
      "-server.service or -server.socket; see docs/operations.md.",
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
  { name: "help", argument: "COMMAND", summary: "Print help, on the program or on a command." },
  { name: "version", summary: "Print the version." },
];

export const FLAGS: readonly FlagDeclaration[] = [
  {
    name: "config",
    value: "PATH",
    doc:
      "The configuration file. Default: the environment variable ALUMET_CONFIG, or else alumet-config.toml if it " +
      "exists in this directory.",
  },
  { name: "no-default-config", doc: "Fail if there is no configuration file." },
  {
    name: "config-override",
    value: "KEY=VALUE",
    repeat: true,
    doc: "Set a key of the file, such as plugins.csv.output_path=out.csv. May be given several times.",
  },
  { name: "plugins", value: "A,B", doc: "Run only these plugins." },
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
      "The directory for everything that outlives the process, such as the journal, below client/, server/, hop/ or " +
      "local/. Default: $STATE_DIRECTORY, or else alumet-relay in $XDG_STATE_HOME or ~/.local/state.",
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
    doc: "The format of log lines. Default: text.",
  },
  {
    name: "path",
    value: "DIR",
    commands: ["journal status", "journal check", "journal repair", "journal dump"],
    doc:
      "The directory of the journal. Default: journal.path of the configuration, or those in the state directories.",
  },
  {
    name: "json",
    commands: ["probe", "journal status", "exec", "watch", "status"],
    doc:
      "Print JSON: an array with an object for each line, or each journal; with exec and watch one object.",
  },
  {
    name: "country",
    value: "CODE",
    commands: ["exec", "watch"],
    doc: "Print the CO2 that electricity of this country causes: FR.",
  },
  {
    name: "intensity",
    value: "GRAMS",
    commands: ["exec", "watch"],
    doc: "Print the CO2 of electricity that causes this number of grams per kWh: 50.",
  },
  {
    name: "repeat",
    value: "N",
    commands: ["exec"],
    doc: "Run the program N times, or until it fails, and print means and standard deviations.",
  },
  {
    name: "ignore-exit-code",
    commands: ["exec"],
    doc: "Exit with 0 whatever the exit code of the program is.",
  },
  {
    name: "timeout",
    value: "TIME",
    commands: ["send"],
    doc: "Give up when the server has not acknowledged everything after this time. Default: 10s.",
  },
  {
    name: "report",
    value: "PATH",
    commands: ["exec", "watch"],
    doc: "Write the result to this file, and not to standard error.",
  },
  {
    name: "waiting-for",
    value: "OUTPUT",
    commands: ["journal dump"],
    doc: "Print only points that this output has not taken yet.",
  },
  {
    name: "from",
    value: "RECORD",
    commands: ["journal dump"],
    doc: "Begin with the record that has this number.",
  },
  { name: "limit", value: "POINTS", commands: ["journal dump"], doc: "Print at most this number of points." },
  {
    name: "database",
    value: "PATH",
    commands: ["query", "export"],
    doc:
      "The SQLite database. Default: the one that the configuration names, or the one in a state directory.",
  },
  {
    name: "metric",
    value: "PATTERN",
    commands: ["query", "export", "tap"],
    doc: "Only points of metrics with such names: 'rapl*'.",
  },
  {
    name: "host",
    value: "PATTERN",
    commands: ["query", "export"],
    doc: "Only points of such hosts: 'node-*'.",
  },
  {
    name: "since",
    value: "AGE",
    commands: ["query", "export"],
    doc:
      "Only points that are not older than this: 1h. Or than a time, 2026-11-01 or 2026-11-01T12:00:00Z (UTC without a zone).",
  },
  {
    name: "until",
    value: "AGE",
    commands: ["export"],
    doc: "Only points that are older than this, or that come before this time.",
  },
  {
    name: "every",
    value: "TIME",
    commands: ["query"],
    doc: "Print the mean, lowest and highest value of each series in each such span of time: 1m.",
  },
  {
    name: "attributes",
    value: "NAMES",
    commands: ["query"],
    doc: "Print these attributes of points, each in a column of its own: kind,domain.",
  },
  {
    name: "format",
    value: "FORMAT",
    choices: ["table", "csv", "json", "influx", "jsonl", "parquet"],
    commands: ["query", "export", "import", "tap"],
    doc:
      "The format of rows. query: table, csv or json; default: table on a terminal, otherwise csv. tap: table, json or " +
      "influx (InfluxDB's line protocol); default: table on a terminal, otherwise json. export and import: parquet, csv or jsonl.",
  },
  {
    name: "client",
    value: "PATTERN",
    commands: ["tap"],
    doc: "Print points of clients with such names: 'node-*'.",
  },
  {
    name: "rate",
    value: "N",
    commands: ["tap"],
    doc: "Print at most this number of points per second. Default: 1000.",
  },
  {
    name: "tokens-file",
    value: "PATH",
    commands: ["token new"],
    doc: "Add the line to this file (plugins.relay-server.tokens).",
  },
  { name: "forward", commands: ["token new"], doc: "Let the client forward what others have measured." },
  {
    name: "strict",
    commands: ["config check"],
    doc: "Fail (78) if something is open to others: clear text, no tokens, readable secrets.",
  },
  { name: "force", commands: ["config regen"], doc: "Replace an existing file." },
  {
    name: "older-than",
    value: "AGE",
    commands: ["dead-letters purge"],
    doc: "Remove points that were refused longer ago than this, such as 30days.",
  },
  { name: "all", commands: ["dead-letters purge"], doc: "Remove all points." },
  { name: "yes", commands: ["dead-letters purge"], doc: "Really remove them." },
  { name: "status", commands: ["plugins list"], doc: "Print which plugins the configuration enables." },
  { name: "help", short: "h", doc: "Print help." },
  { name: "version", short: "V", doc: "Print the version." },
];

export const EXAMPLES: readonly { readonly line: string; readonly doc: string }[] = [
  { line: "--relay-in :50051", doc: "a server: receives, and stores in a database" },
  { line: "--relay-out server:50051", doc: "a client: measures this machine, and sends" },
  { line: "--relay-in :50051 --relay-out server:50051", doc: "a hop: receives, and forwards" },
  { line: "status", doc: "how running processes are doing; top shows hosts" },
  { line: "query", doc: "what is stored, and SQL examples" },
  { line: "exec -- make -j4", doc: "what a command uses: time, CPU, memory, energy" },
  { line: "watch 1234", doc: "the same of a process that runs already" },
  { line: "send 'lab_temperature,room=1 value=21.5'", doc: "one number to the server, from a script" },
  { line: "config regen", doc: "a configuration file to start from" },
];

export const EXIT_CODES: readonly { readonly code: number; readonly doc: string }[] = [
  { code: 0, doc: "success, or an orderly stop" },
  { code: 64, doc: "the command line is wrong" },
  {
    code: 65,
    doc: "the journal is damaged, or another version of this program wrote it; with send: a line is bad",
  },
  { code: 69, doc: "a required server, address or file is not available" },
  { code: 70, doc: "internal error" },
  { code: 75, doc: "status: a process runs, and cannot take points" },
  { code: 78, doc: "the configuration is wrong" },
  { code: 130, doc: "a second Ctrl-C (SIGINT) stopped it at once" },
  { code: 143, doc: "a second SIGTERM stopped it at once" },
];

export const SIGNALS: readonly { readonly name: string; readonly doc: string }[] = [
  {
    name: "SIGTERM, SIGINT",
    doc: "Stop in order; a second signal stops at once, and keeps the journal.",
  },
  {
    name: "SIGHUP",
    doc:
      "Read the configuration again. Reloadable keys take effect, the log names the others, and a mistake changes nothing.",
  },
];

export const ENVIRONMENT: readonly { readonly name: string; readonly doc: string }[] = [
  { name: "ALUMET_CONFIG", doc: "The configuration file, if --config is not given." },
  {
    name: "STATE_DIRECTORY, XDG_STATE_HOME, HOME",
    doc: "The state directory, if --state-dir is not given: the first of them that is set.",
  },
  { name: "ALUMET_RELAY_TOKEN", doc: "The token of a page, for status, top and tap with a URL." },
  { name: "NO_COLOR", doc: "No colors on a terminal." },
  {
    name: "NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS, JOURNAL_STREAM, CREDENTIALS_DIRECTORY",
    doc: "Set by systemd, see systemd.exec(5).",
  },
];

export const FILES: readonly { readonly name: string; readonly doc: string }[] = [
  {
    name: "alumet-config.toml",
    doc: "The configuration, in the working directory. config regen writes one with every key.",
  },
  { name: "/etc/alumet-relay/client.toml, server.toml", doc: "The configurations of the packaged units." },
];
