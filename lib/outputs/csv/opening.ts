/** Opens what the CSV output writes to: a file, a pipe or a device, or what this process has been given open. */

/** Where rows go. */
export interface Opened {
  readonly handle: Pick<Deno.FsFile, "write" | "close">;
  /** `null` for a pipe, a device, or what this process was given: it cannot be found again, or cut. */
  readonly file: Deno.FsFile | null;
}

/** What `-` stands for as a path. */
const STANDARD_OUTPUT = "/dev/stdout";
/** Names of what this process has open. */
const DESCRIPTOR = /^\/(?:dev\/(?:stdin|stdout|stderr|fd\/\d+)|proc\/(?:self|\d+)\/fd\/\d+)$/;

/** The path that a configured one stands for. */
export function pathOf(configured: string): string {
  return configured === "-" ? STANDARD_OUTPUT : configured;
}

/**
 * Opens a path for appending. A pipe or a device is opened once: after a process has given up permissions, Deno opens no
 * path below `/dev` and `/proc` again.
 *
 * @throws what the file system throws.
 */
export async function openForAppending(path: string): Promise<Opened> {
  if (DESCRIPTOR.test(path)) return { handle: await openDescriptor(path), file: null };
  // A named pipe is opened for reading, too: so it outlives those who read from it.
  const handle = await Deno.open(path, { append: true, create: true, read: true });
  try {
    return { handle, file: (await handle.stat()).isFile ? handle : null };
  } catch (error) {
    handle.close();
    throw error;
  }
}

async function openDescriptor(path: string): Promise<Opened["handle"]> {
  const number = { stdout: 1, stderr: 2 }[path.split("/").at(-1)!] ?? Number(path.split("/").at(-1));
  const stream = number === 1 ? Deno.stdout : number === 2 ? Deno.stderr : null;
  // It stays open for others. A socket, which systemd and containers give, could not be opened by its name.
  if (stream) return { write: (bytes) => stream.write(bytes), close: () => {} };
  return await Deno.open(path, { append: true });
}
