import assert from "node:assert/strict";
import {
  AddressError,
  addressProblem,
  formatAddress,
  interfaceProblem,
  isLoopback,
  isOpenUrl,
  listInterfaces,
  parseAddress,
} from "../../lib/net/address.ts";
import { TempDir } from "../kit/temp_dir.ts";

Deno.test("parseAddress reads names, IPv4, IPv6 and scoped IPv6", () => {
  const cases: [string, ReturnType<typeof parseAddress>][] = [
    ["localhost:50051", { hostname: "localhost", port: 50051 }],
    ["relay-1.example.org.:1", { hostname: "relay-1.example.org.", port: 1 }],
    ["my_service:65535", { hostname: "my_service", port: 65535 }],
    ["1.2.3.4:50051", { hostname: "1.2.3.4", port: 50051, family: "IPv4" }],
    ["255.255.255.255:1", { hostname: "255.255.255.255", port: 1, family: "IPv4" }],
    ["[::]:50051", { hostname: "::", port: 50051, family: "IPv6" }],
    ["[::1]:50051", { hostname: "::1", port: 50051, family: "IPv6" }],
    ["[::ffff:10.0.0.1]:80", { hostname: "::ffff:10.0.0.1", port: 80, family: "IPv6" }],
    ["[2001:DB8:0:0:0:0:0:1]:80", { hostname: "2001:DB8:0:0:0:0:0:1", port: 80, family: "IPv6" }],
    ["[fe80::a225:9fff:fe08:f874%8]:50051", {
      hostname: "fe80::a225:9fff:fe08:f874%8",
      port: 50051,
      scope: "8",
      family: "IPv6",
    }],
    ["[1:2:3:4:5:6:7::]:1", { hostname: "1:2:3:4:5:6:7::", port: 1, family: "IPv6" }],
    ["[fe80::1%4294967295]:1", {
      hostname: "fe80::1%4294967295",
      port: 1,
      scope: "4294967295",
      family: "IPv6",
    }],
    ["[fe80::1%eth0]:50051", { hostname: "fe80::1%eth0", port: 50051, scope: "eth0", family: "IPv6" }],
    ["[fe80::1%br-4.10@if7]:1", {
      hostname: "fe80::1%br-4.10@if7",
      port: 1,
      scope: "br-4.10@if7",
      family: "IPv6",
    }],
    ["[::1%1]:50051", { hostname: "::1%1", port: 50051, scope: "1", family: "IPv6" }],
  ];
  for (const [text, address] of cases) {
    assert.deepEqual(parseAddress(text), address);
    assert.equal(formatAddress(address), text);
  }
});

Deno.test("parseAddress allows port 0 for listening only", () => {
  assert.equal(parseAddress("[::]:0", { listen: true }).port, 0);
  assert.throws(() => parseAddress("[::]:0"), AddressError);
});

Deno.test("a port without a host means all interfaces for listening, and is an error for connecting", () => {
  for (const text of [":50051", "50051", "*:50051"]) {
    const address = parseAddress(text, { listen: true });
    assert.deepEqual(address, { hostname: "::", port: 50051, family: "IPv6" });
    assert.equal(formatAddress(address), "[::]:50051");
    assert.equal(
      addressProblem(text),
      "it names no host; write HOST:50051, for example 127.0.0.1:50051",
    );
  }
  assert.equal(parseAddress("0", { listen: true }).port, 0);
  assert.match(addressProblem("65536", { listen: true }) ?? "", /port 65536 is not a number from 0 to 65535/);
  assert.match(addressProblem("", { listen: true }) ?? "", /write a port, or HOST:PORT/);
});

