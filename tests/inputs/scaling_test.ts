/** What sensors say, in the units of their files, becomes watts, joules, watt-hours and shares. */
import assert from "node:assert/strict";
import { Occupancies } from "../../lib/inputs/drm/occupancy.ts";
import { ProcessPoints } from "../../lib/inputs/drm/process_points.ts";
import { PROCESS_METRICS } from "../../lib/inputs/drm/quantities.ts";
import { DrmSource } from "../../lib/inputs/drm/source.ts";
import { config as graceConfig } from "../../lib/inputs/grace_hopper/config.ts";
import { GraceSource } from "../../lib/inputs/grace_hopper/source.ts";
import { HwmonSource } from "../../lib/inputs/hwmon/source.ts";
import { JetsonSource } from "../../lib/inputs/jetson/source.ts";
import { Emitter } from "../../lib/inputs/nvml/emit.ts";
import { registerMetrics } from "../../lib/inputs/nvml/metrics.ts";
import type { Sample } from "../../lib/inputs/nvml/sample.ts";
import { ProcFiles } from "../../lib/inputs/polling/files.ts";
import type { Points } from "../../lib/inputs/polling/points.ts";
import type { Measuring } from "../../lib/inputs/polling/source.ts";
import { PowerSupplySource } from "../../lib/inputs/power_supply/source.ts";
import { MetricRegistry } from "../../lib/points/registry.ts";
import { FakeClock } from "../kit/fake_clock.ts";
import { closing, collect, measuringOf, rows } from "../kit/measuring.ts";
import { Tree } from "../kit/tree.ts";

/** A source on a machine with these files, and what it measures a second later each time. */
function measured(
  files: Record<string, string | number>,
  make: (
    measuring: Measuring,
  ) => { poll(points: Points, last: boolean): void; readonly isIdle?: boolean; close?(): void },
) {
  const tree = new Tree(null);
  const write = (files: Record<string, string | number>) => {
    for (const [path, content] of Object.entries(files)) tree.write(`sys/${path}`, `${content}\n`);
  };
  write(files);
  const clock = new FakeClock();
  const lines: string[] = [];
  clock.spend(1e6);
  const denied = new Set<string>();
  const open = (path: string) => {
    if (denied.has(path.slice(tree.sys.length + 1))) throw new Deno.errors.PermissionDenied("EACCES");
    return Deno.openSync(path);
  };
  const roots = { proc: tree.proc, sys: tree.sys, dev: tree.dev, open };
  const source = closing(make(measuringOf(roots, lines, clock)));
  return {
    /** Files that may not be read, below sys/. */
    denied,
    get isIdle() {
      return source.isIdle;
    },
    /** What was found, by the log. */
    get found() {
      return lines.flatMap((line) => /Found (.*?) file=/.exec(line)?.[1] ?? []);
    },
    tree,
    write,
    lines,
    clock,
    poll(ms = 1000): string[] {
      const points = rows(collect((points) => source.poll(points, false), lines)).map((row) =>
        row.replaceAll(" local_machine", "")
      );
      assert.deepEqual(lines.filter((line) => line.includes("Cannot use a value")), []);
      clock.spend(ms);
      return points;
    },
    [Symbol.dispose]() {
      source[Symbol.dispose]();
      tree[Symbol.dispose]();
    },
  };
}

