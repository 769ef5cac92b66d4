import assert from "node:assert/strict";
import {
  age,
  csv,
  digits,
  groupOf,
  GROUPS,
  marksOfTime,
  quantity,
  shown,
  sortHosts,
  ticksOf,
} from "../../lib/seeing/page/format.js";
import { Timer } from "../../lib/base/timers.ts";
import { Batch, type Metric, seriesOf } from "../../lib/points/measurement.ts";
import { sqlite } from "../../lib/outputs/sqlite.ts";
import { Browser, chromium, type Tab } from "../kit/chromium.ts";
import { needs } from "../kit/needs.ts";
import { Program } from "../kit/process.ts";
import { TempDir } from "../kit/temp_dir.ts";
import { until } from "../kit/waiting.ts";
import { Site } from "./site.ts";

const metric = (name: string, base = "W"): Metric => ({
  name,
  type: "f64",
  unit: { base, prefix: "" },
  description: "",
});
// One object each: that is how a registry gives them out.
const WATTS = metric("meter_power");
const BYTES = metric("mem_used", "By");
const HOSTILE_METRIC = metric("<script>hit</script>", "<b>");
const HOSTILE = "<img src=x onerror=\"document.title='hit'\">\u202e\u0007" + "x".repeat(10_000);

/** Points of hosts, of now. */
function points(values: Record<string, number>, what = WATTS): Batch {
  const batch = new Batch();
  const now = Math.floor(Date.now() / 1000);
  for (const [host, value] of Object.entries(values)) {
    batch.push(seriesOf(what, { attributes: [["relay_client", host]] }), now, 0, value);
  }
  return batch;
}

Deno.test("the page writes numbers and units as people do", () => {
  assert.equal(quantity(1236, "W"), "1.236 kW");
  assert.equal(quantity(0.0123, "W"), "12.3 mW");
  assert.equal(quantity(3 * 2 ** 30, "B"), "3 GiB");
  assert.equal(quantity(2500, "ms"), "2.5 s");
  assert.equal(quantity(48.25, "°C"), "48.25 °C");
  assert.equal(quantity(0, "W"), "0 W");
  assert.equal(quantity(null, "W"), "–");
  assert.equal(quantity(7, ""), "7");
  assert.equal(digits(1234567.4, 9), "1\u202f234\u202f567.4");
  assert.deepEqual([3, 150, 7200, 400_000].map((seconds) => age(seconds)), ["3 s", "3 min", "2 h", "5 d"]);
  assert.equal(shown("a\u202e\n<b>"), "a\\u202e\\u000a<b>");
  assert.equal(shown(HOSTILE).length, 200);
});

Deno.test("the marks of an axis are round, also in GiB, and enclose the values", () => {
  assert.deepEqual(ticksOf(0, 240, 4, "W"), [0, 100, 200, 300]);
  assert.deepEqual(ticksOf(0, 3.1 * 2 ** 30, 4, "B").map((mark) => mark / 2 ** 30), [0, 1, 2, 3, 4]);
  for (const [low, high] of [[0, 1e-6], [-5, 7], [0, 1e15], [-1e9, 0]]) {
    const marks = ticksOf(low, high, 5, "W");
    assert.ok(marks[0] <= low && marks.at(-1)! >= high && marks.length < 16, `${low} ${high} ${marks}`);
  }
});

Deno.test("the marks of an axis of time are round by the clock on the wall, and as many as there is room for", () => {
  for (const span of [900, 3600, 21_600, 86_400, 7 * 86_400, 30 * 86_400, 366 * 86_400]) {
    const first = 1_700_000_123;
    const marks: { time: number; text: string }[] = marksOfTime(first, first + span, 8);
    assert.ok(marks.length >= 2 && marks.length <= 9, `${span}: ${marks.length}`);
    for (const { time } of marks) {
      const date = new Date(time * 1000);
      assert.equal(date.getSeconds(), 0);
      if (span > 7200) assert.equal(date.getMinutes() % 30, 0, `${date}`);
    }
  }
});

