/** The views: what people ask, over the tables. */

/** Names of the views, in the order of {@linkcode viewsOf}. */
export const VIEWS = [
  "measurements",
  "hosts",
  "series_list",
  "series_attributes",
  "totals",
  "daily_totals",
] as const;

const TOTALS = "count(*) AS points, sum(p.value) AS sum, min(p.value) AS min, max(p.value) AS max";

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

CREATE OR REPLACE VIEW ${schema}.totals AS
SELECT p.series_id, ${TOTALS}
FROM ${schema}.points p
GROUP BY p.series_id;

CREATE OR REPLACE VIEW ${schema}.daily_totals AS
SELECT (p.time AT TIME ZONE 'UTC')::date AS day, p.series_id, ${TOTALS}
FROM ${schema}.points p
GROUP BY 1, p.series_id;
`;