Deno.test("hwmon gives power in microwatts, or as current in mA times voltage in mV, and energy in microjoules", () => {
  const chip = "class/hwmon/hwmon0";
  using m = measured({
    [`${chip}/name`]: "ina3221",
    [`${chip}/power1_input`]: 1_500_000,
    [`${chip}/power1_average`]: 7,
    [`${chip}/power2_average`]: 250_000,
    [`${chip}/power2_label`]: "cpu",
    [`${chip}/energy1_input`]: 1_000_000,
    "class/hwmon/hwmon1/name": "max",
    "class/hwmon/hwmon1/in1_input": 12_000,
    "class/hwmon/hwmon1/curr1_input": 500,
    "class/hwmon/hwmon1/curr1_label": "fan",
    "class/hwmon/hwmon1/curr2_input": 500,
  }, (measuring) => new HwmonSource(measuring));
  const power = [
    "hwmon_power{chip=ina3221 device= sensor=power1} 1.5",
    "hwmon_power{chip=ina3221 device= sensor=power2 label=cpu} 0.25",
  ];
  const computed = "hwmon_power{chip=max device= sensor=in1*curr1 label=fan} 6";
  assert.deepEqual(m.poll(), [...power, computed]);
  m.write({ [`${chip}/energy1_input`]: 3_500_000, "class/hwmon/hwmon1/curr1_input": -500 });
  const energy = "hwmon_energy{chip=ina3221 device= sensor=energy1}";
  assert.deepEqual(m.poll(), [...power, `${energy} 2.5`, computed.replace("6", "-6")]);
  m.write({ [`${chip}/energy1_input`]: 1e15 });
  assert.deepEqual(m.poll(), [...power, computed.replace("6", "-6")]);
  assert.match(m.lines.join(""), /WARN .*A counter of energy jumped by more than any machine uses/);
});

Deno.test("the energy of a sensor may be that of a rack of a megawatt", () => {
  const chip = "class/hwmon/hwmon0";
  using m = measured({ [`${chip}/energy1_input`]: 0 }, (measuring) => new HwmonSource(measuring));
  m.poll();
  m.write({ [`${chip}/energy1_input`]: 2e13 });
  assert.match(m.poll().join(), / 20000000$/, "2 s of ten times a megawatt");
  m.write({ [`${chip}/energy1_input`]: 4e13 + 1e6 });
  assert.deepEqual(m.poll(), []);
});

