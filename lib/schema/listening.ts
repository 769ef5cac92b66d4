/** Keys of what listens. */
import { text } from "./scalars.ts";

/** The keys of a table `tls`. */
export const tlsKeys = {
  cert: text({
    doc: "PEM file with the server's certificate and the intermediate ones. Empty: no TLS.",
    default: "",
  }),
  key: text({ doc: "PEM file with its private key.", default: "", secretFile: true }),
  client_ca: text({
    doc:
      "PEM file of the CAs that sign clients' certificates: clients with TLS must then show one. An error at the " +
      "start where the platform does not enforce it.",
    default: "",
  }),
};

/** The problem of the values of {@linkcode tlsKeys} together, if there is one. */
export function tlsProblem(
  { cert, key, client_ca }: { cert: string; key: string; client_ca: string },
): { key: "cert" | "key"; problem: string } | undefined {
  if (cert !== "" && key === "") return { key: "key", problem: "is required with cert" };
  if (cert === "" && key !== "") return { key: "cert", problem: "is required with key" };
  if (cert === "" && client_ca !== "") return { key: "cert", problem: "is required with client_ca" };
}
