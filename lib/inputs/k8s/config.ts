/** The keys of `[plugins.k8s]`: names and defaults are those of Alumet, but for what a pod knows by itself. */
import { choice, either, flag, type Infer, optional, table, text } from "../../schema.ts";
import { annotateKey, asAlumet, groupKeys } from "../cgroups/keys.ts";

/** Where `kubectl proxy` and old API servers listen. */
const LOCAL_API = "http://127.0.0.1:8080";

/** The API server of the cluster, as every pod is told. */
function apiUrl(env: (name: string) => string | undefined = (name) => Deno.env.get(name)): string {
  const host = env("KUBERNETES_SERVICE_HOST");
  if (!host) return LOCAL_API;
  const port = env("KUBERNETES_SERVICE_PORT_HTTPS") || env("KUBERNETES_SERVICE_PORT") || "443";
  return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function urlProblem(value: string): string | undefined {
  const url = URL.parse(value);
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    return "expected a URL such as https://10.96.0.1:443, or https://127.0.0.1:10250/pods for the kubelet";
  }
  if (url.username !== "" || url.password !== "") {
    return "user and password are not used: see token_retrieval";
  }
  return undefined;
}

const kubectl = table({
  service_account: text({ doc: "The service account.", default: "alumet-reader" }),
  namespace: text({ doc: "Its namespace.", default: "alumet" }),
}, { doc: "Asks kubectl for a token of a service account." });

const tokenSource = table({
  file: optional(text({ doc: "The file with the token.", default: "" })),
  kubectl: optional(kubectl),
}, {
  doc: "Where the token is.",
  check: ({ file, kubectl }) =>
    (file === undefined) === (kubectl === undefined)
      ? { key: "file", problem: 'expected either { file = "PATH" } or { kubectl = { … } }' }
      : undefined,
});

const tokenRetrieval = either(
  choice(["auto", "file", "kubectl"], {
    doc:
      "Where the token for the API is: file is that of the service account of this pod, kubectl asks kubectl for one, " +
      'auto does the first of both that is there. Or { file = "PATH" }, or { kubectl = { service_account = "NAME", ' +
      'namespace = "NAME" } }.',
    default: "auto",
  }),
  tokenSource,
);

export const config = table({
  ...groupKeys,
  k8s_node: text({
    doc: "The name of this machine in the cluster.",
    default: () => Deno.env.get("NODE_NAME") || Deno.hostname(),
    defaultDoc: "$NODE_NAME, or the name of this host",
  }),
  k8s_api_url: text({
    doc:
      "Where names of pods are asked for: the API server, or the kubelet of this machine (a URL that ends in /pods).",
    default: () => apiUrl(),
    defaultDoc: `in a pod the API server of the cluster, else ${LOCAL_API}`,
    check: urlProblem,
  }),
  token_retrieval: tokenRetrieval,
  ca_file: text({
    doc:
      "A file with certificates (PEM) of authorities to trust beside the system's. Empty: that of the service account.",
    default: "",
  }),
  ...annotateKey,
  annotate_containers: flag({
    doc:
      "Measure also the groups below those of pods: their containers, with container_name and container_id.",
    default: false,
  }),
}, { ...asAlumet, doc: "The pods of Kubernetes on this machine, by their control groups." });

export type K8sConfig = Infer<typeof config>;
export type TokenRetrieval = K8sConfig["token_retrieval"];
