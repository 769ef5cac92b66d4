/** The example for Kubernetes: its schema, its configurations, and whether its parts fit together. */
import assert from "node:assert/strict";
import { main } from "../../lib/cli.ts";
import { plugins } from "../../lib/plugins.ts";
import { has, needs } from "../kit/needs.ts";
import { runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";

const ROOT = new URL("../../packaging/", import.meta.url);
const MANIFESTS = ["namespace.yaml", "server.yaml", "client.yaml"];
/** An old version of Kubernetes, and that of the validator. */
const VERSIONS: readonly string[][] = [["--kubernetes-version", "1.31"], []];

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

/** The one value that a pattern finds in a text. */
function only(text: string, pattern: RegExp): string {
  const found = new Set([...text.matchAll(new RegExp(pattern, "gm"))].map(([, value]) => value));
  assert.equal(found.size, 1, `${pattern}: ${[...found]}`);
  return [...found][0];
}

async function validate(paths: readonly string[], version: readonly string[]) {
  return await runProgram(["--strict", ...version, ...paths], { program: ["kubernetes-validate"] });
}

Deno.test({
  name: "the manifests are what the schemas of Kubernetes say, without a key that they do not know",
  ...needs(has("kubernetes-validate", "from PyPI")),
  async fn() {
    const paths = MANIFESTS.map((name) => new URL(`kubernetes/${name}`, ROOT).pathname);
    for (const version of VERSIONS) {
      const { code, stdout, stderr } = await validate(paths, version);
      assert.equal(code, 0, stdout + stderr);
      assert.equal((stdout + stderr).match(/ passed for resource /g)?.length, 7);
    }
    // A validator that finds nothing would be no proof.
    await using dir = new TempDir();
    const client = await read("kubernetes/client.yaml");
    for (
      const [from, to] of [["hostPID: true", "hostPid: true"], ["runAsUser: 65532", "runAsUser: nobody"]]
    ) {
      assert.ok(client.includes(from));
      await Deno.writeTextFile(dir.file("client.yaml"), client.replace(from, to));
      assert.notEqual((await validate([dir.file("client.yaml")], [])).code, 0, to);
    }
  },
});

Deno.test("the configurations in the example are right, and the client's needs the name of its node", async () => {
  const check = async (name: string, variables: Record<string, string>) => {
    let said = "";
    const code = await main(["config", "check", "--config", new URL(`kubernetes/${name}`, ROOT).pathname], {
      stdout: () => {},
      stderr: (text) => void (said += text),
      env: (variable) => variables[variable],
    });
    return { code, said };
  };
  for (const name of ["client.toml", "server.toml"]) {
    const { code, said } = await check(name, { NODE_NAME: "node-1" });
    assert.equal(code, 0, said);
  }
  const { code, said } = await check("client.toml", {});
  assert.equal(code, 78);
  assert.match(said, /environment variable NODE_NAME is not set/);
  const config = await read("kubernetes/client.toml");
  const measuring = plugins.filter(({ name, kind }) =>
    kind === "input" && new RegExp(`^\\[plugins\\.${name}\\]$`, "m").test(config)
  ).map(({ name }) => name);
  assert.deepEqual(
    measuring.sort(),
    [
      "amd-gpu",
      "cgroups",
      "grace-hopper",
      "hwmon",
      "intel-gpu",
      "jetson",
      "k8s",
      "power-supply",
      "procfs",
      "rapl",
    ],
  );
  const client = await read("kubernetes/client.yaml");
  // `cgroups` and `k8s` would see the group of their own container alone.
  assert.equal(only(client, /hostPath:\n\s+path: (\S+)/), "/sys/fs/cgroup");
  assert.equal(only(client, /name: cgroup\n\s+mountPath: (\S+)/), "/sys/fs/cgroup");
  assert.match(client, /name: NODE_NAME\n\s+valueFrom:\n\s+fieldRef:\n\s+fieldPath: spec.nodeName\n/);
});

Deno.test("names, ports, users and directories of the parts are the same", async () => {
  const [client, server, kustomization, container, clientConfig, serverConfig] = await Promise.all([
    ...["client.yaml", "server.yaml", "kustomization.yaml"].map((name) => read(`kubernetes/${name}`)),
    read("container/Containerfile"),
    ...["client.toml", "server.toml"].map((name) => read(`kubernetes/${name}`)),
  ]);
  const namespace = only(kustomization, /^namespace: (\S+)/);
  const service = only(server, /^kind: Service\nmetadata:\n {2}name: (\S+)/);
  const port = only(server, /containerPort: (\d+)/);
  assert.equal(only(clientConfig, /^relay_server = "(.*)"/), `${service}.${namespace}.svc:${port}`);
  assert.equal(only(serverConfig, /^address = ".*:(\d+)"/), port);
  assert.equal(only(server, /^ {6}port: (\d+)/), port);
  assert.equal(only(container, /^EXPOSE (\d+)/), port);
  const [user, group] = only(container, /^USER (\S+)/).split(":");
  const state = only(container, /^ENV STATE_DIRECTORY=(\S+)/);
  for (const manifest of [client, server]) {
    assert.equal(only(manifest, /runAsUser: (\d+)/), user);
    assert.equal(only(manifest, /runAsGroup: (\d+)/), group);
    assert.equal(only(manifest, /name: state\n\s+mountPath: (\S+)/), state);
    const config = only(manifest, /args: \[--config, (\S+)\/\w+\.toml\]/);
    assert.equal(only(manifest, /name: config\n\s+mountPath: (\S+)/), config);
    const map = only(manifest, /configMap:\n\s+name: (\S+)/);
    const file = only(manifest, /args: \[--config, \S+\/(\w+\.toml)\]/);
    assert.ok(kustomization.includes(`- name: ${map}\n    files: [${file}]`), map);
  }
  assert.equal(only(container, /^WORKDIR (\S+)/), state);
  for (const name of MANIFESTS) assert.ok(kustomization.includes(`- ${name}\n`), name);
});
