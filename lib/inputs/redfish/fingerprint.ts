/** How a certificate is named by its fingerprint. */

/** `sha256:` and 32 bytes, as openssl prints them or without colons. */
const FINGERPRINT = /^sha256:((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})$/i;

/** The 64 hexadecimal digits of a configured fingerprint; `undefined` if it is not one. */
export function digitsOf(fingerprint: string): string | undefined {
  return FINGERPRINT.exec(fingerprint)?.[1].replaceAll(":", "").toLowerCase();
}
