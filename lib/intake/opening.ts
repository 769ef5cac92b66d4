/** Opens the files with which an input decides who may send. */
import { EXIT, ExitError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Tokens } from "./admission/tokens.ts";
import { type CertificateFiles, TlsTerminator } from "./tls.ts";

/**
 * Opens TLS; `undefined` where there is no certificate.
 *
 * @param key The table of the configuration that names the files: `plugins.relay-server.tls`.
 * @throws {ExitError} if the files are not a certificate and its key.
 */
export async function openTerminator(
  files: CertificateFiles,
  key: string,
  log: Logger,
): Promise<TlsTerminator | undefined> {
  if (files.cert === "") return undefined;
  try {
    return await TlsTerminator.open(files, log);
  } catch (error) {
    const paths = [files.cert, files.key, files.client_ca].filter((path) => path).join(", ");
    throw new ExitError(EXIT.config, `Cannot use ${paths} (${key}): ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Opens the file of tokens; `undefined` where the path is empty.
 *
 * @param key The key of the configuration that names it: `plugins.relay-server.tokens`.
 * @throws {ExitError} if the file cannot be used.
 */
export function openTokens(path: string, key: string, log: Logger): Tokens | undefined {
  if (path === "") return undefined;
  try {
    return new Tokens(path, log);
  } catch (error) {
    throw new ExitError(EXIT.config, `Cannot use ${path} (${key}): ${messageOf(error)}`, { cause: error });
  }
}
