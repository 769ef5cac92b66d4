import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { clientFileName, PathPattern, rotatedPath, splitExtension } from "../../../lib/outputs/files/path.ts";
import { cases, Chance } from "../../kit/bytes.ts";

const TIME = new Date("2026-03-05T07:08:09.123Z");

Deno.test("a pattern is the path with the time of writing in UTC and the client", () => {
  for (
    const [pattern, path] of [
      ["out.csv", "out.csv"],
      ["%Y/%m/%d/%H%M%S.csv", "2026/03/05/070809.csv"],
      ["/data/{client}/%F.csv", "/data/node/2026-03-05.csv"],
      ["%j-100%%.csv", "064-100%.csv"],
      ["{client}-{client}.csv", "node-node.csv"],
      ["{host}.csv", "{host}.csv"],
    ]
  ) {
    assert.equal(PathPattern.problem(pattern), undefined);
    assert.equal(new PathPattern(pattern).path("node", TIME), path);
  }
});

Deno.test("an unknown placeholder is an error that names the known ones", () => {
  assert.match(PathPattern.problem("/data/%y.csv")!, /"%y" is not a placeholder.*%Y.*%%/);
  assert.match(PathPattern.problem("100%/a.csv")!, /"%\/" is not a placeholder/);
});

Deno.test("a path changes no more often than its steps", () => {
  for (
    const [pattern, stepMs] of [["a", Infinity], ["%Y%m", 864e5], ["%F %H", 36e5], ["%H%M", 6e4], [
      "%H%S",
      1000,
    ]] as const
  ) {
    assert.equal(new PathPattern(pattern).stepMs, stepMs);
  }
  assert.deepEqual(["a", "%%", "%F", "{client}"].map((text) => new PathPattern(text).isFixed), [
    true,
    true,
    false,
    false,
  ]);
});

Deno.test("a long name of a client ends in its hash, and has no more than 120 characters", () => {
  assert.equal(clientFileName("a".repeat(120)), "a".repeat(120));
  const long = "a".repeat(121);
  const hash = createHash("sha256").update(long).digest("hex");
  assert.equal(clientFileName(long), `${"a".repeat(103)}~${hash.slice(0, 16)}`);
});

Deno.test("the position is beside the file, or in the folder that all files are in", () => {
  for (
    const [pattern, position] of [
      ["out.csv", "out.csv.position"],
      ["/data/out.csv", "/data/out.csv.position"],
      ["/data/{client}/%F.csv", "/data/{client}_%F.csv.position"],
      ["/data/all-{client}.csv", "/data/all-{client}.csv.position"],
      ["/100%%/%Y.csv", "/100%/%Y.csv.position"],
    ]
  ) assert.equal(new PathPattern(pattern).positionPath, position);
});

const HOSTILE = [
  ...[
    "",
    ".",
    "..",
    "...",
    "/",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    ".hidden",
    "-rf",
    "a\0b",
  ],
  ...[
    "new\nline",
    " ",
    "~",
    "~root",
    "%2E%2E",
    "$HOME",
    "`id`",
    "{client}",
    "%Y",
    "é",
    "日本語",
    "🔋",
    "a.csv",
    "a.gz",
  ],
  ...[
    "node.20260305T070809Z",
    "node.20260305T070809Z-2",
    "x".repeat(5000),
    `${"x".repeat(5000)}y`,
    "ü".repeat(300),
  ],
];

Deno.test("no client's name leads out of its folder, hides its file, or passes for another one's", () => {
  const chance = new Chance(9);
  const names = new Set(HOSTILE);
  for (let n = 0; n < cases(2000); n++) {
    names.add(
      Array.from({ length: chance.int(8) }, () => chance.pick([...HOSTILE, "a", "-1", "~1", "."])).join(""),
    );
  }
  const files = new Map<string, string>();
  for (const name of names) {
    const file = clientFileName(name);
    assert.match(file, /^[A-Za-z0-9_%~-][A-Za-z0-9_%~.-]*$/, name);
    assert.ok(file.length <= 120);
    assert.ok(!/\.\d{8}T\d{6}Z/.test(file), file);
    assert.equal(
      files.get(file),
      undefined,
      `${JSON.stringify(name)} and ${JSON.stringify(files.get(file))}`,
    );
    files.set(file, name);
  }
  assert.equal(clientFileName("node-1.example.org"), "node-1.example.org");
  assert.equal(clientFileName("../x"), "%2E.%2Fx");
});

Deno.test("a pattern knows its files again, rotated, numbered and compressed, and no others", () => {
  const groups = (pattern: string, path: string) => {
    const match = new PathPattern(pattern).expression.exec(path)?.groups;
    return match && Object.fromEntries(Object.entries(match).filter(([, value]) => value));
  };
  const [stem, extension] = ["out", ".csv"];
  assert.deepEqual(groups("/data/out.csv", "out.csv"), { stem, extension });
  assert.deepEqual(groups("out.csv", "out-3.csv"), { stem, extension, sibling: "3" });
  const stamp = "20260305T070809Z";
  assert.deepEqual(groups("out.csv", `out.${stamp}.csv`), { stem, extension, stamp });
  assert.deepEqual(groups("out.csv", `out-1.${stamp}-2.csv.gz`), {
    stem,
    extension,
    sibling: "1",
    stamp: `${stamp}-2`,
    gzip: ".gz",
  });
  for (
    const other of ["out.csv.position", "about.csv", "out.csv.bak", "outcsv", "out.notes.csv", "sub/out.csv"]
  ) {
    assert.equal(groups("out.csv", other), undefined, other);
  }
  // Clients are told apart, whatever they are called.
  for (const name of ["node", "node-1", "node-1.example.org", "a.csv", "x~0123456789abcdef", ...HOSTILE]) {
    const client = clientFileName(name);
    for (
      const pattern of ["{client}.csv", "{client}-%F.csv", "%F/{client}.csv", "{client}/%H/{client}.csv"]
    ) {
      const parsed = new PathPattern(pattern);
      const path = parsed.path(client, TIME);
      assert.equal(groups(pattern, path)?.client, client, path);
      assert.equal(groups(pattern, rotatedPath(path, TIME, 2))?.client, client);
      assert.equal(groups(pattern, rotatedPath(parsed.sibling(path, 7), TIME, 1) + ".gz")?.client, client);
    }
  }
});

Deno.test("what a rotation adds stands before the extension", () => {
  assert.equal(rotatedPath("/d.x/out.csv", TIME, 1), "/d.x/out.20260305T070809Z.csv");
  assert.equal(rotatedPath("/d.x/out", TIME, 2), "/d.x/out.20260305T070809Z-2");
  assert.deepEqual(splitExtension("/a/.hidden"), ["/a/.hidden", ""]);
  assert.deepEqual(splitExtension("a.tar.csv"), ["a.tar", ".csv"]);
});
