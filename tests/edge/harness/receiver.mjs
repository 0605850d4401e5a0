// A receiver of events.

import { createServer } from "node:http";
import { portOf } from "./ports.mjs";

const DELIVERED = 204;

/** Starts a receiver that records each request, and answers it with 204. */
export async function startReceiver() {
  const receiver = new Receiver();
  await receiver.listen();
  return receiver;
}

class Receiver {
  requests = [];
  url = "";
  /** @type {(request: any, response: any) => void} */
  answer = (_, response) => response.writeHead(DELIVERED).end();
  #server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    // Not for this receiver: another program on the machine tries ports.
    if (request.headers["webhook-id"] === undefined) return response.writeHead(400).end();
    this.requests.push({ path: request.url, headers: request.headers, body, json: JSON.parse(body), at: Date.now() });
    this.answer(request, response);
  });

  async listen() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", () => resolve(undefined)));
    this.url = `http://localhost:${portOf(this.#server)}`;
  }

  /** Answers each request from now on with a status. */
  answerWith(status = DELIVERED) {
    this.answer = (_, response) => response.writeHead(status).end();
  }

  /** Returns the requests of one path, of one type of event or of all. */
  at(path, type) {
    return this.requests.filter((request) => request.path === path && (!type || request.json.type === type));
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
