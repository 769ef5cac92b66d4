/**
 * Whether a certificate and a key can be used together. Deno 2.6 ends the whole process, without a word of sense, when
 * they cannot: so it is looked at before.
 */
import { createPrivateKey, createPublicKey } from "node:crypto";

const SEQUENCE = 0x30;
/** `[0] EXPLICIT Version`, which is absent in the first version of certificates. */
const VERSION = 0xa0;

interface Element {
  readonly tag: number;
  /** Of the whole, with its tag and length; of what is in it. */
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

/** An element of DER (X.690, 8.1). */
function elementAt(der: Uint8Array, start: number): Element {
  let content = start + 2;
  let length = der[start + 1];
  if (length >= 0x80) {
    const bytes = length & 0x7f;
    length = 0;
    for (let i = 0; i < bytes; i++) length = length * 256 + der[content++];
  }
  const end = content + length;
  if (!(end <= der.length)) throw new RangeError("it ends too early");
  return { tag: der[start], start, content, end };
}

/** The public key of a certificate (RFC 5280, 4.1), as DER; `null` for a certificate of the first version. */
function publicKeyOf(der: Uint8Array): Uint8Array | null {
  const certificate = elementAt(der, 0);
  const toBeSigned = elementAt(der, certificate.content);
  if (certificate.tag !== SEQUENCE || toBeSigned.tag !== SEQUENCE) {
    throw new RangeError("it is not a certificate");
  }
  let element = elementAt(der, toBeSigned.content);
  if (element.tag !== VERSION) return null;
  // Serial number, signature, issuer, validity, subject; then the key.
  for (let n = 0; n < 6; n++) element = elementAt(der, element.end);
  return der.subarray(element.start, element.end);
}

/** What is wrong with a certificate and its key, both PEM; `undefined` if nothing is. No message has the key. */
export function certificateProblem(certificate: string, key: string): string | undefined {
  let own: Uint8Array | null;
  try {
    const [, base64] = /-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/.exec(certificate)!;
    own = publicKeyOf(Uint8Array.fromBase64(base64.replace(/\s/g, "")));
  } catch {
    return "the certificate cannot be read";
  }
  if (own === null) return "the certificate is of version 1, version 3 is needed";
  if (/ENCRYPTED/.test(key)) return "the key has a password; store it without one, for us alone to read";
  let ofKey: Uint8Array;
  try {
    // A file of OpenSSL may have the curve's parameters before the key.
    const pem = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----/.exec(key)![0];
    ofKey = createPublicKey(createPrivateKey(pem)).export({ type: "spki", format: "der" });
  } catch {
    return "the key cannot be read; PEM is needed, best PKCS #8 (BEGIN PRIVATE KEY)";
  }
  const same = own.length === ofKey.length && own.every((byte, i) => byte === ofKey[i]);
  return same ? undefined : "the key is not that of the certificate";
}
