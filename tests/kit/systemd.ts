/**
 * A Debian with systemd as its first process, in namespaces of its own: units run as they do on a host, sandbox, users,
 * watchdog and journal included. Nothing of the host can be written from it. It ends with the test's process.
 */
import type { Need } from "./needs.ts";
import { type Ran, runProgram, shell } from "./process.ts";
import { atMost, PATIENCE_MS, pause } from "./waiting.ts";

/** The release whose systemd (252) the units must work with. */
const RELEASE = "bookworm";
const MIRROR = "http://deb.debian.org/debian";
/** Getting and unpacking packages, on a slow day. */
const BOOTSTRAP_MS = 300_000;
/** From the first process to the last unit of the start. */
const BOOT_MS = 60_000;

/** Units that have no meaning in a namespace, or would touch what is not in one. */
const MASKED = [
  ...["systemd-sysctl", "systemd-modules-load", "systemd-udevd", "systemd-udev-trigger", "systemd-logind"],
  ...["systemd-networkd", "systemd-resolved", "systemd-timesyncd", "systemd-random-seed", "e2scrub_reap"],
  ...["console-getty", "getty@", "systemd-hwdb-update", "systemd-update-utmp"],
].map((name) => `${name}.service`).concat([
  ...["dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"],
  ...["sys-fs-fuse-connections.mount", "systemd-journald-audit.socket", "apt-daily.timer"],
]);

/**
 * Runs outside of the machine, in a mount namespace: $1 is its root, $2 its name among control groups. The group is
 * the machine's own, so that systemd does not order those of the host; it goes when the machine has ended.
 */
const HOLDER = `
set -e
groups=$(mktemp -d)
mount -t cgroup2 cgroup2 "$groups"
mkdir "$groups/$2"
(
  read -r self _ </proc/self/stat
  echo "$self" >"$groups/$2/cgroup.procs"
  exec unshare --mount --pid --fork --uts --ipc --cgroup --net --kill-child --propagation private \\
    /bin/sh -c "$3" boot "$1"
) </dev/null &
child=$!
echo "$child"
# The end of the test's process is the end of this input.
cat >/dev/null || true
kill -KILL "$child" 2>/dev/null || true
wait "$child" 2>/dev/null || true
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  find "$groups/$2" -depth -type d -exec rmdir {} + 2>/dev/null && break
  sleep 0.1
done
umount "$groups"
rmdir "$groups"
`;

/** Runs as the first process of the new namespaces; ends by becoming systemd. */
const BOOT = `
set -e
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
ip link set lo up
hostname machine
cd "$root"
pivot_root . mnt
cd /
umount -l /mnt
# systemd counts on it.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system \\
  --log-target=journal --show-status=no --unit=multi-user.target
`;

export const debootstrap: Need = () => {
  try {
    const { success } = new Deno.Command("debootstrap", { args: ["--version"], stdout: "null" }).outputSync();
    return success ? undefined : "needs debootstrap";
  } catch {
    return "needs debootstrap";
  }
};

export class Machine implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  /** The number of its first process. */
  readonly #pid: number;

  private constructor(readonly root: string, holder: Deno.ChildProcess, pid: number) {
    this.root = root;
    this.#holder = holder;
    this.#pid = pid;
  }

  /** Puts a minimal Debian into an empty directory. */
  static async bootstrap(root: string): Promise<void> {
    const command = new Deno.Command("debootstrap", {
      args: ["--variant=minbase", "--include=systemd,ca-certificates", RELEASE, root, MIRROR],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const output = command.output();
    try {
      const { success, stdout } = await atMost(BOOTSTRAP_MS, output, () => "debootstrap");
      if (!success) throw new Error(`debootstrap: ${new TextDecoder().decode(stdout).slice(-2000)}`);
    } catch (error) {
      try {
        command.kill("SIGKILL");
      } catch { /* it has ended */ }
      await output;
      throw error;
    }
    await shell("ln", "-sf", "/dev/null", `${root}/etc/systemd/system/systemd-sysctl.service`);
    for (const unit of MASKED) await shell("ln", "-sf", "/dev/null", `${root}/etc/systemd/system/${unit}`);
    await Deno.writeTextFile(`${root}/etc/hosts`, "127.0.0.1 localhost machine\n::1 localhost\n");
  }

  /** Starts it, and waits until it is up. */
  static async boot(root: string): Promise<Machine> {
    const name = `alumet-relay-test-${crypto.randomUUID()}`;
    const holder = new Deno.Command("unshare", {
      args: ["--mount", "--propagation", "private", "sh", "-c", HOLDER, "holder", root, name, BOOT],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = holder.stdout.getReader();
    let machine: Machine | undefined;
    try {
      const { value } = await atMost(PATIENCE_MS, reader.read(), () => "the machine's holder");
      const outer = Number(new TextDecoder().decode(value).trim());
      machine = new Machine(root, holder, await firstChild(outer));
      const deadline = performance.now() + BOOT_MS;
      let state = "";
      while (!/^(running|degraded)$/.test(state)) {
        if (performance.now() > deadline) throw new Error(`The machine is not up: ${state}`);
        await pause(100);
        state = (await machine.try("systemctl", "is-system-running")).stdout.trim();
      }
      return machine;
    } catch (error) {
      if (machine) await machine[Symbol.asyncDispose]();
      else {
        await holder.stdin.close();
        await holder.status;
      }
      throw error;
    } finally {
      reader.releaseLock();
    }
  }

  /** Runs a command inside, whatever comes of it. */
  async try(...command: string[]): Promise<Ran> {
    const inside = ["-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", "--"];
    return await runProgram(command, {
      program: ["nsenter", "-t", String(this.#pid), ...inside],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" },
    });
  }

  /** Runs a command inside. @throws with what it said, if it fails. */
  async run(...command: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(...command);
    if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}: ${stdout}${stderr}`);
    return stdout;
  }

  /** A property of a unit. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.run("systemctl", "show", "--value", "-P", property, unit)).trim();
  }

  /** The journal of a unit, without what systemd says of it. */
  async log(unit: string, ...args: string[]): Promise<string> {
    return await this.run("journalctl", "--no-pager", "-o", "cat", ...args, `_SYSTEMD_UNIT=${unit}`);
  }

  /** Waits until something is so. */
  async until(what: string, condition: () => Promise<boolean>, ms = PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + ms;
    while (!await condition()) {
      if (performance.now() > deadline) {
        throw new Error(
          `Not within ${ms} ms: ${what}; ${await this.run("journalctl", "--no-pager", "-n", "60")}`,
        );
      }
      await pause(100);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close().catch(() => {});
    await this.#holder.stdout.cancel();
    await this.#holder.status;
  }
}

async function firstChild(pid: number): Promise<number> {
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline;) {
    try {
      const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
      if (text.trim() !== "") return Number(text.trim().split(" ")[0]);
    } catch { /* not yet */ }
    await pause(20);
  }
  throw new Error("The machine has no first process");
}