Deno.test("metrics are in groups", () => {
  const group = (metric: string, unit = "") => GROUPS[groupOf(metric, unit)];
  assert.deepEqual(
    [
      group("rapl_consumed_energy", "W"),
      group("kernel_cpu_time", "ms"),
      group("mem_free", "B"),
      group("amd_gpu_temperature", "°C"),
      group("network_bytes", "B"),
      group("anything"),
    ],
    ["Power and energy", "Processor", "Memory", "Temperature", "Network", "Others"],
  );
});

Deno.test("a plot as CSV has a line for each time, and no formulas", () => {
  const series = [{ name: "=a,1", values: [1, null] }, { name: 'b"', values: [2.5, 3] }];
  assert.equal(
    csv({ series, newest: 1_700_000_003, step: 3 }),
    `time,"'=a,1","b"""\n2023-11-14T22:13:20.000Z,1,2.5\n2023-11-14T22:13:23.000Z,,3\n`,
  );
});

Deno.test("hosts are sorted by what is urgent, and found by a part of their name", () => {
  const host = (name: string, silent: number | null = null) => ({
    name,
    state: silent === null ? "live" : "silent",
    silent_seconds: silent,
  });
  const hosts = [host("n10"), host("n2"), host("old", 500), host("new", 5)];
  const names = (key: string, wanted = "") =>
    sortHosts(hosts, { key, reverse: false }, wanted).map(({ name }: { name: string }) => name);
  assert.deepEqual(names("state"), ["new", "old", "n2", "n10"]);
  assert.deepEqual(names("name", "N1"), ["n10"]);
});

/** No error on the console, and nobody else was asked. */
function assertClean(tab: Tab, url: string): void {
  assert.deepEqual(tab.errors, []);
  assert.deepEqual(tab.requests.filter((request) => !request.startsWith(url + "/")), []);
}

