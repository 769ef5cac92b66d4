import assert from "node:assert/strict";
import { readCertificates, readPrivateKey } from "../../lib/net/pem.ts";
import { onAuthority } from "../kit/certificates.ts";
import { shell } from "../kit/process.ts";

onAuthority(
  "a file with another thing than a certificate or a key is named, with what is in it",
  async ({ ca, issue, dir }) => {
    const { cert, key } = await issue("h");
    assert.equal(readCertificates(cert), await Deno.readTextFile(cert));
    assert.equal(readPrivateKey(key), await Deno.readTextFile(key));
    assert.throws(() => readPrivateKey(cert), {
      message: `${cert} has no private key in it, but a certificate`,
    });
    assert.throws(() => readCertificates(key), {
      message: `${key} has no certificate in it, but a private key`,
    });
    const file = dir.file("file");
    await Deno.writeTextFile(file, "\n");
    assert.throws(() => readCertificates(file), { message: `${file} has no certificate in it: it is empty` });
    await shell("openssl", "x509", "-in", ca, "-outform", "DER", "-out", file);
    assert.throws(() => readCertificates(file), /it is not in PEM/);
  },
);

onAuthority(
  "an encrypted key is called so, in both formats, and the error decrypts it",
  async ({ issue, dir }) => {
    const { key } = await issue("h");
    const encrypted = dir.file("encrypted.key");
    for (const format of [["pkcs8", "-topk8"], ["ec"]]) {
      await shell(
        "openssl",
        ...format,
        "-in",
        key,
        "-out",
        encrypted,
        ...format[0] === "ec" ? ["-aes128"] : [],
        "-passout",
        "pass:x",
      );
      assert.throws(() => readPrivateKey(encrypted), {
        message:
          `the private key in ${encrypted} is encrypted; decrypt it: openssl pkey -in ${encrypted} -out FILE`,
      });
    }
  },
);
