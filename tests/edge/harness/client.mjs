// HTTP client that adds nothing to a request: no User-Agent, no redirects, no decompression.

import { Agent, request } from "node:http";

/** Timeout in milliseconds: a gate that does not answer fails a test instead of blocking it. */
const DEADLINE = 15_000;

/**
 * Sends a request to `url` (scheme, host, port) and reads the whole answer.
 * @param {string | URL} url
 * @param {string} path
 * @param {{ method?: string, headers?: Record<string, any>, body?: any, agent?: Agent }} [options]
 * @returns {Promise<Answer>}
 */
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
    sent.setTimeout(DEADLINE, () => sent.destroy(new Error(`No answer to ${method} ${path} within ${DEADLINE} ms`)));
    sent.end(body);
  });
}

/** Node sends a body without a length chunked for some methods, and not at all for others. */
function withLength(headers, body) {
  return body === undefined ? headers : { "content-length": Buffer.byteLength(body), ...headers };
}

export const newAgent = () => new Agent({ keepAlive: true, maxSockets: 64 });

export class Answer {
  /**
   * @param {import("node:http").IncomingMessage} response
   * @param {Buffer} bytes
   */
  constructor({ statusCode, statusMessage, headers, rawHeaders }, bytes) {
    this.status = statusCode;
    this.statusText = statusMessage;
    /** @type {Record<string, any>} */
    this.headers = headers;
    this.rawHeaders = rawHeaders;
    this.bytes = bytes;
  }

  get text() {
    return this.bytes.toString("utf8");
  }

  get json() {
    try {
      return JSON.parse(this.text);
    } catch {
      throw new Error(`Not JSON: ${this.status} ${this.text.slice(0, 200)}`);
    }
  }

  /** Returns the body with its request id replaced, which must equal the header's. */
  get pinned() {
    const id = this.headers["keyward-request-id"];
    if (!/^[0-9A-Za-z-]{16,64}$/.test(id ?? "")) throw new Error(`Invalid Keyward-Request-Id: ${id}`);
    return this.text.replaceAll(id, "<request id>");
  }

  /** Returns status and code, such as `401 missing_key`, or the status alone if the body is not a problem. */
  get verdict() {
    const isProblem = this.headers["content-type"] === "application/problem+json";
    return isProblem ? `${this.status} ${this.json.code}` : `${this.status}`;
  }
}
