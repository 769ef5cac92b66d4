import assert from "node:assert/strict";
import { parseAddress } from "../../lib/net/address.ts";
import { ExitError } from "../../lib/base/errors.ts";
import { listen } from "../../lib/net/listen.ts";
import { createLogger } from "../../lib/base/log.ts";
import { LogLines } from "../kit/log_lines.ts";

Deno.test("an address that cannot be listened on is an error with the address and its key", () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const log = createLogger("test", { write: () => {} });
  for (
    const [address, reason] of [
      [`127.0.0.1:${port}`, "another program uses that port"],
      ["192.0.2.1:50051", "no interface of this machine has that address"],
      ["[fe80::1%99999]:50051", "99999"],
      ["[fe80::1%nosuch0]:50051", "nosuch0"],
    ]
  ) {
    assert.throws(
      () => listen(parseAddress(address), { key: "plugins.relay-server.address", open: Deno.listen, log }),
      (error) => {
        return error instanceof ExitError && error.exitCode === 69 && error.message.includes(address) &&
          error.message.includes("plugins.relay-server.address") && error.message.includes(reason);
      },
      address,
    );
  }
  taken.close();
});

Deno.test("a port alone listens on all interfaces, IPv4 and IPv6", async () => {
  const log = createLogger("test", { write: () => {} });
  using listener = listen(parseAddress(":0", { listen: true }), { key: "key", open: Deno.listen, log });
  const { hostname, port } = listener.addr as Deno.NetAddr;
  // A kernel without IPv6 listens on 0.0.0.0.
  for (const target of hostname === "::" ? ["127.0.0.1", "::1"] : ["127.0.0.1"]) {
    using _client = await Deno.connect({ hostname: target, port });
    using _server = await listener.accept();
  }
});

Deno.test("on a kernel without IPv6, [::] means IPv4 only, and the log says so", () => {
  const logs = new LogLines();
  const tried: string[] = [];
  const listener = listen({ hostname: "::", port: 0, family: "IPv6" }, {
    key: "plugins.relay-server.address",
    log: logs.log,
    open: ({ hostname = "", port }) => {
      tried.push(hostname);
      if (hostname === "::") throw new Error("Address family not supported by protocol (os error 97)");
      return Deno.listen({ hostname: "127.0.0.1", port });
    },
  });
  listener.close();
  assert.deepEqual(tried, ["::", "0.0.0.0"]);
  assert.equal(logs.matching(/WARN.*IPv6 is not available/).length, 1);
});