Deno.test("addressProblem names the problem of an address", () => {
  const problems: Record<string, RegExp> = {
    "": /empty/,
    "host": /^it has no port; write host:PORT$/,
    "1.2.3.4": /write 1\.2\.3\.4:PORT/,
    "[::1]": /write \[::1\]:PORT/,
    "host:": /the port is missing after the :/,
    "host:0": /port 0 is not a number from 1 to 65535/,
    "host:65536": /port 65536 is not/,
    "host:-1": /port -1 is not/,
    "host:50o51": /port 50o51 is not/,
    "host:1e3": /port 1e3 is not/,
    ":x": /port x is not/,
    "::1": /needs brackets: \[::1\]:PORT/,
    "::1:50051": /needs brackets: \[::1\]:50051/,
    "::1:5005": /needs brackets: \[::1:5005\]:PORT/,
    "fe80::1%eth0:50051": /needs brackets: \[fe80::1%eth0\]:50051/,
    "2001:db8:1:2:3:4:5:6:50051": /needs brackets: \[2001:db8:1:2:3:4:5:6\]:50051/,
    "a:b:1": /more than one :/,
    "[::1:50051": /bracket \[ is not closed/,
    "[::1]50051": /only :PORT may follow/,
    "[::g]:1": /::g is not an IPv6 address/,
    "[1:2:3]:1": /not an IPv6 address/,
    "[1::2::3]:1": /not an IPv6 address/,
    "[1:2:3:4:5:6:7:8:9]:1": /not an IPv6 address/,
    "[1:2:3:4:5:6:7::8]:1": /not an IPv6 address/,
    "[1:2:3::4:5::6:7:8]:1": /not an IPv6 address/,
    "fe80::1%eth0": /needs brackets: \[fe80::1%eth0\]:PORT/,
    "[::1.2.3.400]:1": /not an IPv6 address/,
    "[]:1": /not an IPv6 address/,
    "[host]:1": /brackets are for IPv6 only/,
    "[fe80::1]:1": /link-local .* add %INTERFACE/,
    "[febf::1]:1": /link-local/,
    "[fe80::1%]:1": /the interface is missing after %/,
    "[fe80::1%25eth0]:1": /%25eth0 is the interface eth0 as in a URL; write %eth0/,
    "[fe80::1%a%b]:1": /more than one %/,
    "[fe80::1%0]:1": /0 cannot be the number of an interface/,
    "[fe80::1%4294967296]:1": /cannot be the number/,
    "[fe80::1%averyveryverylongname]:1": /cannot be the name/,
    "[fe80::1%a/b]:1": /cannot be the name/,
    "[2001:db8::1%eth0]:1": /link-local addresses \(fe80::\) only/,
    "host :1": /space/,
    " host:1": /space/,
    "host:1\n": /space/,
    "256.1.1.1:1": /not an IPv4 address/,
    "1.2.3:1": /not an IPv4 address/,
    "01.2.3.4:1": /not an IPv4 address/,
    "12345:1": /not an IPv4 address/,
    "-host:1": /starts or ends with -/,
    "-host.:1": /starts or ends with -/,
    "host-.:1": /starts or ends with -/,
    "a..b:1": /two dots/,
    "ho/st:1": /contains "\/"/,
    "hôte:1": /contains "ô"/,
    "tcp://host:1": /without tcp:\/\//,
    [`${"a".repeat(64)}:1`]: /longer than 63/,
    [`${"a.".repeat(130)}b:1`]: /longer than 253/,
  };
  for (const [text, pattern] of Object.entries(problems)) {
    assert.match(addressProblem(text) ?? "no problem", pattern, text);
  }
});

Deno.test("a random text is an address or an AddressError, and formatted addresses can be read again", () => {
  const alphabet = "[]:%.-_ae0189fgz/ ";
  for (let i = 0; i < 20_000; i++) {
    let text = "";
    for (let n = Math.random() * 14; n > 0; n--) {
      text += alphabet[Math.floor(Math.random() * alphabet.length)];
    }
    if (addressProblem(text) !== undefined) continue;
    const address = parseAddress(text);
    assert.deepEqual(parseAddress(formatAddress(address)), address);
  }
});

Deno.test("interfaceProblem names the interface and those that exist", () => {
  const interfaces = [{ name: "lo", index: 1 }, { name: "eth0", index: 8 }];
  const problem = (scope?: string) => interfaceProblem({ scope }, interfaces);
  assert.equal(problem(), undefined);
  assert.equal(problem("eth0"), undefined);
  assert.equal(problem("8"), undefined);
  assert.equal(problem("eth1"), "interface eth1 does not exist; there are lo (1), eth0 (8)");
  assert.equal(problem("2"), "interface 2 does not exist; there are lo (1), eth0 (8)");
  assert.equal(interfaceProblem({ scope: "eth1" }, []), undefined);
});

Deno.test({
  name: "listInterfaces knows the loopback interface",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    assert.ok(listInterfaces().some(({ name, index }) => name === "lo" && index >= 1));
    assert.match(
      interfaceProblem({ scope: "no-such-one" }) ?? "",
      /^interface no-such-one .* there are .*lo \(/,
    );
    assert.equal(interfaceProblem({ scope: "lo" }), undefined);
  },
});

Deno.test("listInterfaces lists interfaces by their number, without what is none", async () => {
  await using root = new TempDir();
  const interfaces = [["d", 3], ["a", 4], ["c", 1], ["b", 2], ["e", 10]] as const;
  for (const [name, index] of interfaces) {
    Deno.mkdirSync(`${root.path}/${name}`);
    Deno.writeTextFileSync(`${root.path}/${name}/ifindex`, `${index}\n`);
  }
  Deno.writeTextFileSync(`${root.path}/bonding_masters`, "");
  assert.equal(listInterfaces(root.path).map(({ name }) => name).join(""), "cbdae");
  assert.deepEqual(listInterfaces(`${root.path}/missing`), []);
});

Deno.test("this machine is 127.0.0.0/8, ::1 and localhost; HTTP to anywhere else is open", () => {
  for (const host of ["127.0.0.1", "127.9.8.7", "localhost", "LocalHost"]) {
    assert.deepEqual([isLoopback(host), isOpenUrl(`http://${host}:8086/`)], [true, false], host);
  }
  for (const host of ["::1", "::ffff:127.0.0.1"]) assert.ok(isLoopback(host), host);
  assert.ok(!isOpenUrl("http://[::1]/"));
  for (const host of ["128.0.0.1", "27.0.0.1", "localhost.example.org", "127.example.org", "example.org"]) {
    assert.deepEqual([isLoopback(host), isOpenUrl(`http://${host}/`)], [false, true], host);
    assert.ok(!isOpenUrl(`https://${host}/`), host);
  }
  for (const host of ["::2", "::ffff:128.0.0.1", "fe80::1"]) assert.ok(!isLoopback(host), host);
  assert.ok(isOpenUrl("http://[::2]/"));
});

Deno.test("names, labels and interfaces are taken up to their longest, and refused above it", () => {
  const label = (length: number) => "a".repeat(length);
  assert.equal(addressProblem(`${label(63)}:1`), undefined);
  assert.match(addressProblem(`${label(64)}:1`) ?? "", /a part of it is longer than 63 characters/);
  const name = (last: number) => `${label(63)}.${label(63)}.${label(63)}.${label(last)}`;
  assert.equal(name(61).length, 253);
  assert.equal(addressProblem(`${name(61)}:1`), undefined);
  assert.match(addressProblem(`${name(62)}:1`) ?? "", /it is longer than 253 characters/);
  assert.equal(addressProblem(`[fe80::1%${label(15)}]:1`), undefined);
  assert.notEqual(addressProblem(`[fe80::1%${label(16)}]:1`), undefined);
  assert.equal(addressProblem("[1:2:3:4:5:6:1.2.3.4]:1"), undefined);
  assert.notEqual(addressProblem("[1:2:3:4:5:6:7:1.2.3.4]:1"), undefined);
  assert.notEqual(addressProblem("[1:2:3:4:5:1.2.3.4]:1"), undefined);
  assert.match(addressProblem("[]:1") ?? "", /./);
  assert.match(addressProblem("[:1") ?? "", /bracket \[ is not closed/);
});
