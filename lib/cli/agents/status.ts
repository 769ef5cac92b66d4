/** `alumet-relay status`: how running processes are doing, one screen for each. */
import { EXIT, ExitError } from "../../base/errors.ts";
import { printable } from "../../base/log.ts";
import type { Status } from "../../seeing/api.ts";
import type { CommandLine } from "../parse.ts";
import type { Surroundings } from "../world.ts";
import { askJson, findAgents } from "./source.ts";
import { age, bytes, count } from "./text.ts";

/** @returns 0 if all processes can take points, 75 if one cannot. */
export async function status(line: CommandLine, world: Surroundings): Promise<number> {
  const sources = await findAgents(line, world);
  const found: { name: string; status: Status }[] = [];
  const problems: ExitError[] = [];
  for (const source of sources) {
    try {
      found.push({ name: source.name, status: await askJson(source, "/api/v1/status") });
    } catch (error) {
      if (!(error instanceof ExitError)) throw error;
      problems.push(error);
    }
  }
  if (found.length === 0) throw problems[0];
  if (line.has("json")) {
    world.stdout(
      JSON.stringify(found.map(({ name, status }) => ({ where: name, ...status })), null, 2) + "\n",
    );
  } else world.stdout(found.map(({ name, status }) => statusScreen(name, status)).join("\n"));
  for (const { message } of problems) world.stderr(`Note: ${message}\n`);
  return found.every(({ status }) => status.ready) ? EXIT.ok : EXIT.tempfail;
}

/** One screen. */
function statusScreen(name: string, status: Status): string {
  const { role, version, host, pid, now, started, ready, problems, journal } = status;
  const facts: [string, string][] = [
    [role ?? "starting", `${ready ? "ready" : `NOT READY: ${problems.join(", ")}`}`],
    ["Process", `${pid} on ${host}, alumet-relay ${version}, ${name}`],
  ];
  if (started !== null) {
    facts.push(["Since", `${new Date(started * 1000).toISOString().slice(0, 19)}Z (${age(now - started)})`]);
  }
  if (role === "client" || role === "hop") {
    facts.push(["Connected to", status.connected_to.join(", ") || "NO SERVER"]);
  }
  if (status.clients !== null) {
    const refused = status.refused_clients > 0 ? `, ${count(status.refused_clients)} refused` : "";
    facts.push(["Clients", `${count(status.clients)} connected${refused}`]);
  }
  const more = [
    [status.dropped_points, "dropped"],
    [status.rejected_points, "rejected"],
    [status.duplicate_points, "sent twice and taken once"],
  ] as const;
  const others = more.filter(([points]) => points > 0).map(([points, what]) => `, ${count(points)} ${what}`);
  facts.push(["Points", `${count(status.points)} since the start${others.join("")}`]);
  if (journal) {
    const place = journal.directory === null ? "in memory" : `in ${journal.directory}`;
    facts.push(["Journal", `${bytes(journal.bytes)} of ${bytes(journal.limit_bytes)} ${place}`]);
    const oldest = status.pending_points > 0 ? `, the oldest for ${age(journal.oldest_seconds)}` : "";
    facts.push(["Waiting", `${count(status.pending_points)} points${oldest}`]);
  }
  for (
    const { name, pending_points, lag_seconds, target_away, dropped_points, dead_letters } of status.outputs
  ) {
    const parts = [
      target_away ? "TARGET AWAY" : "",
      pending_points > 0
        ? `${count(pending_points)} points wait, the oldest for ${age(lag_seconds)}`
        : "up to date",
      dropped_points > 0 ? `${count(dropped_points)} dropped` : "",
      dead_letters > 0 ? `${count(dead_letters)} dead letters` : "",
    ];
    facts.push([`→ ${name}`, parts.filter((part) => part !== "").join(", ")]);
  }
  if (status.memory_bytes !== null) facts.push(["Memory", bytes(status.memory_bytes)]);
  const { last_error } = status;
  if (last_error) {
    const fields = Object.entries(last_error.fields).map(([name, value]) => ` ${name}=${value}`).join("");
    facts.push([
      "Last error",
      `${age(now - last_error.time)} ago, ${last_error.part}: ${last_error.message}${fields}`,
    ]);
  }
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  return facts.map(([name, value]) => `${printable(name).padEnd(width)}${printable(value)}\n`).join("");
}
