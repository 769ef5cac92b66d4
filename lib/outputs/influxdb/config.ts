/** The keys of the `influxdb` output: Alumet's, and ours. */
import { choice, type Infer, list, live, table, text } from "../../schema.ts";
import { requestKeys, urlProblem } from "../http/keys.ts";

const name = text({ doc: "The name of an attribute.", default: "" });

export const config = table({
  host: text({
    doc:
      "Where InfluxDB is, or what speaks its protocol, such as VictoriaMetrics. A path is put before that of the API.",
    default: "http://localhost:8086",
  }),
  api: choice(["v2", "v1"], {
    doc: "The API: v2 writes to a bucket (/api/v2/write), v1 to a database (/write).",
    default: "v2",
  }),
  token: live(text({ doc: "The token to write with.", default: "", secret: true })),
  token_file: live(text({
    doc: "A file with the token, instead of token. It is read again when the token is refused.",
    default: "",
    secretFile: true,
  })),
  org: text({ doc: "The organization (v2).", default: "" }),
  bucket: text({ doc: "The bucket (v2).", default: "" }),
  database: text({ doc: "The database (v1). It must exist.", default: "" }),
  retention_policy: text({ doc: "The retention policy (v1). Empty: the database's default.", default: "" }),
  username: text({ doc: "The user, where there is no token.", default: "" }),
  password: live(text({ doc: "The user's password.", default: "", secret: true })),
  password_file: live(text({
    doc: "A file with the password, instead of password. It is read again when the password is refused.",
    default: "",
    secretFile: true,
  })),
  attributes_as: choice(["tag", "field"], {
    doc:
      "What attributes become. As fields they do not tell series apart: of points that differ in nothing else, InfluxDB " +
      "keeps the last one.",
    default: "tag",
  }),
  attributes_as_tags: list(name, { doc: "Attributes that become tags in any case.", default: [] }),
  attributes_as_fields: list(name, { doc: "Attributes that become fields in any case.", default: [] }),
  unsigned: choice(["auto", "unsigned", "integer"], {
    doc:
      "How u64 are written: as unsigned fields (`7u`) or as integers (`7i`), which have no values above 2^63-1. auto asks " +
      "the server: InfluxDB 1 has no unsigned fields.",
    default: "auto",
  }),
  ...requestKeys({ timeout: "30s" }),
}, {
  doc: "Writes measurements to InfluxDB 1 or 2, or to VictoriaMetrics.",
  check(config) {
    const problem = urlProblem(config.host, {
      example: "http://localhost:8086",
      login: "username and password",
      query: "database, org and bucket are keys",
    });
    if (problem !== undefined) return { key: "host", problem };
    if (config.api === "v1" && config.database === "") {
      return { key: "database", problem: 'with api = "v1", say which database to write to' };
    }
    if (config.api === "v2" && config.bucket === "") {
      return {
        key: "bucket",
        problem: 'say which bucket to write to; for InfluxDB 1 set api = "v1" and database',
      };
    }
    for (const [key, file] of [["token", "token_file"], ["password", "password_file"]] as const) {
      if (config[key] !== "" && config[file] !== "") {
        return { key: file, problem: `cannot be used together with ${key}; keep one of them` };
      }
    }
    const hasPassword = config.password !== "" || config.password_file !== "";
    if (hasPassword && config.username === "") return { key: "username", problem: "the user is missing" };
    if (config.username !== "" && (config.token !== "" || config.token_file !== "")) {
      return { key: "username", problem: "cannot be used together with a token; keep one of them" };
    }
    const both = config.attributes_as_tags.find((name) => config.attributes_as_fields.includes(name));
    if (both !== undefined) {
      return { key: "attributes_as_fields", problem: `${both} is in attributes_as_tags as well` };
    }
  },
});

export type InfluxConfig = Infer<typeof config>;