Deno.test("a power supply has its power as it is, or as current times voltage, in microunits", () => {
  const folder = (name: string) => `class/power_supply/${name}`;
  const battery = (name: string, files: Record<string, string | number>) =>
    Object.fromEntries(
      Object.entries({ type: "Battery", status: "Discharging", ...files }).map((
        [file, text],
      ) => [`${folder(name)}/${file}`, text]),
    );
  using m = measured({
    ...battery("BAT0", {
      power_now: -5_000_000,
      voltage_now: 12_000_000,
      energy_now: 30_000_000,
      cycle_count: 7,
    }),
    ...battery("BAT1", {
      current_now: 500_000,
      voltage_now: 12_000_000,
      charge_now: 2_000_000,
      cycle_count: 0,
    }),
    ...battery("BAT2", { current_now: 500_000, status: "What" }),
    ...battery("mouse", { voltage_now: 3_000_000, capacity: 50 }),
    [`${folder("AC")}/type`]: "Mains",
    [`${folder("AC")}/online`]: 0,
  }, (measuring) => new PowerSupplySource(measuring));
  const point = (metric: string, name: string, type: string, value: number, status = "") =>
    `power_supply_${metric}{supply=${name} type=${type}${status && ` status=${status}`}} ${value}`;
  assert.deepEqual(m.poll(), [
    point("online", "AC", "Mains", 0),
    point("power", "BAT0", "Battery", 5, "Discharging"),
    point("energy", "BAT0", "Battery", 30),
    point("cycles", "BAT0", "Battery", 7),
    point("power", "BAT1", "Battery", 6, "Discharging"),
    point("energy", "BAT1", "Battery", 24),
  ]);
  m.write({
    [`${folder("BAT0")}/status`]: "Charging",
    [`${folder("BAT1")}/status`]: "Else",
    [`${folder("BAT1")}/cycle_count`]: 1,
  });
  assert.deepEqual(m.poll().filter((row) => /power\{|BAT1/.test(row)), [
    point("power", "BAT0", "Battery", 5, "Charging"),
    point("power", "BAT1", "Battery", 6, "Unknown"),
    point("energy", "BAT1", "Battery", 24),
    point("cycles", "BAT1", "Battery", 1),
  ]);
});

Deno.test("a rail of a Jetson has milliamperes, millivolts, and the milliwatts of both or of its own file", () => {
  const hwmon = "bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon3";
  const iio = "bus/i2c/drivers/ina3221x/1-0040/iio:device2";
  using m = measured({
    [`${hwmon}/in1_label`]: "VDD_IN",
    [`${hwmon}/in1_input`]: 5001,
    [`${hwmon}/curr1_input`]: 1500,
    [`${hwmon}/in4_input`]: 1,
    [`${hwmon}/curr3_input`]: 7,
    [`${iio}/rail_name_0`]: "GPU",
    [`${iio}/in_voltage0_input`]: 1000,
    [`${iio}/in_current0_input`]: 2000,
    [`${iio}/in_power0_input`]: 1999,
    [`${iio}/in_voltage3_input`]: 5,
  }, (measuring) => new JetsonSource(measuring));
  const rail = (
    quantity: string,
    device: number,
    address: number,
    channel: number,
    label: string,
    value: number,
  ) =>
    `input_${quantity}{ina_device_number=${device} ina_i2c_address=${address} ina_channel_id=${channel} ` +
    `ina_channel_label=${label}} ${value}`;
  assert.deepEqual(m.poll(), [
    rail("current", 2, 0x40, 0, "GPU", 2000),
    rail("power", 2, 0x40, 0, "GPU", 1999),
    rail("voltage", 2, 0x40, 0, "GPU", 1000),
    rail("voltage", 2, 0x40, 3, "channel_3", 5),
    rail("current", 3, 0x41, 1, "VDD_IN", 1500),
    rail("power", 3, 0x41, 1, "VDD_IN", 7502),
    rail("voltage", 3, 0x41, 1, "VDD_IN", 5001),
    rail("current", 3, 0x41, 3, "channel_3", 7),
  ]);
});

Deno.test("a Grace module has power in microwatts, and the millijoules of a straight line between two measurements", () => {
  const meter = (n: number, info: string, microwatts: number, below = "/device") => ({
    [`class/hwmon/hwmon${n}${below}/power1_oem_info`]: info,
    [`class/hwmon/hwmon${n}${below}/power1_average`]: microwatts,
  });
  using m = measured({
    ...meter(0, "Module Power Socket 0", 9_000_000),
    ...meter(1, "Grace Power Socket 0", 6_000_000),
    ...meter(2, "CPU Power Socket 0", 3_000_000),
    ...meter(3, "SysIO Power Socket 0", 1_000_000, ""),
    ...meter(4, "Grace Power Socket 1", 2_000_000),
    ...meter(5, "Other Power Socket 1", 2_000_000),
  }, (measuring) => new GraceSource(graceConfig.defaultValue(), measuring));
  const watts = (rows: string[]) =>
    Object.fromEntries(
      rows.map((row) => /^grace_(\w)\w+\{sensor=(\w+)\} ?(?:\w+:(\d+))? ?(\S+)$/.exec(row)!).map((
        [, kind, sensor, socket = "", value],
      ) => [
        `${kind} ${sensor} ${socket}`.trim(),
        Number(value),
      ]),
    );
  const first = watts(m.poll(2000));
  assert.deepEqual(first, {
    "i module 0": 9_000_000,
    "i grace 0": 6_000_000,
    "i cpu 0": 3_000_000,
    "i sysio 0": 1_000_000,
    "i dram 0": 2_000_000,
    "i grace 1": 2_000_000,
    "i grace_total": 8_000_000,
    "i total": 8_000_000,
  });
  m.write(meter(1, "Grace Power Socket 0", 8_000_000));
  const second = watts(m.poll());
  assert.deepEqual(
    Object.fromEntries(Object.entries(second).filter(([key]) => key.startsWith("e "))),
    {
      "e module 0": 18000,
      "e grace 0": 14000,
      "e cpu 0": 6000,
      "e sysio 0": 2000,
      "e dram 0": 6000,
      "e grace 1": 4000,
      "e grace_total": 18000,
      "e total": 18000,
    },
  );
  m.write(meter(1, "Grace Power Socket 0", 3_999_999));
  assert.equal(
    watts(m.poll())["i dram 0"],
    undefined,
    "means over different moments may contradict each other",
  );
  m.write(meter(1, "Grace Power Socket 0", 4_000_000));
  assert.equal(watts(m.poll())["i dram 0"], 0);
});

Deno.test("a process occupies a share of a GPU's compute units", () => {
  using tree = new Tree(null);
  const root = "sys/class/kfd/kfd";
  const node = (n: number, id: number, properties: string) => {
    tree.write(`${root}/topology/nodes/${n}/gpu_id`, `${id}\n`);
    tree.write(`${root}/topology/nodes/${n}/properties`, properties);
  };
  node(0, 0, "simd_count 0\n");
  node(1, 77, "cpu_cores_count 0\nsimd_count 416\nsimd_per_cu 4\nlocation_id 49827\ndomain 10\n");
  node(2, 78, "simd_count 3\nsimd_per_cu 4\nlocation_id 0\n");
  node(3, 79, "simd_count 416\nsimd_per_cu 0\nlocation_id 0\n");
  const occupy = (pid: string, id: number, units: string) =>
    tree.write(`${root}/proc/${pid}/stats_${id}/cu_occupancy`, `${units}\n`);
  occupy("5", 77, "26");
  occupy("5", 78, "1");
  node(4, 80, "simd_count 0\nsimd_per_cu 4\nlocation_id 0\n");
  node(5, 81, "simd_count 5000000000\nsimd_per_cu 4\nlocation_id 0\n");
  occupy("5", 80, "1");
  occupy("5", 81, "1");
  occupy("5", 79, "2");
  occupy("6", 77, "1000000");
  occupy("7", 77, "1000001");
  occupy("08", 77, "1");
  const clock = new FakeClock();
  const occupancies = new Occupancies(new ProcFiles(tree), clock);
  const now = () =>
    [...occupancies.now()].map(({ pid, device, percent }) => `${pid} ${device} ${percent}`).sort();
  assert.deepEqual(now(), ["5 0000:00:00.0 100", "5 000a:c2:14.3 25", "6 000a:c2:14.3 100"]);
  node(1, 77, "simd_count 208\nsimd_per_cu 4\nlocation_id 49827\n");
  for (const pid of ["6", "7", "08"]) tree.remove(`${root}/proc/${pid}`);
  clock.spend(59_999);
  assert.equal(now()[1], "5 000a:c2:14.3 25", "GPUs are looked for once a minute");
  clock.spend(1);
  assert.equal(now()[1], "5 0000:c2:14.3 50");
});

Deno.test("what a process uses of a GPU is added up by kinds of engines", () => {
  const registry = new MetricRegistry();
  const metrics = Object.fromEntries(
    Object.entries(PROCESS_METRICS).map(([key, metric]) => [key, registry.register(metric)]),
  ) as ConstructorParameters<typeof ProcessPoints>[0];
  const use = {
    pid: 5,
    name: "a",
    device: "0000:03:00.0",
    memory: { vram: 1, gtt: 20, cpu: 300 },
    engines: new Map([["gfx", 1], ["rcs", 20], ["enc", 3], ["enc_1", 40], ["bcs", 5], ["dec", 6]]),
  };
  const points = rows(collect((points) => new ProcessPoints(metrics).push(points, use)));
  assert.deepEqual(
    points.map((row) =>
      row.replace(/ gpu:.* process:5/, "").replace("process_name=a", "").replace("amd_gpu_process_", "")
    ),
    [
      "memory_usage{} 321",
      "engine_gfx{} 21",
      "engine_usage_encode{} 43",
      "gpu_process_engine_time{ engine=copy} 5",
      "gpu_process_engine_time{ engine=dec} 6",
      "memory_usage_gtt{} 20",
      "memory_usage_cpu{} 300",
      "memory_usage_vram{} 1",
    ],
  );
  const [occupancy] = rows(
    collect((points) =>
      new ProcessPoints(metrics).pushOccupancy(points, { pid: 5, device: "d", percent: 2.5 }, "a")
    ),
  );
  assert.match(occupancy, /^amd_gpu_process_compute_unit_occupancy\{process_name=a\} gpu:d process:5 2.5$/);
});

Deno.test("what is read of a GPU of NVIDIA becomes points of the GPU, its parts and its processes", () => {
  const emitter = new Emitter(registerMetrics(new MetricRegistry(), false), "B");
  const push = (sample: Sample, energyMj?: number) =>
    rows(collect((points) => emitter.push(points, sample, energyMj), lines)).map((row) =>
      row.replace("nvml_", "")
    );
  const lines: string[] = [];
  assert.deepEqual(push({}), []);
  assert.deepEqual(
    push({
      powerMw: 0,
      temperature: 0,
      utilization: { gpu: 0, memory: 1 },
      memory: { free: 0, used: 2n ** 53n + 1n },
      decoder: { percent: 0, periodUs: 0 },
      encoder: { percent: 3 },
      computeProcesses: [],
      graphicsProcesses: [{ pid: 5, bytes: undefined }, { pid: 6, bytes: 7 }],
      processUtilization: [{ pid: 6, sm: 100, memory: 101, encoder: 0, decoder: 2 ** 32 }],
      clocks: [1e9, 2e9],
    }, 0),
    [
      "energy_consumption{} gpu:B local_machine 0",
      "instant_power{} gpu:B local_machine 0",
      "temperature_gpu{} gpu:B local_machine 0",
      "gpu_utilization{} gpu:B local_machine 0",
      "memory_utilization{} gpu:B local_machine 1",
      "gpu_memory_info{kind=free} gpu:B local_machine 0",
      "gpu_memory_info{kind=used} gpu:B local_machine 9007199254740993",
      "decoder_utilization{} gpu:B local_machine 0",
      "decoder_sampling_period{} gpu:B local_machine 0",
      "encoder_utilization{} gpu:B local_machine 3",
      "n_compute_processes{} gpu:B local_machine 0",
      "n_graphic_processes{} gpu:B local_machine 2",
      "used_gpu_memory{context=graphics} gpu:B process:6 7",
      "sm_utilization{} gpu:B process:6 100",
      "encoder_utilization{} gpu:B process:6 0",
      "clock_info{clock_type=Graphics} gpu:B local_machine 1000000000",
      "clock_info{clock_type=SM} gpu:B local_machine 2000000000",
    ],
  );
  assert.deepEqual(
    push({
      partitions: [{ gpuInstance: 0, memory: { total: 9 } }],
      partUse: [{ gpuInstance: 0, gpu: 0, sm: 1, memory: 2 }, { gpuInstance: 3 }],
      computeProcesses: [{ pid: 5, bytes: 8, gpuInstance: 0, computeInstance: 0 }],
    }),
    [
      "n_compute_processes{} gpu:B local_machine 1",
      "used_gpu_memory{context=compute compute_instance_id=0} gpu_partition:B/0 process:5 8",
      "gpu_memory_info{kind=total} gpu_partition:B/0 local_machine 9",
      "gpu_utilization{} gpu_partition:B/0 local_machine 0",
      "memory_utilization{} gpu_partition:B/0 local_machine 2",
      "sm_utilization{} gpu_partition:B/0 local_machine 1",
    ],
  );
  assert.deepEqual(push({}), [], "its parts could not be read");
  assert.deepEqual(lines, [], "no value is refused");
});

Deno.test("sockets come by their numbers, memory is a resource of its own, and a total needs every socket", () => {
  const meter = (n: number, info: string, microwatts: number | string) => ({
    [`class/hwmon/hwmon${n}/power1_oem_info`]: info,
    [`class/hwmon/hwmon${n}/power1_average`]: microwatts,
  });
  using m = measured({
    ...meter(0, "Module Power Socket 1", 8),
    ...meter(1, "Module Power Socket 0", 9),
    ...meter(2, "Grace Power Socket 0", 5),
    ...meter(3, "CPU Power Socket 0", 3),
    ...meter(4, "SysIO Power Socket 0", 1),
  }, (measuring) => new GraceSource(graceConfig.defaultValue(), measuring));
  const point = (sensor: string, place: string, value: number) =>
    `grace_instant_power{sensor=${sensor}}${place} ${value}`;
  assert.ok(m.isIdle);
  assert.deepEqual(m.poll(), [
    point("module", " cpu_package:0", 9),
    point("grace", " cpu_package:0", 5),
    point("cpu", " cpu_package:0", 3),
    point("sysio", " cpu_package:0", 1),
    point("dram", " dram:0", 1),
    point("module", " cpu_package:1", 8),
    point("module_total", "", 17),
    point("total", "", 17),
  ]);
  assert.ok(!m.isIdle);
  m.write(meter(0, "Module Power Socket 1", "x"));
  assert.deepEqual(m.poll().filter((row) => row.includes("instant") && row.includes("module")), [
    point("module", " cpu_package:0", 9),
  ]);
  assert.equal(m.lines.filter((line) => line.includes("Cannot read a power meter")).length, 1);
});

Deno.test("a sensor that may not be read is said with the command that allows it, and one that is broken is not", () => {
  const chip = "class/hwmon/hwmon0";
  const sensors: [
    string,
    (measuring: Measuring) => Parameters<typeof closing>[0] & { poll(points: Points): void },
    Record<string, string>,
  ][] = [
    [`${chip}/power1_input`, (measuring) => new HwmonSource(measuring), {}],
    [`${chip}/power1_average`, (measuring) => new GraceSource(graceConfig.defaultValue(), measuring), {
      [`${chip}/power1_oem_info`]: "Grace Power Socket 0",
    }],
    ["bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon3/in1_input", (measuring) => new JetsonSource(measuring), {}],
  ];
  for (const [file, make, more] of sensors) {
    for (const isDenied of [true, false]) {
      using m = measured({ [file]: isDenied ? "5" : "x", ...more }, make);
      if (isDenied) m.denied.add(file);
      assert.deepEqual(m.poll(), []);
      assert.equal(
        m.lines.filter((line) => /permission denied .*allow="sudo chmod o\+r/.test(line)).length,
        isDenied ? 1 : 0,
        file,
      );
      assert.equal(m.isIdle, isDenied);
      m.denied.clear();
      m.write({ [file]: "5" });
      assert.ok(m.poll(60_000).length === 0 || !isDenied);
      assert.ok(m.poll().length > 0, file);
    }
  }
});

Deno.test("a chip is a GPU by its driver and its address, and a power of two files needs both", () => {
  const device = (n: number, name: string, target: string) => {
    const chip = `class/hwmon/hwmon${n}`;
    return { [`${chip}/name`]: name, [`${chip}/power1_input`]: 1_000_000, target };
  };
  const chips = [["amdgpu", "0000:03:00.0"], ["nvme", "0000:04:00.0"], ["amdgpu", "1-0040"]] as const;
  const files = chips.map(([name], n) => device(n, name, ""));
  using m = measured(
    Object.assign({
      "class/hwmon/hwmon3/in1_input": 12_000,
      "class/hwmon/hwmon3/curr1_input": "x",
    }, ...files.map(({ target: _, ...files }) => files)),
    (measuring) => new HwmonSource(measuring),
  );
  chips.forEach(([, address], n) =>
    m.tree.link(`sys/class/hwmon/hwmon${n}/device`, `${m.tree.root}/devices/${address}`)
  );
  assert.ok(m.isIdle);
  assert.deepEqual(m.poll(), [
    "hwmon_power{chip=amdgpu device=0000:03:00.0 sensor=power1} gpu:0000:03:00.0 1",
    "hwmon_power{chip=nvme device=0000:04:00.0 sensor=power1} 1",
    "hwmon_power{chip=amdgpu device=1-0040 sensor=power1} 1",
  ]);
  assert.ok(!m.isIdle);
  assert.equal(m.lines.filter((line) => line.includes("Cannot read a sensor")).length, 1);
  m.tree.write("devices/0000:03:00.0/power/runtime_status", "suspended\n");
  m.tree.write("devices/0000:04:00.0/power/runtime_status", "suspended\n");
  assert.equal(m.poll().length, 2, "a GPU that sleeps is not read");
});

Deno.test("sensors of a GPU are in millivolts and thousandths of a degree, and are found by their labels", () => {
  const cards = ["amdgpu", "xe"].map((driver, n) => {
    const device = `devices/gpu${n}`;
    return { driver, device, hwmon: `${device}/hwmon/hwmon${n}` };
  });
  const [amd, xe] = cards;
  using m = measured({
    [`${amd.hwmon}/in0_input`]: 900,
    [`${amd.hwmon}/in0_label`]: "vddgfx",
    [`${amd.hwmon}/temp4_input`]: 600_000,
    [`${amd.hwmon}/temp4_label`]: "edge",
    [`${xe.hwmon}/in0_input`]: 800,
    [`${xe.hwmon}/temp2_input`]: 500_400,
    [`${xe.hwmon}/temp2_label`]: "vram",
  }, (measuring) => {
    const drivers = ["amdgpu", "xe"] as const;
    return new DrmSource({ name: "gpu", vendor: "A", drivers, processes: false }, measuring);
  });
  for (const [n, { driver, device }] of cards.entries()) {
    m.tree.link(`sys/${device}/driver`, `../../${driver}`);
    m.tree.link(`sys/class/drm/card${n}/device`, `${m.tree.sys}/${device}`);
  }
  assert.deepEqual(m.poll(), [
    "amd_gpu_voltage{} gpu:gpu0 900",
    "amd_gpu_temperature{thermal_zone=thermal_global} gpu:gpu0 600",
    "amd_gpu_voltage{} gpu:gpu1 800",
    "amd_gpu_temperature{thermal_zone=thermal_high_bandwidth_memory_0} gpu:gpu1 500",
  ]);
});

Deno.test("rails are in the order of addresses and channels, and what is none is left out", () => {
  const root = "bus/i2c/drivers/ina3221";
  using m = measured({
    [`${root}/7-0041/hwmon/hwmon4/in1_input`]: 1,
    [`${root}/7-0041/hwmon/hwmon4/in2_input`]: 2,
    [`${root}/1-0041/hwmon/hwmon3/in2_input`]: 3,
    [`${root}/1-0041/hwmon/hwmon3/in1_input`]: 4,
    [`${root}/1-0041/hwmon/other/in1_input`]: 5,
    [`${root}/module/hwmon/hwmon5/in1_input`]: 6,
    [`${root}x/1-0040/other/in_voltage0_input`]: 7,
    [`${root}x/module/iio:device1/in_voltage0_input`]: 8,
    [`${root}x/1-0040/iio:device2/in_current3_input`]: 9,
  }, (measuring) => new JetsonSource(measuring));
  assert.deepEqual(
    m.poll().map((row) => row.replace(/.*device_number=(\d).*channel_id=(\d).* (\d)$/, "$1 $2 $3")),
    [
      "2 3 9",
      "3 1 4",
      "4 1 1",
      "3 2 3",
      "4 2 2",
    ],
  );
  assert.equal(m.found.length, 5);
  assert.equal(m.lines.filter((line) => line.includes("Cannot read a sensor")).length, 1);
  using whole = measured({
    [`${root}/1-0041/hwmon/hwmon3/in1_input`]: 1,
    [`${root}/1-0041/hwmon/hwmon3/curr1_input`]: 1,
  }, (measuring) => new JetsonSource(measuring));
  assert.equal(whole.poll().length, 3);
  assert.deepEqual(whole.lines.filter((line) => line.includes("WARN")), []);
});

Deno.test("a supply that has nothing to say is none, and one that cannot be read is said", () => {
  const mouse = "class/power_supply/mouse";
  using m = measured(
    { [`${mouse}/type`]: "Battery", [`${mouse}/voltage_now`]: 3_000_000 },
    (measuring) => new PowerSupplySource(measuring),
  );
  m.write({ "class/power_supply/empty/type": "Battery" });
  assert.deepEqual(m.poll(), []);
  assert.ok(m.isIdle);
  assert.deepEqual(m.found, []);
  const file = "class/power_supply/BAT0/power_now";
  m.write({ [file]: 1_000_000, "class/power_supply/BAT0/voltage_now": 2 });
  m.poll(60_000);
  assert.deepEqual(m.poll(), ["power_supply_power{supply=BAT0 type= status=Unknown} 1"]);
  assert.ok(!m.isIdle);
  assert.deepEqual(m.lines.filter((line) => line.includes("WARN")), []);
  m.write({ [file]: "x" });
  m.poll();
  assert.equal(m.lines.filter((line) => /Cannot read a file of a supply .*power_now/.test(line)).length, 1);
});
