/** Where servers listen and clients connect to: families, interfaces and names, between two networks of their own. */
import assert from "node:assert/strict";
import { iproute2, linux, namespaces, needs } from "../kit/needs.ts";
import { Cable, Namespace } from "../kit/netns.ts";
import { Program, type Ran, runProgram } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { clientKeys, connected, grown, IN_MEMORY, POLL_FAST, readRows, startServer } from "./relay.ts";

const PORT = 50_051;
/** A test may be killed, but its networks are of its own: the same port is free in each. */
const requirements = needs(linux, namespaces, iproute2);

/** Clients in a namespace that have sent what they measured, and their names. */
async function sendFrom(namespace: Namespace, addresses: readonly string[]): Promise<string[]> {
  await using stack = new AsyncDisposableStack();
  const clients = addresses.map((address) =>
    stack.use(
      new Program(["--relay-out", address, ...clientKeys({ client_name: `to ${address}` }), ...POLL_FAST], {
        wrapper: namespace.wrapper(),
      }),
    )
  );
  await Promise.all(clients.map((client) => connected(client)));
  for (const client of clients) assert.equal(await client.stop(), 0, client.log);
  return addresses.map((address) => `to ${address}`);
}

/**
 * A server on `address` in one namespace stores what clients in another one send to `targets`.
 *
 * @returns the server, which has ended.
 */
async function store(
  { server, client }: { server: Namespace; client: Namespace },
  address: string,
  targets: readonly string[],
): Promise<Program> {
  await using dir = new TempDir();
  const file = dir.file("measures.csv");
  await using program = await startServer(file, { address, wrapper: server.wrapper() });
  const names = await sendFrom(client, targets);
  assert.equal(await program.stop(), 0, program.log);
  const rows = await readRows(file);
  assert.deepEqual(new Set(rows.map(({ relay_client }) => relay_client)), new Set(names));
  return program;
}

/** Makes what is sent to an address go to nobody. */
async function swallow(namespace: Namespace, address: string): Promise<void> {
  const nobody = "02:00:00:00:00:09";
  await namespace.run("ip", "neighbour", "add", address, "lladdr", nobody, "dev", Cable.interface);
}

/** What a server says that cannot listen on `address`. */
async function refusal(namespace: Namespace, address: string): Promise<Ran> {
  await using dir = new TempDir();
  return await runProgram(["--relay-in", address], { wrapper: namespace.wrapper(dir.path) });
}

/** What a client says that cannot connect to `address`. */
async function failure(namespace: Namespace, address: string): Promise<Ran> {
  const args = ["--relay-out", address, ...clientKeys({ "retry.max_times": 0 }), ...POLL_FAST, ...IN_MEMORY];
  return await runProgram(args, { wrapper: namespace.wrapper() });
}

Deno.test({
  name: "[::] accepts clients over IPv4, IPv6 and a link-local address with the interface's name or number",
  ...requirements,
  async fn() {
    await using cable = await Cable.create();
    const number = await cable.two.interfaceIndex(Cable.interface);
    assert.notEqual(number, await cable.one.interfaceIndex(Cable.interface));
    await store({ server: cable.one, client: cable.two }, `[::]:${PORT}`, [
      `10.77.0.1:${PORT}`,
      `[fd77::1]:${PORT}`,
      `[fe80::1%${Cable.interface}]:${PORT}`,
      `[fe80::1%${number}]:${PORT}`,
    ]);
  },
});

Deno.test({
  name: "a server listens on the link-local address of an interface, given by name or by number",
  ...requirements,
  async fn() {
    await using cable = await Cable.create();
    const [here, there] = await Promise.all(
      [cable.one, cable.two].map((end) => end.interfaceIndex(Cable.interface)),
    );
    for (const scope of [Cable.interface, here]) {
      await store({ server: cable.one, client: cable.two }, `[fe80::1%${scope}]:${PORT}`, [
        `[fe80::1%${Cable.interface}]:${PORT}`,
        `[fe80::1%${there}]:${PORT}`,
      ]);
    }
  },
});

Deno.test({
  name: "a server on IPv4 alone, or on one address, does not answer on others",
  ...requirements,
  async fn() {
    await using cable = await Cable.create();
    await using dir = new TempDir();
    const ends = { server: cable.one, client: cable.two };
    await store(ends, `0.0.0.0:${PORT}`, [`10.77.0.1:${PORT}`]);
    await store({ ...ends, client: cable.one }, `[::1]:${PORT}`, [`[::1]:${PORT}`]);
    for (
      const [address, other] of [["0.0.0.0", "[fd77::1]"], ["[fd77::1]", "10.77.0.1"], ["[::1]", "[fd77::1]"]]
    ) {
      await using _server = await startServer(dir.file("none.csv"), {
        address: `${address}:${PORT}`,
        wrapper: cable.one.wrapper(),
      });
      const { code, stderr } = await failure(cable.two, `${other}:${PORT}`);
      assert.equal(code, 69);
      assert.ok(stderr.includes(`${other}:${PORT}`) && /refused/.test(stderr), stderr);
    }
  },
});

Deno.test({
  name:
    "a client tries all addresses of a name until one answers, and gives up an address that swallows packets",
  ...requirements,
  async fn() {
    await using cable = await Cable.create();
    await cable.two.hosts(
      ...["127.0.0.3", "10.77.0.9", "10.77.0.129"].map((address) => `${address} relay.test`),
    );
    // The system chooses the order: nobody listens on the first one, nobody is behind the next one, who would say so.
    const list = await cable.two.run("getent", "ahosts", "relay.test");
    const [first, second, last] = [...list.matchAll(/^(\S+)\s+STREAM/gm)].map(([, address]) => address);
    assert.equal(first, "127.0.0.3", list);
    await swallow(cable.two, second);
    await cable.one.run("ip", "address", "add", `${last}/24`, "dev", Cable.interface);
    await store({ server: cable.one, client: cable.two }, `${last}:${PORT}`, [`relay.test:${PORT}`]);
  },
});

