/** Trees of files in place of /proc and /sys, which tests change. */
import assert from "node:assert/strict";
import { replaceFile } from "./temp_dir.ts";

/** Folders of testcases: `INPUT/CASE/STATE/{proc,sys}`. */
export const CASES: string = new URL("../testdata/inputs/", import.meta.url).pathname;

/** Thousands of small files: in memory, where there is a place for it. */
function makeFolder(): string {
  const prefix = "alumet-relay-tree-";
  try {
    return Deno.makeTempDirSync({ dir: "/dev/shm", prefix });
  } catch {
    return Deno.realPathSync(Deno.makeTempDirSync({ prefix }));
  }
}

/** The folders of the kernel's files. */
const KERNEL = /^(proc|sys|dev)\//;

/** A temporary folder with proc/, sys/ and dev/, and maybe lib/ and bin/. Paths in it are relative to the folder. */
export class Tree implements Disposable {
  readonly root: string = makeFolder();
  readonly proc = `${this.root}/proc`;
  readonly sys = `${this.root}/sys`;
  readonly dev = `${this.root}/dev`;
  readonly lib = `${this.root}/lib`;
  readonly bin = `${this.root}/bin`;

  /** @param from A folder below {@linkcode CASES} to begin with. @default {"procfs/host/1"} */
  constructor(from: string | null = "procfs/host/1") {
    for (const name of ["proc", "sys", "dev"]) Deno.mkdirSync(`${this.root}/${name}`);
    if (from) this.copy(CASES + from);
  }

  /** Copies all that is in a folder over what is here, as {@linkcode Tree.write} writes. */
  copy(from: string, path = ""): void {
    for (const { name, isDirectory, isSymlink } of Deno.readDirSync(from)) {
      const to = path === "" ? name : `${path}/${name}`;
      if (isSymlink) this.link(to, Deno.readLinkSync(`${from}/${name}`));
      else if (isDirectory) {
        Deno.mkdirSync(`${this.root}/${to}`, { recursive: true });
        this.copy(`${from}/${name}`, to);
      } else this.write(to, Deno.readFileSync(`${from}/${name}`));
    }
  }

  has(path: string): boolean {
    try {
      Deno.lstatSync(`${this.root}/${path}`);
      return true;
    } catch {
      return false;
    }
  }

  read(path: string): string {
    return Deno.readTextFileSync(`${this.root}/${path}`);
  }

  /**
   * Writes a file, and makes its folders. A file of the kernel that is open shows the new content; any other file is
   * replaced, because programs and threads may be reading it.
   */
  write(path: string, content: string | Uint8Array): void {
    const file = this.#place(path);
    if (!KERNEL.test(path)) replaceFile(file, content);
    else if (typeof content === "string") Deno.writeTextFileSync(file, content);
    else Deno.writeFileSync(file, content);
  }

  /** Puts a program into bin/. */
  install(name: string, script: string): void {
    replaceFile(this.#place(`bin/${name}`), script, { mode: 0o755 });
  }

  /** Where a file belongs, in a folder that is there. */
  #place(path: string): string {
    const file = `${this.root}/${path}`;
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    return file;
  }

  /** Replaces text in a file. */
  edit(path: string, from: string | RegExp, to: string): void {
    const before = this.read(path);
    const after = before.replace(from, to);
    assert.notEqual(after, before, `${from} is not in ${path}`);
    this.write(path, after);
  }

  link(path: string, target: string): void {
    Deno.symlinkSync(target, this.#place(path));
  }

  /** Removes a file or a folder. A file of the kernel that is still open has nothing to read. */
  remove(path: string): void {
    if (KERNEL.test(path)) this.#empty(`${this.root}/${path}`);
    Deno.removeSync(`${this.root}/${path}`, { recursive: true });
  }

  #empty(path: string): void {
    const { isFile, isDirectory } = Deno.lstatSync(path);
    if (isFile) Deno.truncateSync(path);
    if (isDirectory) { for (const { name } of Deno.readDirSync(path)) this.#empty(`${path}/${name}`); }
  }

  /** The paths of all files. */
  files(below = ""): string[] {
    return [...Deno.readDirSync(`${this.root}/${below}`)].flatMap(({ name, isDirectory, isFile }) => {
      const path = below === "" ? name : `${below}/${name}`;
      return isDirectory ? this.files(path) : isFile ? [path] : [];
    }).sort();
  }

  /** Adds a process that has used `user` ticks. */
  start(pid: number, { user = 0, ppid = 1, starttime = 1000, name = "a" } = {}): void {
    const rest = `-1 4194304 0 0 0 0 ${user} 0 0 0 20 0 1 0 ${starttime} 4096000 100` + " 0".repeat(28);
    this.write(`proc/${pid}/stat`, `${pid} (${name}) S ${ppid} 1 1 0 ${rest}\n`);
    this.write(`proc/${pid}/statm`, "1000 100 50 1 0 10 0\n");
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}
