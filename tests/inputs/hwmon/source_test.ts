import assert from "node:assert/strict";
import { sensorsOf } from "../../../lib/inputs/hwmon/sensors.ts";
import { HwmonSource } from "../../../lib/inputs/hwmon/source.ts";
import { FakeClock } from "../../kit/fake_clock.ts";
import { closing, measuringOf, pollOnce, rows } from "../../kit/measuring.ts";
import { Tree } from "../../kit/tree.ts";

Deno.test("a chip that takes the number of another one is another device, a minute later", () => {
  using tree = new Tree(null);
  tree.write("sys/class/hwmon/hwmon0/name", "amdgpu\n");
  tree.write("sys/class/hwmon/hwmon0/power1_average", "1000000\n");
  const measuring = { ...measuringOf(tree), clock: new FakeClock() };
  using hwmon = closing(new HwmonSource(measuring));
  assert.equal(pollOnce(hwmon).length, 1);
  tree.remove("sys/class/hwmon/hwmon0");
  tree.write("sys/class/hwmon/hwmon0/name", "nct6775\n");
  tree.write("sys/class/hwmon/hwmon0/power1_average", "2000000\n");
  measuring.clock.spend(60_000);
  assert.deepEqual(rows(pollOnce(hwmon)), [
    "hwmon_power{chip=nct6775 device= sensor=power1} local_machine local_machine 2",
  ]);
});

Deno.test("a folder where a machine has the link to the device costs no points", () => {
  using tree = new Tree(null);
  tree.write("sys/class/hwmon/hwmon0/name", "amdgpu\n");
  tree.write("sys/class/hwmon/hwmon0/power1_average", "1000000\n");
  tree.write("sys/class/hwmon/hwmon0/device/vendor", "0x1002\n");
  using hwmon = closing(new HwmonSource(measuringOf(tree)));
  assert.deepEqual(rows(pollOnce(hwmon)), [
    "hwmon_power{chip=amdgpu device= sensor=power1} local_machine local_machine 1",
  ]);
});

Deno.test("a sensor that may not be read is reported once, and measured within a minute after it may", () => {
  using tree = new Tree(null);
  tree.write("sys/class/hwmon/hwmon0/name", "amd_energy\n");
  tree.write("sys/class/hwmon/hwmon0/energy1_input", "1\n");
  let denied = true;
  const open = (path: string) => {
    if (denied && path.endsWith("energy1_input")) throw new Deno.errors.PermissionDenied("EACCES");
    return Deno.openSync(path);
  };
  const lines: string[] = [];
  const measuring = { ...measuringOf({ ...tree, sys: tree.sys, open }, lines), clock: new FakeClock() };
  using hwmon = closing(new HwmonSource(measuring));
  for (let minute = 0; minute < 3; minute++) {
    assert.equal(pollOnce(hwmon).length, 0);
    measuring.clock.spend(60_000);
  }
  assert.equal(lines.length, 1, lines.join(""));
  assert.match(
    lines[0],
    /WARN .*Cannot read energy of amd_energy: permission denied .*allow="sudo chmod o\+r/,
  );
  denied = false;
  pollOnce(hwmon);
  tree.write("sys/class/hwmon/hwmon0/energy1_input", "2000001\n");
  assert.deepEqual(rows(pollOnce(hwmon)).map((row) => row.split(" ").at(-1)), ["2"]);
});

Deno.test("an error of a driver costs no other sensor its points", () => {
  using tree = new Tree(null);
  tree.write("sys/class/hwmon/hwmon0/name", "amdgpu\n");
  tree.write("sys/class/hwmon/hwmon0/power1_average", "1\n");
  tree.write("sys/class/hwmon/hwmon1/power1_average", "1000000\n");
  const open = (path: string) => {
    if (path.includes("hwmon0/power1")) {
      throw Object.assign(new Error("No data available"), { code: "ENODATA" });
    }
    return Deno.openSync(path);
  };
  using hwmon = closing(new HwmonSource(measuringOf({ ...tree, sys: tree.sys, open })));
  assert.equal(pollOnce(hwmon).length, 1);
});

Deno.test("a GPU that sleeps is said once, not read, and measured within a minute after it has woken up", () => {
  using tree = new Tree(null);
  const device = "sys/devices/pci0000:00/0000:03:00.0";
  tree.write(`${device}/power/runtime_status`, "suspended\n");
  tree.write("sys/class/hwmon/hwmon0/name", "amdgpu\n");
  tree.write("sys/class/hwmon/hwmon0/power1_average", "1000000\n");
  tree.link("sys/class/hwmon/hwmon0/device", `${tree.root}/${device}`);
  const read: string[] = [];
  const open = (path: string) => {
    read.push(path);
    return Deno.openSync(path);
  };
  const lines: string[] = [];
  const measuring = { ...measuringOf({ ...tree, sys: tree.sys, open }, lines), clock: new FakeClock() };
  using hwmon = closing(new HwmonSource(measuring));
  for (let minute = 0; minute < 3; minute++) {
    assert.equal(pollOnce(hwmon).length, 0);
    measuring.clock.spend(60_000);
  }
  assert.deepEqual(read.filter((path) => path.includes("power1")), []);
  assert.equal(lines.length, 1, lines.join(""));
  assert.match(lines[0], /INFO .*Found the chip amdgpu 0000:03:00\.0, which sleeps/);
  assert.deepEqual(measuring.findings.list.map(({ problem }) => problem), [
    "it sleeps, and is measured when it is awake",
  ]);
  tree.write(`${device}/power/runtime_status`, "active\n");
  assert.deepEqual(rows(pollOnce(hwmon)).map((row) => row.split(" ").at(-1)), ["1"]);
  assert.deepEqual(measuring.findings.list.map(({ problem }) => problem), [undefined]);
});

Deno.test("sensors come by their numbers, each with its label; voltage times current counts where no power does", () => {
  const named = (...files: string[]) =>
    sensorsOf({ path: "", name: "", device: "", deviceFolder: "", files: new Set(files) }).map((
      { name, labelFile, inputs },
    ) => [name, labelFile, ...inputs].filter((text) => text !== undefined).join(" "));
  assert.deepEqual(
    named(
      "power10_average",
      "power9_input",
      "power9_average",
      "power9_label",
      "energy2_input",
      "energy1_input",
    ),
    [
      "power9 power9_label power9_input",
      "power10 power10_average",
      "energy1 energy1_input",
      "energy2 energy2_input",
    ],
  );
  const pairs = [
    "curr2_input",
    "in2_input",
    "curr1_input",
    "in1_input",
    "in1_label",
    "curr2_label",
    "curr3_input",
  ];
  assert.deepEqual(named(...pairs), [
    "in1*curr1 in1_label in1_input curr1_input",
    "in2*curr2 curr2_label in2_input curr2_input",
  ]);
  assert.deepEqual(named("power1_input", ...pairs), ["power1 power1_input"]);
});