Deno.test({
  name: "an invalid address in a flag is an error that names its key, exit code 64",
  async fn() {
    for (
      const [flag, address, key] of [
        ["--relay-in", "fe80::1:50051", "plugins.relay-server.address"],
        ["--relay-in", "[fe80::1]:50051", "plugins.relay-server.address"],
        ["--relay-in", "256.0.0.1:50051", "plugins.relay-server.address"],
        ["--relay-out", "server", "plugins.relay-client.relay_server"],
        ["--relay-out", "server:0", "plugins.relay-client.relay_server"],
      ]
    ) {
      const { code, stderr } = await runProgram([flag, address]);
      assert.equal(code, 64, stderr);
      assert.ok(stderr.includes(key) && stderr.includes(flag), stderr);
    }
  },
});

Deno.test({
  name:
    "a port in use, or an interface or address that this machine lacks: exit code 69 with address, key and reason",
  ...requirements,
  async fn() {
    await using namespace = await Namespace.create();
    await using dir = new TempDir();
    await using _server = await startServer(dir.file("measures.csv"), {
      address: `[::1]:${PORT}`,
      wrapper: namespace.wrapper(),
    });
    for (
      const [address, reason] of [
        [`[::1]:${PORT}`, "another program uses that port"],
        [`[::]:${PORT}`, "another program uses that port"],
        [`[fe80::1%nosuch0]:${PORT}`, "interface nosuch0 does not exist; there are lo (1)"],
        [`[fe80::1%77]:${PORT}`, "interface 77 does not exist; there are lo (1)"],
        [`192.0.2.1:${PORT}`, "no interface of this machine has that address"],
        [`[2001:db8::1]:${PORT}`, "no interface of this machine has that address"],
      ]
    ) {
      const { code, stderr } = await refusal(namespace, address);
      assert.equal(code, 69, stderr);
      assert.ok(stderr.includes(`${address} (plugins.relay-server.address): ${reason}`), stderr);
    }
    for (
      const [address, reason] of [
        [`[fe80::1%nosuch0]:${PORT}`, "interface nosuch0 does not exist; there are lo (1)"],
        [`192.0.2.1:${PORT}`, "Network is unreachable"],
        [`no-such-host.invalid:${PORT}`, "cannot resolve no-such-host.invalid"],
      ]
    ) {
      const { code, stderr } = await failure(namespace, address);
      assert.equal(code, 69, stderr);
      assert.ok(
        stderr.includes(`${address} (plugins.relay-client.relay_server)`) && stderr.includes(reason),
        stderr,
      );
    }
  },
});

Deno.test({
  name: "Ctrl-C ends a client whose server swallows packets within shutdown_timeout",
  ...requirements,
  async fn() {
    await using cable = await Cable.create();
    await swallow(cable.two, "10.77.0.9");
    await using client = new Program(
      [
        "--relay-out",
        `10.77.0.9:${PORT}`,
        "--config-override",
        "shutdown_timeout=300ms",
        ...POLL_FAST,
        ...IN_MEMORY,
      ],
      { wrapper: cable.two.wrapper() },
    );
    await client.line(/"Running"/);
    assert.equal(await client.stop("SIGINT"), 69, client.log);
    assert.deepEqual(client.matching(/Cannot connect/), [], "it does not wait for the end of the try");
  },
});

Deno.test({
  name: "where IPv6 is off, [::] accepts IPv4",
  ...requirements,
  async fn() {
    await using cable = await Cable.create();
    for (const end of ["all", "default", "lo", Cable.interface]) {
      await cable.one.run("sh", "-c", `echo 1 > /proc/sys/net/ipv6/conf/${end}/disable_ipv6`);
    }
    await store({ server: cable.one, client: cable.two }, `[::]:${PORT}`, [`10.77.0.1:${PORT}`]);
  },
});

Deno.test({
  name: "a client follows a name that gets another address",
  ...requirements,
  async fn() {
    await using cable = await Cable.create();
    await using dir = new TempDir();
    await cable.two.hosts("10.77.0.1 relay.test");
    const files = [dir.file("first.csv"), dir.file("second.csv")];
    await using first = await startServer(files[0], {
      address: `10.77.0.1:${PORT}`,
      wrapper: cable.one.wrapper(),
    });
    await using client = new Program([
      ...["--relay-out", `relay.test:${PORT}`, ...POLL_FAST],
      ...clientKeys({ "retry.initial_delay": "50ms", "retry.max_delay": "100ms", "retry.max_times": 1000 }),
    ], { wrapper: cable.two.wrapper() });
    await grown(files[0]);
    await cable.one.run("ip", "address", "add", "10.77.0.7/24", "dev", Cable.interface);
    await using second = await startServer(files[1], {
      address: `10.77.0.7:${PORT}`,
      wrapper: cable.one.wrapper(),
    });
    await cable.two.hosts("10.77.0.7 relay.test");
    assert.equal(await first.stop(), 0, first.log);
    await grown(files[1]);
    assert.equal(await client.stop(), 0, client.log);
    assert.equal(await second.stop(), 0, second.log);
    assert.equal(client.summary("relay-client").connections, 2);
  },
});
