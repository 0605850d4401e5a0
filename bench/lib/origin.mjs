// A separate process with the cheapest possible origin and the KV namespaces, in workerd's HTTP interface.
// Prints {"origin": port, "kv": port}.

import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";

const ANSWER = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"items": []}',
);
const END = Buffer.from("\r\n\r\n");

/** Answers each head that arrives. The requests of the benchmark have no bodies. */
const origin = createTcpServer((socket) => {
  socket.setNoDelay();
  let rest = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (part) => {
    rest = rest.length > 0 ? Buffer.concat([rest, part]) : part;
    for (let end = rest.indexOf(END); end >= 0; end = rest.indexOf(END)) {
      rest = rest.subarray(end + END.length);
      socket.write(ANSWER);
    }
  });
});

const values = new Map();
let reads = 0;
let writes = 0;
const kv = createServer((request, response) => {
  const name = decodeURIComponent(request.url.slice(1).split("?")[0]);
  if (name === "counted-so-far") return response.end(JSON.stringify({ reads, writes }));
  if (request.method === "GET") {
    reads += 1;
    const value = values.get(name);
    response.writeHead(value === undefined ? 404 : 200).end(value);
  } else if (request.method === "PUT") {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      writes += 1;
      values.set(name, Buffer.concat(parts));
      response.end();
    });
  } else {
    values.delete(name);
    response.end();
  }
});
kv.keepAliveTimeout = 60_000;

const listening = (server) =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
console.log(JSON.stringify({ origin: await listening(origin), kv: await listening(kv) }));
process.on("disconnect", () => process.exit());
