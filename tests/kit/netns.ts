/**
 * Namespaces of Linux: networks and mounts of a test's own. Each is held by a process that ends when its standard input
 * is closed, so nothing is left behind, even where the tests are killed. Needs root, util-linux and iproute2.
 */
import { shell } from "./process.ts";
import { atMost, PATIENCE_MS } from "./waiting.ts";

/** Mount and network namespaces, with nothing but a loopback interface. */
export class Namespace implements AsyncDisposable {
  readonly pid: number;
  readonly #holder: Deno.ChildProcess;
  #ownHosts = false;

  private constructor(holder: Deno.ChildProcess) {
    this.#holder = holder;
    this.pid = holder.pid;
  }

  static async create(): Promise<Namespace> {
    // /sys shows the network of whoever mounted it.
    const script = "mount -t sysfs sysfs /sys && ip link set lo up && echo ready && exec cat";
    const holder = new Deno.Command("unshare", {
      args: ["--mount", "--net", "--", "sh", "-c", script],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const namespace = new Namespace(holder);
    const reader = holder.stdout.getReader();
    try {
      const { value } = await atMost(PATIENCE_MS, reader.read(), () => "a namespace");
      if (!value) throw new Error("Cannot make a namespace: see above");
    } catch (error) {
      await namespace[Symbol.asyncDispose]();
      throw error;
    } finally {
      reader.releaseLock();
    }
    return namespace;
  }

  /** What runs a command inside, in the folder `cwd`. */
  wrapper(cwd = "/"): string[] {
    return [
      ...["nsenter", "--target", String(this.pid), "--mount", "--net", "--"],
      ...["sh", "-c", 'cd "$0" && exec "$@"', cwd],
    ];
  }

  /** Runs a command inside. */
  async run(...command: string[]): Promise<string> {
    return await shell(...this.wrapper(), ...command);
  }

  /** A path of the inside, as the outside sees it. */
  path(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** The number of an interface. */
  async interfaceIndex(name: string): Promise<number> {
    return Number(await this.run("cat", `/sys/class/net/${name}/ifindex`));
  }

  /** Puts lines into an /etc/hosts of its own. */
  async hosts(...lines: string[]): Promise<void> {
    if (!this.#ownHosts) {
      await this.run("sh", "-c", "f=$(mktemp) && mount --bind $f /etc/hosts && rm $f");
      this.#ownHosts = true;
    }
    await this.run("sh", "-c", 'printf "%s\\n" "$@" > /etc/hosts', "sh", ...lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close().catch(() => {});
    await this.#holder.stdout.cancel();
    await this.#holder.status;
  }
}

/** Two namespaces with a cable between them; the interface is called `cable` in both. */
export class Cable implements AsyncDisposable {
  static readonly interface = "cable";

  private constructor(
    /** Has the addresses 10.77.0.1, fd77::1 and fe80::1. */
    readonly one: Namespace,
    /** Has the addresses 10.77.0.2, fd77::2 and fe80::2. */
    readonly two: Namespace,
  ) {}

  static async create(): Promise<Cable> {
    await using stack = new AsyncDisposableStack();
    const one = stack.use(await Namespace.create());
    const two = stack.use(await Namespace.create());
    // Numbers of interfaces that differ from one another, so that nothing works by chance.
    await two.run("ip", "link", "add", "other1", "type", "veth", "peer", "name", "other2");
    await one.run(
      "ip",
      "link",
      "add",
      "cable",
      "type",
      "veth",
      "peer",
      "name",
      "cable",
      "netns",
      String(two.pid),
    );
    for (const [namespace, n] of [[one, 1], [two, 2]] as const) {
      await namespace.run("ip", "link", "set", "cable", "addrgenmode", "none", "up");
      for (const address of [`10.77.0.${n}/24`, `fd77::${n}/64`, `fe80::${n}/64`]) {
        // An IPv6 address could not be used before its check for duplicates has ended.
        const nodad = address.includes(":") ? ["nodad"] : [];
        await namespace.run("ip", "address", "add", address, "dev", "cable", ...nodad);
      }
    }
    stack.move();
    return new Cable(one, two);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.two[Symbol.asyncDispose]();
    await this.one[Symbol.asyncDispose]();
  }
}
