/** Certificates for tests, made by openssl. */
import { needs, openssl } from "./needs.ts";
import { shell } from "./process.ts";
import { TempDir } from "./temp_dir.ts";

export interface Issued {
  cert: string;
  key: string;
}

export interface IssueOptions {
  /** From now on; negative for one that has expired. @default {2} */
  days?: number;
  /** Replaces these files. */
  files?: Issued;
}

/** A CA, and what it signs. */
export interface Authority {
  /** The file with its certificate. */
  readonly ca: string;
  /** Signs a certificate for that host. */
  readonly issue: (host: string, options?: IssueOptions) => Promise<Issued>;
}

/** Registers a test with its own CA in a folder; it is skipped where openssl is missing. */
export function onAuthority(
  name: string,
  test: (authority: Authority & { dir: TempDir }) => Promise<void>,
  options: Pick<Deno.TestDefinition, "sanitizeOps" | "sanitizeResources"> = {},
): void {
  Deno.test({
    name,
    ...needs(openssl),
    ...options,
    async fn() {
      await using dir = new TempDir();
      await test({ ...await certificates(dir), dir });
    },
  });
}

/** A new private key, for `openssl req`: one on a curve, which takes no time to make. */
export const KEY: readonly string[] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes a CA, with its files in that folder. */
export async function certificates(dir: TempDir, name = "test-ca"): Promise<Authority> {
  const ca = dir.file(`${name}.pem`);
  const caKey = dir.file(`${name}.key`);
  await shell(
    "openssl",
    "req",
    "-x509",
    ...KEY,
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    caKey,
    "-out",
    ca,
  );
  let serial = 0;
  const issue = async (host: string, { days = 2, files }: IssueOptions = {}): Promise<Issued> => {
    serial++;
    const made = { cert: dir.file(`${name}-${serial}.pem`), key: dir.file(`${name}-${serial}.key`) };
    const request = dir.file(`${name}-${serial}.csr`);
    const extensions = dir.file(`${name}-${serial}.ext`);
    await Deno.writeTextFile(extensions, `subjectAltName=DNS:${host}\n`);
    await shell("openssl", "req", ...KEY, "-subj", `/CN=${host}`, "-keyout", made.key, "-out", request);
    await shell(
      ...[
        "openssl",
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        ca,
        "-CAkey",
        caKey,
        "-set_serial",
        String(serial),
      ],
      ...["-days", String(days), "-extfile", extensions, "-out", made.cert],
    );
    if (!files) return made;
    await Deno.rename(made.key, files.key);
    await Deno.rename(made.cert, files.cert);
    return files;
  };
  return { ca, issue };
}
