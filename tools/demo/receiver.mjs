// A receiver of the demo's events on this machine, so that the console has deliveries to show.

import { createServer } from "node:http";

/**
 * Listens on a free port of 127.0.0.1 and resolves with its address, and a function that closes it. It answers 204; at `/pager` it answers 503
 * when an event comes for the first time, tests excepted, so that there are deliveries with several attempts.
 */
export function startReceiver() {
  const seen = new Set();
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      const id = request.headers["webhook-id"];
      const mayFail = request.url === "/pager" && !body.includes('"type":"endpoint.test"');
      const fails = mayFail && !seen.has(id) && seen.size < 1_000;
      if (fails) seen.add(id);
      response.writeHead(fails ? 503 : 204).end();
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      resolve({ url: `http://localhost:${port}`, close: () => server.closeAllConnections() ?? server.close() });
    });
  });
}
