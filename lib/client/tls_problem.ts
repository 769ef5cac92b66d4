/** Why a TLS connection fails, in words that an administrator can use. */

/** Names of the configuration keys that a problem refers to. */
export interface TlsKeys {
  /** The file of the known CAs. */
  readonly ca: string;
  /** The name that the server's certificate must have. */
  readonly serverName: string;
  /** The client's own certificate. */
  readonly cert: string;
}

/** What the TLS library says, and what it means. */
export function explainTls(problem: string, keys: TlsKeys): string {
  if (/UnknownIssuer|UNABLE_TO_VERIFY|unable to verify|self.signed/i.test(problem)) {
    return `the server's certificate is signed by an unknown CA (${keys.ca} names the known ones)`;
  }
  if (/CaUsedAsEndEntity/.test(problem)) {
    return "the server shows the certificate of a CA as its own (openssl req -x509 makes one of a CA); it needs one " +
      "that a CA has signed for it";
  }
  if (/NotValidYet/i.test(problem)) {
    return "the server's certificate is not valid yet: is the clock of one of the two machines wrong?";
  }
  if (/InvalidPurpose|ExtendedKeyUsage/i.test(problem)) {
    return "the server's certificate is not for servers (extendedKeyUsage must have serverAuth)";
  }
  if (/Expired/i.test(problem)) return `the server's certificate has expired: ${problem}`;
  if (/not valid for name|does not match certificate/i.test(problem)) {
    return `the server's certificate is for another name (${keys.serverName}): ${problem}`;
  }
  if (/CertificateRequired|BadCertificate/i.test(problem)) {
    return `the server wants a certificate of this client (${keys.cert}): ${problem}`;
  }
  if (/InvalidContentType|corrupt message|unexpected eof|UnexpectedEof|end of file/i.test(problem)) {
    return `the server does not speak TLS: ${problem}`;
  }
  return `no TLS connection: ${problem}`;
}
