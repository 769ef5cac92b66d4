/** Secrets of plugins: in the configuration (preferably as `${VARIABLE}`), or in a file that only this user can read. */
import { EXIT, ExitError, messageOf } from "./errors.ts";

/** The longest secret, in bytes. */
const MAX_SECRET_BYTES = 64 * 1024;

/**
 * Reads a secret from a file: its text without the final line break. Error messages never contain the secret.
 *
 * @param key The configuration key that names the file, for messages: `plugins.influxdb.token_file`.
 * @throws {ExitError} 78 if the file cannot be read, or contains no secret.
 */
function readSecretFile(path: string, key: string): string {
  let text: string;
  try {
    const { isFile, size } = Deno.statSync(path);
    if (isFile && size > MAX_SECRET_BYTES) {
      throw new Error(`it has ${size} bytes, more than ${MAX_SECRET_BYTES}`);
    }
    text = new TextDecoder("utf-8", { fatal: true }).decode(Deno.readFileSync(path));
  } catch (error) {
    throw new ExitError(EXIT.config, `Cannot read ${path} (${key}): ${messageOf(error)}`, { cause: error });
  }
  const secret = text.replace(/\r?\n$/, "");
  if (secret === "") throw new ExitError(EXIT.config, `Cannot use ${path} (${key}): it is empty`);
  // deno-lint-ignore no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(secret)) {
    throw new ExitError(EXIT.config, `Cannot use ${path} (${key}): expected one line of text`);
  }
  return secret;
}

/** A secret that is given as a text or as a file, which may be replaced while the process runs. */
export class Secret {
  #value: string;
  #path: string;

  /**
   * @param path The file, or `""`: then `value` is the secret.
   * @param key The configuration key that names the file, for messages.
   * @throws {ExitError} 78 as {@linkcode readSecretFile} does.
   */
  constructor(value: string, path: string, readonly key: string) {
    this.#path = path;
    this.#value = path === "" ? value : readSecretFile(path, key);
  }

  /** `""` if there is none. */
  get value(): string {
    return this.#value;
  }

  /** Reads the file again. If that fails, the secret stays as it is. @returns What is wrong, if anything is. */
  refresh(): string | undefined {
    return this.#path === "" ? undefined : this.change("", this.#path);
  }

  /** Sets another secret or file. If the file cannot be read, the secret stays as it is. @returns What is wrong. */
  change(value: string, path: string): string | undefined {
    try {
      this.#value = path === "" ? value : readSecretFile(path, this.key);
      this.#path = path;
    } catch (error) {
      return messageOf(error);
    }
  }
}
