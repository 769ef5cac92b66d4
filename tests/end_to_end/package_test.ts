/** The packages of the compiled program, on a Debian with systemd. Runs when ALUMET_RELAY_BIN names the program. */
import assert from "node:assert/strict";
import { quoteArgument } from "../../lib/systemd/quoting.ts";
import { makePackages } from "../../tools/package.ts";
import { has, linux, namespaces, needs } from "../kit/needs.ts";
import { binary, runProgram, shell } from "../kit/process.ts";
import { debootstrap, Machine } from "../kit/systemd.ts";
import { TempDir } from "../kit/temp_dir.ts";

const EPOCH = 1_750_000_000;
const SERVER = "alumet-relay-server.service";
const CLIENT = "alumet-relay-client.service";

const tools = [linux, has("dpkg-deb", "dpkg")];

async function make(output: string): Promise<{ deb: string; tarball: string; sums: string }> {
  const [deb, tarball, sums] = await makePackages({ binary: binary!, output, level: "0", epoch: EPOCH });
  return { deb, tarball, sums };
}

/** The package as a later version of itself, with another configuration for servers. */
async function nextVersion(deb: string, dir: TempDir): Promise<string> {
  const next = dir.file("next");
  await shell("dpkg-deb", "-R", deb, next);
  const control = await Deno.readTextFile(`${next}/DEBIAN/control`);
  await Deno.writeTextFile(`${next}/DEBIAN/control`, control.replace(/^Version: .*/m, "Version: 99.0"));
  const config = `${next}/etc/alumet-relay/server.toml`;
  await Deno.writeTextFile(config, `# New.\n${await Deno.readTextFile(config)}`);
  await shell("dpkg-deb", "-Znone", "--build", next, dir.file("next.deb"));
  await Deno.remove(next, { recursive: true });
  return dir.file("next.deb");
}

async function installed(machine: Machine, deb: string, ...options: string[]): Promise<void> {
  await Deno.copyFile(deb, `${machine.root}/root/package.deb`);
  await machine.run("dpkg", ...options, "--install", "/root/package.deb");
  await Deno.remove(`${machine.root}/root/package.deb`);
}

/** Points that the server has stored, as a member of the group of readers sees them. */
const rows = async (machine: Machine) => {
  const { stdout } = await machine.try(
    ...["setpriv", "--reuid", "65534", "--regid", "alumet-relay", "--clear-groups"],
    ...[
      "env",
      "HOME=/nonexistent",
      "alumet-relay",
      "query",
      "--format",
      "csv",
      "SELECT count(*) FROM points",
    ],
  );
  return Number(stdout.trim().split("\n").at(-1));
};

