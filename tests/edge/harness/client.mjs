// An HTTP client that sends what it is told and nothing more: no User-Agent, no redirects, no decompression.

import { Agent, request } from "node:http";

/** A gate that doesn't answer must fail a test, not hang it. */
const DEADLINE = 15_000;

/** Sends one request to `url` (scheme, host, port) and reads the whole answer. */
export function send(url, path, { method = "GET", headers = {}, body, agent } = {}) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const sent = request({ hostname, port, path, method, headers: withLength(headers, body), agent }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => resolve(new Answer(response, Buffer.concat(parts))));
    });
    sent.on("error", reject);
    sent.setTimeout(DEADLINE, () => sent.destroy(new Error(`no answer to ${method} ${path} within ${DEADLINE} ms`)));
    sent.end(body);
  });
}

/** Node sends a body of unsaid length chunked for some methods and not at all for others. */
function withLength(headers, body) {
  return body === undefined ? headers : { "content-length": Buffer.byteLength(body), ...headers };
}

export const newAgent = () => new Agent({ keepAlive: true, maxSockets: 64 });

export class Answer {
  constructor({ statusCode, statusMessage, headers, rawHeaders }, bytes) {
    Object.assign(this, { status: statusCode, statusText: statusMessage, headers, rawHeaders, bytes });
  }

  get text() {
    return this.bytes.toString("utf8");
  }

  get json() {
    try {
      return JSON.parse(this.text);
    } catch {
      throw new Error(`no JSON: ${this.status} ${this.text.slice(0, 200)}`);
    }
  }

  /** The body with its request id replaced, which must be the header's. */
  get pinned() {
    const id = this.headers["keyward-request-id"];
    if (!/^[0-9A-Za-z-]{16,64}$/.test(id ?? "")) throw new Error(`no Keyward-Request-Id: ${id}`);
    return this.text.replaceAll(id, "<request id>");
  }

  /** `401 missing_key`, or the status alone where the body is no problem. */
  get verdict() {
    const isProblem = this.headers["content-type"] === "application/problem+json";
    return isProblem ? `${this.status} ${this.json.code}` : `${this.status}`;
  }
}
