/** The keys of `[plugins.socket-control]`: names and defaults are those of Alumet. */
import { type Infer, table, text } from "../../schema.ts";

export const config = table({
  socket_path: text({
    doc: "The socket. Its mode is 0600: the user of the agent, and root, may give commands.",
    default: "alumet-control.sock",
  }),
}, { doc: "Takes commands from a Unix socket, a line each, and answers each with `ok` or `error: …`." });

export type SocketControlConfig = Infer<typeof config>;
