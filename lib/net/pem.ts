/** Certificates and keys in PEM files, with problems in words that an administrator can use. */

/** The text of a file with certificates. @throws if it cannot be read, or there is none in it. */
export function readCertificates(path: string): string {
  const text = Deno.readTextFileSync(path);
  if (/-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----/.test(text)) return text;
  throw new SyntaxError(`${path} has no certificate in it${whatElse(text)}`);
}

/** The text of a file with a private key. @throws if it cannot be read, or there is none that can be used. */
export function readPrivateKey(path: string): string {
  const text = Deno.readTextFileSync(path);
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw new SyntaxError(
      `the private key in ${path} is encrypted; decrypt it: openssl pkey -in ${path} -out FILE`,
    );
  }
  if (/-----BEGIN ([A-Z]+ )?PRIVATE KEY-----/.test(text)) return text;
  throw new SyntaxError(`${path} has no private key in it${whatElse(text)}`);
}

/** What is in a file instead. */
function whatElse(text: string): string {
  const [, label] = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(text) ?? [];
  if (label !== undefined) return `, but a ${label.toLowerCase()}`;
  return text.trim() === "" ? ": it is empty" : ": it is not in PEM (-----BEGIN …)";
}
