// An origin that records exactly what arrives and answers with it as JSON. `on(path, handler)` gives a path another behaviour.

import { once } from "node:events";
import { createServer } from "node:http";
import { acceptWebSocket } from "./websocket.mjs";

export async function startOrigin() {
  const origin = new Origin();
  await origin.listen();
  return origin;
}

class Origin {
  // The gate lets 32 KB of headers pass; Node's own limit is 16.
  #server = createServer({ maxHeaderSize: 131_072 }, (request, response) => this.#answer(request, response));
  #handlers = new Map();
  #waiting = [];
  #sockets = new Set();
  #port = 0;
  /** Whatever arrived: `{method, url, headers: [[name, value], …], body}`, the body once it has ended. */
  arrivals = [];

  constructor() {
    this.#server.on("upgrade", (request, socket) => {
      const arrival = this.#record(request);
      // An upgraded connection is no longer the server's to close.
      this.#sockets.add(socket);
      arrival.webSocket = acceptWebSocket(request, socket);
    });
    // What the gate sends is recorded, however large its head; a broken connection is the test's own doing.
    this.#server.on("clientError", (_, socket) => socket.destroy());
  }

  async listen() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = this.#server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Gives `path` (without its query) another handler than the echo. */
  on(path, handler) {
    this.#handlers.set(path, handler);
  }

  /** What arrived since the last call. */
  take() {
    return this.arrivals.splice(0);
  }

  /** Resolves with the next arrival, at the moment its head is there. */
  next() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #record({ method, url, rawHeaders }) {
    const headers = [];
    for (let at = 0; at < rawHeaders.length; at += 2) headers.push([rawHeaders[at].toLowerCase(), rawHeaders[at + 1]]);
    const arrival = { method, url, headers, body: null };
    this.arrivals.push(arrival);
    this.#waiting.shift()?.(arrival);
    return arrival;
  }

  async #answer(request, response) {
    const arrival = this.#record(request);
    const handler = this.#handlers.get(request.url.split("?")[0]);
    if (handler) return handler(request, response);
    const parts = [];
    try {
      for await (const part of request) parts.push(part);
    } catch {
      return; // The client left in the middle; there is nobody to answer.
    }
    arrival.body = Buffer.concat(parts).toString("utf8");
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(arrival));
  }
}

/** The values of a header in an arrival, in order. */
export function values(arrival, name) {
  return arrival.headers.filter(([header]) => header === name).map(([, value]) => value);
}
