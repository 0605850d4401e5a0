// Raw TCP origin: reads the head of a request and then misbehaves as a test specifies.

import { once } from "node:events";
import { createServer } from "node:net";
import { portOf } from "./ports.mjs";
import { acceptWebSocket } from "./websocket.mjs";

export async function startRawOrigin() {
  const arrivals = [];
  const waiting = [];
  const open = new Set();
  /** @type {"websocket" | ((socket: import("node:net").Socket, arrival: { head: string, url: string }) => unknown)} */
  let behaviour = (socket) => socket.end();

  const server = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => {});
    let head = "";
    const read = (part) => {
      head += part.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", read);
      const arrival = { head: head.slice(0, end), url: head.split(" ")[1] };
      arrivals.push(arrival);
      waiting.shift()?.(arrival);
      if (behaviour !== "websocket") {
        socket.resume();
        return void behaviour(socket, arrival);
      }
      const key = /^sec-websocket-key: (.+)$/im.exec(arrival.head)[1].trim();
      acceptWebSocket({ headers: { "sec-websocket-key": key } }, socket);
    };
    socket.on("data", read);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    /** Called with the connection once the head of a request has arrived. */
    behave: (next) => (behaviour = next),
    /** Returns and resets the heads that arrived. */
    take: () => arrivals.splice(0),
    next: () => new Promise((resolve) => waiting.push(resolve)),
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
