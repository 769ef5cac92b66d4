/**
 * What the container recipe makes, without an engine for containers: a root with the program and the libraries that it
 * is linked with, read-only, as the user and with the variables that the recipe says. Runs when ALUMET_RELAY_BIN names
 * the program.
 */
import assert from "node:assert/strict";
import { linux, namespaces, needs } from "../kit/needs.ts";
import { binary, Program, shell } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { portOf } from "./relay.ts";

const PACKAGING = new URL("../../packaging/", import.meta.url);

interface Recipe {
  readonly user: string;
  readonly state: string;
  readonly program: string;
}

async function readRecipe(): Promise<Recipe> {
  const text = await Deno.readTextFile(new URL("container/Containerfile", PACKAGING));
  const find = (pattern: RegExp) => pattern.exec(text)![1];
  return {
    user: find(/^USER (\S+)$/m),
    state: find(/^ENV STATE_DIRECTORY=(\S+)$/m),
    program: find(/^ENTRYPOINT \["(.*)"\]$/m),
  };
}

/** Nothing but the program, its libraries, and the configurations of the example for Kubernetes. */
async function layRoot(root: string, { program, state }: Recipe): Promise<void> {
  const copy = async (from: string, to: string) => {
    await Deno.mkdir(`${root}${to}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(from, `${root}${to}`);
  };
  await copy(binary!, program);
  for (const [, path] of (await shell("ldd", binary!)).matchAll(/(?:=> )?(\/\S+) \(0x/g)) {
    await copy(path, path);
  }
  for (const name of ["client.toml", "server.toml"]) {
    await copy(new URL(`kubernetes/${name}`, PACKAGING).pathname, `/etc/alumet-relay/${name}`);
  }
  await Deno.chmod(root, 0o755);
  for (const directory of [state, "/proc"]) await Deno.mkdir(`${root}${directory}`, { recursive: true });
}

/** $1 root, $2 state directory, $3 user:group; the rest is the command. */
const ENTER = `
set -e
root=$1 state=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount --rbind /proc "$root/proc"
mount -t tmpfs -o "mode=700,uid=\${user%:*},gid=\${user#*:}" tmpfs "$root$state"
mount -o remount,ro,bind "$root"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"
`;

if (binary) {
  Deno.test({
    name: "client and server run with nothing but their libraries, read-only and without privileges",
    ...needs(linux, namespaces),
    async fn() {
      await using dir = new TempDir();
      const recipe = await readRecipe();
      await layRoot(dir.path, recipe);
      const start = (args: string[], env: Record<string, string> = {}) =>
        new Program(args, {
          program: [recipe.program],
          wrapper: [
            ...["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "enter"],
            ...[dir.path, recipe.state, recipe.user],
          ],
          env: { STATE_DIRECTORY: recipe.state, ...env },
        });
      const override = (setting: string) => ["--config-override", setting];
      await using server = start([
        ...["--config", "/etc/alumet-relay/server.toml"],
        ...override("plugins.relay-server.address=127.0.0.1:0"),
        ...override(`plugins.csv.output_path=${recipe.state}/alumet-output.csv`),
      ]);
      await server.line(/"Running"/);
      await using client = start([
        ...["--config", "/etc/alumet-relay/client.toml"],
        ...override(`plugins.relay-client.relay_server=127.0.0.1:${portOf(server)}`),
        ...override("plugins.relay-client.buffer_timeout=100ms"),
      ], { NODE_NAME: "node-1" });
      await client.line(/Connected to the relay server/);
      assert.equal((await server.line(/Client connected/)).client, "node-1");

      for (const { pid } of [server, client]) {
        const status = await Deno.readTextFile(`/proc/${pid}/status`);
        assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m);
        assert.match(status, /^CapEff:\t0+$/m);
        assert.match(status, /^NoNewPrivs:\t1$/m);
      }
      const file = `/proc/${server.pid}/root${recipe.state}/alumet-output.csv`;
      await until(() => Deno.statSync(file).size > 1000);
      const rows = await Deno.readTextFile(file);
      assert.match(rows, /;node-1/);
      assert.match(rows, new RegExp(`;process;${client.pid};`), "the client sees the processes of its node");
      for (const program of [client, server]) {
        assert.equal(await program.stop(), 0, program.log);
        assert.deepEqual(program.matching(/in memory only|"level":"error"/), []);
      }
    },
  });
}