if (binary) {
  Deno.test({
    name: "packages built twice are the same bytes, and match their checksums",
    ...needs(...tools),
    async fn() {
      await using dir = new TempDir();
      const [one, other] = [await make(dir.file("one")), await make(dir.file("other"))];
      for (const part of ["deb", "tarball", "sums"] as const) {
        assert.deepEqual(await Deno.readFile(one[part]), await Deno.readFile(other[part]), part);
      }
      const { code, stdout, stderr } = await runProgram(["--check", "--strict", "SHA256SUMS"], {
        program: ["sha256sum"],
        cwd: dir.file("one"),
      });
      assert.equal(code, 0, stderr);
      assert.equal(stdout.match(/: OK$/gm)?.length, 2);
      await shell("tar", "--directory", dir.path, "-xzf", one.tarball);
      const [folder] = [...Deno.readDirSync(dir.path)].filter(({ name }) => name.startsWith("alumet-relay-"));
      const ran = await runProgram(["--version"], { program: [dir.file(`${folder.name}/alumet-relay`)] });
      assert.match(ran.stdout, /^alumet-relay \d/);
    },
  });

  Deno.test({
    name: "the package depends on the libraries that the program needs, and on no newer ones",
    ...needs(...tools, has("objdump", "binutils")),
    async fn() {
      const needed = (await shell("objdump", "-p", binary!)).matchAll(/NEEDED +(\S+)/g);
      const libc = ["libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"];
      const others = [...needed].map(([, name]) => name).filter((name) => !libc.includes(name));
      assert.deepEqual(others, ["libgcc_s.so.1", "ld-linux-x86-64.so.2"]);
      const symbols = await shell("objdump", "-T", binary!);
      const versions = [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
      assert.equal(Math.max(...versions), 27, "say so in Depends, in tools/package.ts");
    },
  });

  Deno.test({
    name: "lintian reports no error and no warning for the Debian package",
    ...needs(...tools, has("lintian")),
    async fn() {
      await using dir = new TempDir();
      const { deb } = await make(dir.path);
      const { code, stdout } = await runProgram(["--allow-root", "--fail-on", "error,warning", deb], {
        program: ["lintian"],
        env: { TMPDIR: dir.path },
        patienceMs: 120_000,
      });
      assert.deepEqual([code, stdout], [0, ""]);
    },
  });

  Deno.test({
    name: "the package installs, runs under systemd, upgrades and purges on a fresh Debian",
    ...needs(...tools, namespaces, debootstrap),
    async fn(t) {
      await using dir = new TempDir();
      const { deb } = await make(dir.path);
      const root = dir.file("root");
      await Machine.bootstrap(root);
      await using machine = await Machine.boot(root);
      const step = async (name: string, work: () => Promise<void>) => {
        assert.ok(await t.step(name, work), `${name}: see above`);
      };

      await step("installing starts and enables nothing, and what is installed is complete", async () => {
        await installed(machine, deb);
        for (const unit of [SERVER, CLIENT]) {
          assert.equal((await machine.try("systemctl", "is-enabled", unit)).stdout.trim(), "disabled");
          assert.equal((await machine.try("systemctl", "is-active", unit)).stdout.trim(), "inactive");
          assert.equal((await machine.run("systemd-analyze", "verify", "--man=no", unit)).trim(), "");
        }
        assert.equal(await machine.run("dpkg", "--verify", "alumet-relay"), "");
        for (const role of ["client", "server"]) {
          await machine.run("alumet-relay", "config", "check", "--config", `/etc/alumet-relay/${role}.toml`);
        }
      });

      await step(
        "server and client run within their sandboxes, tell what they do, and points arrive",
        async () => {
          await machine.run(
            "sed",
            "-i",
            "/relay_server/a buffer_timeout = '200ms'",
            "/etc/alumet-relay/client.toml",
          );
          // What is not there when a service starts cannot be hidden from it.
          await machine.run("sh", "-c", "mkdir -p -m 700 /etc/credstore; echo 1 > /etc/credstore/x");
          // The server first: it is ready when it listens.
          await machine.run("systemctl", "enable", "--now", SERVER);
          await machine.run("systemctl", "enable", "--now", CLIENT);
          await machine.until("points in the database", async () => await rows(machine) > 100);
          await machine.until(
            "figures",
            async () =>
              /^1 client, [\d.,]+ points\/s, [\d,]+ points/.test(await machine.show(SERVER, "StatusText")),
          );
          const status = async (unit: string, key: string) => {
            const pid = await machine.show(unit, "MainPID");
            const text = await machine.run("cat", `/proc/${pid}/status`);
            return new RegExp(`^${key}:\\s+(.*)$`, "m").exec(text)![1];
          };
          // CAP_DAC_READ_SEARCH is number 2.
          assert.equal(parseInt(await status(CLIENT, "CapEff"), 16), 1 << 2);
          assert.equal(parseInt(await status(SERVER, "CapEff"), 16), 0);
          for (const unit of [SERVER, CLIENT]) {
            assert.notEqual((await status(unit, "Uid")).split(/\s+/)[0], "0");
            assert.equal(await status(unit, "Seccomp"), "2");
            // Without a time, and without the priority.
            const running = /^alumet-relay: Running inputs=/m;
            await machine.until("the line of a start", async () => running.test(await machine.log(unit)));
            assert.doesNotMatch(await machine.log(unit), /Cannot|ERROR|denied/);
          }
        },
      );

      await step("a client reads counters of root, and nothing that its unit hides", async () => {
        const pid = await machine.show(CLIENT, "MainPID");
        // Within the mounts of the client, as its user and with its capability alone.
        const uid = (await machine.run("stat", "-c", "%u", `/proc/${pid}`)).trim();
        const seen = async (path: string) =>
          (await machine.try(
            ...["nsenter", "-t", pid, "-m", "setpriv", "--reuid", uid, "--clear-groups"],
            ...["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"],
            ...["--bounding-set=-all,+dac_read_search", "head", "-c", "100", path],
          )).stdout;
        await machine.run("sh", "-c", "echo 1 > /var/lib/energy_uj; chmod 400 /var/lib/energy_uj");
        assert.equal(await seen("/var/lib/energy_uj"), "1\n");
        for (const path of ["/etc/shadow", "/root/.bashrc", "/etc/credstore/x"]) {
          assert.ok((await machine.run("head", "-c", "100", path)).length > 0);
          assert.equal(await seen(path), "", path);
        }
      });

      await step("a reload takes over what it can, and fails where the file has a mistake", async () => {
        const config = "/etc/alumet-relay/server.toml";
        const pid = await machine.show(SERVER, "MainPID");
        await machine.run("sed", "-i", '1i log_level = "debug"', config);
        await machine.run("systemctl", "reload", SERVER);
        await machine.until(
          "the reload",
          async () => (await machine.log(SERVER)).includes("Configuration read again changed=log_level"),
        );
        assert.equal(await machine.show(SERVER, "ActiveState"), "active");
        await machine.run("sed", "-i", "1i oops = 1", config);
        assert.equal((await machine.try("systemctl", "reload", SERVER)).code, 1);
        const mistake = /server.toml:1: oops: unknown key/;
        await machine.until(
          "the mistake in the log",
          async () => mistake.test(await machine.log(SERVER, "-p", "err")),
        );
        assert.equal(await machine.show(SERVER, "MainPID"), pid, "it goes on");
        await machine.run("sed", "-i", "1d", config);
      });

      await step(
        "a secret from the credential store is readable for the process, and for nobody else",
        async () => {
          await machine.run("sh", "-c", "umask 077; echo sesame > /etc/credstore/alumet-relay-client.token");
          await machine.run(
            "sh",
            "-c",
            `printf '%s\\n' '[plugins.relay-client.tls]' >> /etc/alumet-relay/client.toml`,
          );
          await machine.run(
            ...["sed", "-i", "/relay_server/a token_file = '${CREDENTIALS_DIRECTORY}/token'"],
            "/etc/alumet-relay/client.toml",
          );
          await machine.run("systemctl", "restart", CLIENT);
          const pid = await machine.show(CLIENT, "MainPID");
          const directory = `/proc/${pid}/root/run/credentials/${CLIENT}`;
          assert.equal(await machine.run("cat", `${directory}/token`), "sesame\n");
          assert.match(await machine.run("stat", "-c", "%a", `${directory}/token`), /^[04][04]0$/m);
          await machine.run("systemctl", "reload", CLIENT);
          assert.equal(await machine.show(CLIENT, "ActiveState"), "active");
        },
      );

      await step(
        "the watchdog ends a process that hangs; the next one takes points again",
        async () => {
          const drop = "/etc/systemd/system/alumet-relay-server.service.d";
          await machine.run("mkdir", "-p", drop);
          await machine.run(
            "sh",
            "-c",
            `printf '%s\\n' '[Service]' WatchdogSec=6 TimeoutAbortSec=1 RestartSec=100ms > ${drop}/short.conf`,
          );
          await machine.run("systemctl", "daemon-reload");
          await machine.run("systemctl", "restart", SERVER);
          const pid = await machine.show(SERVER, "MainPID");
          // It is well for a while: systemd hears of it three times.
          const heard = new Set<string>();
          await machine.until("beats of the watchdog", async () => {
            heard.add(await machine.show(SERVER, "WatchdogTimestampMonotonic"));
            return heard.size > 3;
          });
          assert.equal(await machine.show(SERVER, "MainPID"), pid);
          await machine.run("sh", "-c", `kill -STOP ${pid}`);
          await machine.until("another process", async () => {
            const now = await machine.show(SERVER, "MainPID");
            return now !== pid && now !== "0" && await machine.show(SERVER, "ActiveState") === "active";
          });
          await machine.until(
            "the reason in the log",
            async () =>
              (await machine.run("journalctl", "--no-pager", "-u", SERVER)).includes("Watchdog timeout"),
          );
          const before = await rows(machine);
          await machine.until("points again", async () => await rows(machine) > before);
          await machine.run("rm", "-r", drop);
          await machine.run("systemctl", "daemon-reload");
        },
      );

      await step("a wrong configuration is not retried", async () => {
        const config = "/etc/alumet-relay/server.toml";
        await machine.run("sed", "-i", "1i oops = 1", config);
        assert.equal((await machine.try("systemctl", "restart", SERVER)).code, 1);
        assert.equal(await machine.show(SERVER, "ExecMainStatus"), "78");
        // One that systemd would start again is not failed but activating (auto-restart) until then.
        assert.equal(await machine.show(SERVER, "ActiveState"), "failed");
        assert.equal(await machine.show(SERVER, "SubState"), "failed");
        assert.equal(await machine.show(SERVER, "NRestarts"), "0");
        await machine.run("sed", "-i", "1d", config);
        await machine.run("systemctl", "restart", SERVER);
      });

      await step("what systemd-unit prints runs with the very arguments that it was given", async () => {
        const odd = ["a b", "100%h", "$HOME ${PATH}", "\"'\\", "-", "", "é;"];
        await Deno.writeTextFile(
          `${machine.root}/usr/local/bin/arguments`,
          '#!/bin/sh\nfor word in "$@"; do printf "<%s>" "$word"; done\n',
          { mode: 0o755 },
        );
        await Deno.writeTextFile(
          `${machine.root}/etc/systemd/system/arguments.service`,
          `[Service]\nType=oneshot\nExecStart=/usr/local/bin/arguments ${odd.map(quoteArgument).join(" ")}\n`,
        );
        await machine.run("systemctl", "daemon-reload");
        await machine.run("systemctl", "start", "arguments.service");
        const words = odd.map((word) => `<${word}>`).join("");
        await machine.until(
          `the arguments ${words}`,
          async () => (await machine.log("arguments.service")).trim() === words,
        );

        await machine.run("systemctl", "disable", "--now", CLIENT);
        await machine.run(
          "sh",
          "-c",
          `alumet-relay systemd-unit client --relay-out localhost:50051 ` +
            `--config-override 'plugins.relay-client.client_name=100% $HOME "x"' ` +
            `--config-override plugins.relay-client.buffer_timeout=100ms > /etc/systemd/system/${CLIENT}`,
        );
        await machine.run("systemctl", "daemon-reload");
        await machine.run("systemctl", "start", CLIENT);
        await machine.until(
          "the client's name",
          async () => (await machine.log(SERVER)).includes('client="100% $HOME \\"x\\""'),
        );
        await machine.run("systemctl", "stop", CLIENT);
        await machine.run("rm", `/etc/systemd/system/${CLIENT}`);
        await machine.run("systemctl", "daemon-reload");
      });

      await step(
        "an upgrade keeps the edited configuration and the state, and restarts what runs",
        async () => {
          const pid = await machine.show(SERVER, "MainPID");
          const before = await rows(machine);
          await installed(machine, await nextVersion(deb, dir), "--force-confdef", "--force-confold");
          assert.equal(
            (await machine.run("dpkg-query", "-W", "-f", "${Version}", "alumet-relay")).trim(),
            "99.0",
          );
          assert.match(
            await machine.run("head", "-1", "/etc/alumet-relay/server.toml"),
            /log_level = "debug"/,
          );
          assert.notEqual(await machine.show(SERVER, "MainPID"), pid);
          assert.equal(await machine.show(SERVER, "ActiveState"), "active");
          assert.equal(
            await machine.show(CLIENT, "ActiveState"),
            "inactive",
            "what did not run is not started",
          );
          assert.ok(await rows(machine) >= before);
        },
      );

      await step("removing stops the services and keeps state and configuration", async () => {
        await machine.run("dpkg", "--remove", "alumet-relay");
        assert.equal((await machine.try("systemctl", "is-active", SERVER)).stdout.trim(), "inactive");
        await machine.run("test", "-s", "/var/lib/alumet-relay-server/server/measurements.sqlite");
        await machine.run("test", "-e", "/etc/alumet-relay/server.toml");
        await machine.run("test", "!", "-e", "/usr/bin/alumet-relay");
      });

      await step("purging leaves nothing behind", async () => {
        await machine.run("dpkg", "--purge", "alumet-relay");
        const left = await machine.run(
          ...[
            "find",
            "/etc",
            "/usr",
            "/var/lib",
            "-xdev",
            "-name",
            "*alumet*",
            "-not",
            "-path",
            "/etc/credstore/*",
          ],
        );
        assert.equal(left, "");
      });
    },
  });
}
