/** The views: what people ask, over the tables. */
import { partsOfSum, sumOfParts } from "./rollups/floats.ts";

/** Names of the views, in the order of {@linkcode viewsOf}. */
export const VIEWS = [
  "measurements",
  "hosts",
  "series_list",
  "series_attributes",
  "totals",
  "daily_totals",
] as const;

/** What a view of totals was created with before: PostgreSQL refuses it where the sum of a series fits no double. */
export const OUTDATED_SUM = "sum(p.value) AS sum";

const [ORDINARY, HUGE] = partsOfSum("p.value");
/** @param by Columns, of which each combination is a row. */
const totalsOf = (schema: string, by: string, names: string) => `
SELECT ${names}, t.points, ${sumOfParts("t.ordinary", "t.huge")} AS sum, t.min, t.max
FROM (
  SELECT ${by}, count(*) AS points, ${ORDINARY} AS ordinary, ${HUGE} AS huge, min(p.value) AS min, max(p.value) AS max
  FROM ${schema}.points p
  GROUP BY ${by.split(", ").map((_, i) => i + 1).join(", ")}
) t`;

/** What creates the views. @param schema Quoted. */
export const viewsOf = (schema: string): string => `
CREATE OR REPLACE VIEW ${schema}.measurements AS
SELECT m.name AS metric, m.unit, p.time, p.value, s.relay_client,
  s.resource_kind, s.resource_id, s.consumer_kind, s.consumer_id, s.attributes,
  CASE WHEN m.type = 'u64' THEN coalesce(p.exact, p.value::bigint::numeric(20, 0)) END AS exact_value,
  extract(epoch FROM date_trunc('second', p.time))::bigint::numeric * 1000000000
    + extract(microseconds FROM p.time)::bigint % 1000000 * 1000 + p.nanos AS time_ns,
  p.series_id
FROM ${schema}.points p
JOIN ${schema}.series s ON s.id = p.series_id
JOIN ${schema}.metrics m ON m.id = s.metric_id;

CREATE OR REPLACE VIEW ${schema}.hosts AS
SELECT coalesce(t.name, s.relay_client) AS name, t.first AS first_point, t.last AS last_point,
  coalesce(s.series, 0) AS series, t.contact AS last_contact
FROM (
  SELECT name, min(first) AS first, max(last) AS last, max(contact) AS contact FROM ${schema}.host_times GROUP BY name
) t
FULL JOIN (SELECT relay_client, count(*) AS series FROM ${schema}.series GROUP BY relay_client) s
  ON s.relay_client = t.name;

CREATE OR REPLACE VIEW ${schema}.series_list AS
SELECT s.id AS series_id, m.name AS metric, m.type, m.unit, m.description, s.resource_kind, s.resource_id,
  s.consumer_kind, s.consumer_id, s.relay_client, s.attributes, s.used_on AS last_day
FROM ${schema}.series s
JOIN ${schema}.metrics m ON m.id = s.metric_id;

CREATE OR REPLACE VIEW ${schema}.series_attributes AS
SELECT s.id AS series_id, a.key AS name, a.value
FROM ${schema}.series s, jsonb_each_text(s.attributes) a;

CREATE OR REPLACE VIEW ${schema}.totals AS${totalsOf(schema, "p.series_id", "t.series_id")};

CREATE OR REPLACE VIEW ${schema}.daily_totals AS${
  totalsOf(schema, "(p.time AT TIME ZONE 'UTC')::date AS day, p.series_id", "t.day, t.series_id")
};
`;