Deno.test({
  name: "in a real browser",
  ...needs(chromium),
  async fn(t) {
    await using browser = await Browser.start();

    await t.step(
      "the page shows the power that was sent, in the plot, its legend and the table",
      async () => {
        await using site = await Site.start();
        using _sending = Timer.every(200, () => site.push(points({ "node-1": 150, "node-2": 50 })));
        await using tab = await browser.open(`${site.url}/`);
        await tab.until(`document.querySelector("#total").textContent === "200 W"`);
        await tab.until(
          `document.querySelector(".legend")?.innerText.replace(/\\s+/g, " ") === "node-1 150 W node-2 50 W"`,
        );
        await tab.until(
          `[...document.querySelectorAll("#hosts tbody tr")].map((row) => row.cells[1].innerText + row.cells[2].innerText)
        .join() === "node-1150 W,node-250 W,server-1–"`,
        );
        // The axis ends at 200 W, so the areas of the last sample fill the plot: the larger host three quarters of it.
        let heights: number[] = [];
        const near = (height: number, part: number) => Math.abs(height - part) < 0.03;
        await until(
          async () => {
            heights = await heightsOf(tab);
            return heights.length === 2 && near(heights[0], 150 / 200) && near(heights[1], 50 / 200);
          },
          undefined,
          () => `heights of three quarters and a quarter, not ${heights}`,
        );
        await tab.evaluate(`document.querySelector("canvas").focus()`);
        await tab.press("ArrowRight");
        await tab.until(
          `/all 200 W, node-1 150 W, node-2 50 W$/.test(document.querySelector(".reading").textContent)`,
        );
        assertClean(tab, site.url);
      },
    );

    await t.step("of a thousand hosts the table has the rows that the window shows", async () => {
      await using site = await Site.start();
      const names = Array.from({ length: 1000 }, (_, n) => `node-${n}`);
      site.push(points(Object.fromEntries(names.map((name, n) => [name, n]))));
      await using tab = await browser.open(`${site.url}/#/?sort=watts`);
      const first = `document.querySelector("#hosts tbody tr")?.innerText`;
      await tab.until(`/node-999/.test(${first})`);
      const rows = `document.querySelectorAll("#hosts tbody tr:not(.space)").length`;
      assert.ok(await tab.evaluate(rows) < 100);
      assert.equal(await tab.evaluate(`document.querySelector("#hosts").ariaRowCount`), "1002");
      const height = await tab.evaluate(`document.querySelector("#hosts").offsetHeight`);
      assert.ok(height > 1001 * 20, `${height}`);
      await tab.evaluate("scrollTo(0, document.documentElement.scrollHeight)");
      await tab.until(`/node-0\\b/.test(document.querySelector("#hosts").innerText)`);
      assert.ok(await tab.evaluate(rows) < 100);
      await tab.evaluate(`(() => {
        const search = document.querySelector("input[type=search]");
        search.value = "node-77";
        search.dispatchEvent(new Event("input"));
      })()`);
      await tab.until(`${rows} === 11`);
      assert.equal(await tab.evaluate("location.hash"), "#/?sort=watts&search=node-77");
      await tab.send("Page.reload");
      await tab.until(`${rows} === 11 && /node-779/.test(${first})`);
      assertClean(tab, site.url);
    });

    await t.step("hours are shown from the database, and a plot is saved as CSV", async () => {
      await using dir = new TempDir();
      const config = { ...sqlite.config.defaultValue(), path: dir.file("m.sqlite"), flush_interval: 5 };
      await using site = await Site.start({ plugins: [{ plugin: sqlite, config }] });
      const now = Math.floor(Date.now() / 1000);
      const batch = new Batch();
      for (let ago = 1900; ago > 1700; ago--) {
        batch.push(seriesOf(WATTS, { attributes: [["relay_client", "node-1"]] }), now - ago, 0, 321);
      }
      site.push(batch);
      await until(() => site.agent.figures.pendingPoints === 0);
      await using tab = await browser.open(`${site.url}/#/host/node-1`);
      await tab.until(`document.querySelector("select")?.checkVisibility()`);
      // The answer about the last minutes comes when another span has been chosen, and its answer is there.
      await tab.evaluate(`(() => {
        const { fetch } = globalThis;
        globalThis.fetch = async (path) => {
          const response = await fetch(path);
          if (!/span=/.test(path)) await new Promise((resolve) => globalThis.goOn = resolve);
          return response;
        };
        document.dispatchEvent(new Event("visibilitychange"));
      })()`);
      await tab.until(
        `globalThis.goOn ? true : document.dispatchEvent(new Event("visibilitychange")) && false`,
      );
      await tab.evaluate(`(() => {
        const span = document.querySelector("select");
        span.value = "3600";
        span.dispatchEvent(new Event("change"));
        URL.createObjectURL = (blob) => (globalThis.saved = blob, "");
      })()`);
      assert.equal(await tab.evaluate("location.hash"), "#/host/node-1?span=3600");
      await tab.until(`document.querySelector("canvas")?.plot.data.step === 10`);
      await tab.evaluate(`new Promise((resolve) => (goOn(), setTimeout(resolve, 50)))`);
      assert.equal(await tab.evaluate(`document.querySelector("canvas").plot.data.step`), 10);
      await tab.evaluate(`document.querySelector("canvas").focus()`);
      await tab.evaluate(
        `[...document.querySelectorAll("button")].find((b) => b.textContent === "CSV").click()`,
      );
      const lines: string[] = (await tab.evaluate("saved.text()")).split("\n");
      assert.equal(lines[0], "time,the machine");
      assert.ok(lines.filter((line) => line.endsWith("Z,321")).length >= 20, lines.join());
      assertClean(tab, site.url);
    });

    await t.step("names and values of hostile hosts are shown as text, on every page", async () => {
      await using site = await Site.start();
      using _sending = Timer.every(200, () => {
        site.push(points({ [HOSTILE]: 5, ["__proto__"]: 6, "constructor": 7, "#/process": 8 }));
        site.push(points({ [HOSTILE]: 5 }, HOSTILE_METRIC));
      });
      await using tab = await browser.open(`${site.url}/`);
      await tab.until(`document.querySelectorAll("#hosts tbody tr").length === 5`);
      assert.match(
        await tab.text("#hosts"),
        /<img src=x onerror="document\.title='hit'">\\u202e\\u0007x+…/,
      );
      await tab.evaluate(
        `[...document.querySelectorAll("#hosts a")].find((a) => a.text.startsWith("<img")).click()`,
      );
      await tab.until(`document.querySelectorAll("canvas").length === 2`);
      assert.match(await tab.text("main"), /<script>hit<\/script> \(<b>\)/);
      assert.equal(
        await tab.evaluate(`document.querySelectorAll("main img, main script, main b").length`),
        0,
      );
      assert.match(await tab.evaluate("document.title"), /^<img src=x/);
      await tab.evaluate(`location.hash = "#/host/%E0%A4%A"`);
      await tab.until(`document.querySelector("#hosts") !== null`);
      assertClean(tab, site.url);
    });

    await t.step("axe finds nothing serious, in light and dark, wide and narrow", async () => {
      await using site = await Site.start();
      const { source } = (await import("axe-core")).default;
      using _sending = Timer.every(200, () => {
        site.push(points({ "node-1": 150, "node-2": 50 }));
        site.push(points({ "node-1": 2 ** 30 }, BYTES));
      });
      for (const options of [{}, { dark: true, width: 380 }]) {
        await using tab = await browser.open(`${site.url}/`, { ...options, bypassPolicy: true });
        await tab.until(`document.querySelectorAll("#hosts tbody tr").length >= 2`);
        await tab.evaluate(source);
        for (
          const [hash, title] of [["#/", "Hosts"], ["#/host/node-1", "node-1"], ["#/process", "Process"]]
        ) {
          await tab.evaluate(`location.hash = "${hash}"`);
          await tab.until(
            `document.querySelector("main h1").textContent === "${title}" && document.querySelector("main section")`,
          );
          const violations = await tab.evaluate(
            `axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) => [impact, id, nodes[0].html]))`,
          );
          const serious = violations.filter(([impact]: string[]) => ["serious", "critical"].includes(impact));
          assert.deepEqual(serious, [], hash);
          const wide = await tab.evaluate("document.documentElement.scrollWidth - innerWidth");
          assert.ok(wide <= 0, `${hash} is ${wide} pixels too wide`);
        }
      }
    });

    await t.step("a host that dies turns red, and its page says so", async () => {
      await using dir = await new TempDir();
      await using server = new Program([
        ...[
          "--relay-in",
          "127.0.0.1:0",
          "--output-file",
          dir.file("out.csv"),
          "--state-dir",
          dir.file("server"),
        ],
        ...["--config-override", "http.address=127.0.0.1:0"],
      ]);
      const { address } = await server.line(/Listening for relay clients/);
      const { url } = await server.line(/The page of this process/);
      const client = ["--relay-out", String(address), "--state-dir", dir.file("client")];
      await using host = new Program([
        ...client,
        ...["--config-override", "plugins.relay-client.client_name=node-7"],
        ...["--config-override", "plugins.relay-client.buffer_max_length=0"],
        ...["--config-override", "plugins.procfs.kernel.poll_interval=200ms"],
      ]);
      await using tab = await browser.open(String(url));
      const row =
        `[...document.querySelectorAll("#hosts tbody tr")].find((row) => row.cells[1].innerText === "node-7")`;
      await tab.until(`${row}?.innerText.includes("live")`);
      host.signal("SIGKILL");
      await host.exit();
      await tab.until(`${row}.className === "silent" && /gone/.test(${row}.innerText)`);
      const red = await tab.evaluate(`getComputedStyle(${row}.cells[0]).color`);
      assert.equal(red, "rgb(179, 38, 30)");
      assertClean(tab, String(url).replace(/\/$/, ""));
      await server.stop();
      await tab.until(`/does not answer/.test(document.querySelector("#problem").innerText)`);
    });
  },
});

/** How high the areas of the last sample are, from the lowest, as parts of the whole plot. */
function heightsOf(tab: Tab): Promise<number[]> {
  return tab.evaluate(`(() => {
    const canvas = document.querySelector("canvas");
    const x = canvas.width - 11;
    const pixels = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height).data;
    const counts = new Map();
    for (let y = 8; y < canvas.height - 22; y++) {
      const color = [...pixels.subarray(4 * y, 4 * y + 3)].join();
      counts.set(color, (counts.get(color) ?? 0) + 1);
    }
    const all = canvas.height - 30;
    return ["47,126,216", "224,123,0"].filter((color) => counts.has(color)).map((color) => counts.get(color) / all);
  })()`);
}
