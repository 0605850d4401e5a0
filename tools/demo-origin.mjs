// Demo origin: answers every request with that request as JSON.

import { createServer } from "node:http";

/** Listens on 127.0.0.1 and resolves with the server. Rejects if the port is taken. Port 0 selects a free one. */
export function startDemoOrigin(port) {
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts).toString("utf8");
      const echo = { method: request.method, url: request.url, headers: headersOf(request), body };
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(`${JSON.stringify(echo, null, 2)}\n`);
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

/** Returns every header, with names in lower case. Repeated headers are joined. */
function headersOf({ rawHeaders }) {
  const headers = {};
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase();
    headers[name] = name in headers ? `${headers[name]}, ${rawHeaders[i + 1]}` : rawHeaders[i + 1];
  }
  return headers;
}
