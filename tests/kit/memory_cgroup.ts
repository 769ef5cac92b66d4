/** A group of processes whose memory the kernel limits, of either version of cgroups. */
import { removeCgroup } from "./cgroups.ts";

const ROOT = "/sys/fs/cgroup";

interface Version {
  /** Where a group is made. */
  readonly parent: string;
  readonly limitFile: string;
  /** The file, and the word before the number. */
  readonly kills: readonly [file: string, word: string];
}

const OLD: Version = {
  parent: `${ROOT}/memory`,
  limitFile: "memory.limit_in_bytes",
  kills: ["memory.oom_control", "oom_kill"],
};
const UNIFIED: Version = {
  parent: ROOT,
  limitFile: "memory.max",
  kills: ["memory.events", "oom_kill"],
};

function versionHere(): Version {
  try {
    Deno.statSync(`${OLD.parent}/${OLD.limitFile}`);
    return OLD;
  } catch { /* it is the other one, or none */ }
  Deno.writeTextFileSync(`${ROOT}/cgroup.subtree_control`, "+memory");
  return UNIFIED;
}

/** A process in it is killed when all of them together need more. */
export class MemoryCgroup implements AsyncDisposable {
  readonly path: string;
  readonly #version = versionHere();

  /** @throws where the kernel has no such groups, or this process may not make one. */
  constructor(limitBytes: number) {
    this.path = `${this.#version.parent}/alumet-relay-test-${crypto.randomUUID()}`;
    Deno.mkdirSync(this.path);
    try {
      Deno.writeTextFileSync(`${this.path}/${this.#version.limitFile}`, String(limitBytes));
    } catch (error) {
      Deno.removeSync(this.path);
      throw error;
    }
  }

  /** The command that executes what follows it in the group. */
  get wrapper(): string[] {
    return ["sh", "-c", `echo $$ > ${this.path}/cgroup.procs; exec "$@"`, "sh"];
  }

  /** Processes that the kernel has ended for want of memory. */
  get kills(): number {
    const [file, word] = this.#version.kills;
    const text = Deno.readTextFileSync(`${this.path}/${file}`);
    return Number(new RegExp(`^${word} (\\d+)$`, "m").exec(text)![1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeCgroup(this.path);
  }
}

/** Why this kernel, or the rights of this process, allow no such group; `undefined` if they do. */
export function withoutMemoryCgroups(): string | undefined {
  try {
    const group = new MemoryCgroup(1 << 30);
    Deno.removeSync(group.path);
    return undefined;
  } catch (error) {
    return `needs a cgroup with a limit of memory (root): ${(error as Error).message}`;
  }
}
