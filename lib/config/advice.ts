/** What is valid in a configuration and not safe: notes of `config check`, errors with `--strict`. */
import { adviseHttp, http as httpKeys, type HttpConfig } from "../http/config.ts";
import type { Advice, Plugin } from "../plugin.ts";
import type { AnyKey } from "../schema.ts";
import { formatPath, type Path } from "../schema/path.ts";
import { describeSource, type Source } from "./source.ts";

interface Checked {
  readonly general: { readonly http: HttpConfig };
  readonly plugins: readonly { readonly plugin: Plugin; readonly config: unknown }[];
  source(path: Path): Source;
}

/** A line for each: `alumet-config.toml:3: plugins.relay-server.address: …`. */
export function adviceLines({ general: { http }, plugins, source }: Checked): string[] {
  const line = (whole: Path, problem: string) =>
    `${describeSource(source(whole))}: ${formatPath(whole)}: ${problem}`;
  const ofPage = [
    ...adviseHttp(http),
    ...adviseSecrets(httpKeys, http, [], (path) => source(["http", ...path])),
  ];
  const ofPlugins = plugins.flatMap(({ plugin, config }) => {
    const own = plugin.advise?.(config) ?? [];
    const secrets = adviseSecrets(
      plugin.config,
      config,
      [],
      (path) => source(["plugins", plugin.name, ...path]),
    );
    return [...own, ...secrets].map(({ path, problem }) => line(["plugins", plugin.name, ...path], problem));
  });
  return [...ofPlugins, ...ofPage.map(({ path, problem }) => line(["http", ...path], problem))];
}

/** Secrets in clear text, and files with secrets that others can read. */
function adviseSecrets(key: AnyKey, value: unknown, path: Path, source: (path: Path) => Source): Advice[] {
  if (key.kind === "table") {
    return Object.entries(key.keys ?? {}).flatMap(([name, inner]) =>
      adviseSecrets(inner, (value as Record<string, unknown> | undefined)?.[name], [...path, name], source)
    );
  }
  if (key.secret && Array.isArray(value)) {
    return value.flatMap((item, i) => adviseSecret(key, item, [...path, i], source));
  }
  if (key.secret) return adviseSecret(key, value, path, source);
  return key.secretFile && typeof value === "string" ? adviseFile(value, path) : [];
}

function adviseSecret(key: AnyKey, value: unknown, path: Path, source: (path: Path) => Source): Advice[] {
  if (value === undefined || value === "" || key.isSecret?.(value) === false) return [];
  const from = source(path);
  if (from.kind === "flag") {
    return [{ path, problem: "a secret on the command line, where every user of this machine can see it" }];
  }
  if (from.kind !== "file" || from.variables.length > 0) return [];
  return [{
    path,
    problem: "a secret in clear text; put it into a file and name that, or write ${VARIABLE}",
  }];
}

function adviseFile(file: string, path: Path): Advice[] {
  try {
    const { mode, isFile } = Deno.statSync(file);
    if (!isFile || mode === null || (mode & 0o006) === 0) return [];
    const what = (mode & 0o002) !== 0 ? "change" : "read";
    return [{ path, problem: `every user of this machine can ${what} ${file}: chmod o= ${file}` }];
  } catch {
    // There is none; or the process reads it at its start, perhaps as another user.
    return [];
  }
}
