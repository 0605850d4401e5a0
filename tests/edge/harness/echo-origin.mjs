// Origin that records each request exactly and echoes it as JSON. `on(path, handler)` replaces the behaviour of a path.

import { once } from "node:events";
import { createServer } from "node:http";
import { portOf } from "./ports.mjs";
import { acceptWebSocket } from "./websocket.mjs";

export async function startOrigin() {
  const origin = new Origin();
  await origin.listen();
  return origin;
}

class Origin {
  // The gate accepts 32 KB of headers; Node's default limit is 16 KB.
  #server = createServer({ maxHeaderSize: 131_072 }, (request, response) => this.#answer(request, response));
  #handlers = new Map();
  #waiting = [];
  #sockets = new Set();
  #port = 0;
  /** Requests that arrived: `{method, url, headers: [[name, value], …], body}`. `body` is set once it has ended. */
  arrivals = [];

  constructor() {
    this.#server.on("upgrade", (request, socket) => {
      const arrival = this.#record(request);
      // The server does not close upgraded connections.
      this.#sockets.add(socket);
      arrival.webSocket = acceptWebSocket(request, socket);
    });
    // Requests with a large head are recorded too. A broken connection is intended by the test.
    this.#server.on("clientError", (_, socket) => socket.destroy());
  }

  async listen() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = portOf(this.#server);
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Sets the handler of `path` (without its query) instead of the echo. */
  on(path, handler) {
    this.#handlers.set(path, handler);
  }

  /** Returns and resets the requests that arrived. */
  take() {
    return this.arrivals.splice(0);
  }

  /** Resolves with the next request as soon as its head has arrived. */
  next() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close() {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** @param {import("node:http").IncomingMessage} request */
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
      return; // The client disconnected in the middle of its body.
    }
    arrival.body = Buffer.concat(parts).toString("utf8");
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(arrival));
  }
}

/** Returns the values of a header of a recorded request, in order. */
export function values(arrival, name) {
  return arrival.headers.filter(([header]) => header === name).map(([, value]) => value);
}
