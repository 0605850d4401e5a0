// Raw TCP client: sends bytes unchanged and splits the answer into status, headers and body.

import { connect } from "node:net";

/**
 * Writes `bytes` (a string is latin1) and reads until the answer is complete or the connection ends.
 * @param {number} port
 * @param {string | Buffer} bytes
 */
export function raw(port, bytes, { deadline = 5_000 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    let received = Buffer.alloc(0);
    const timer = setTimeout(
      () => finish(new Error(`No complete answer in ${deadline} ms: ${received.toString("latin1").slice(0, 200)}`)),
      deadline,
    );
    const finish = (error) => {
      clearTimeout(timer);
      socket.destroy();
      if (error) reject(error);
      else resolve(parse(received));
    };
    socket.on("data", (part) => {
      received = Buffer.concat([received, part]);
      if (isWhole(received)) finish();
    });
    socket.on("error", () => finish());
    socket.on("close", () => finish());
  });
}

/**
 * Returns the bytes of a request, with `Host` and `Connection: close` unless `host` is null.
 * @param {string} line
 * @param {{ host?: string | null, headers?: string[], body?: string }} [options]
 */
export function requestBytes(line, { host = "gate.example", headers = [], body = "" } = {}) {
  const lines = [`${line} HTTP/1.1`, ...(host === null ? [] : [`Host: ${host}`]), ...headers, "Connection: close"];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

function isWhole(bytes) {
  const answer = parse(bytes);
  if (answer.status === 0) return false;
  const length = answer.headers["content-length"];
  if (length !== undefined) return answer.bytes.length >= Number(length);
  return answer.headers["transfer-encoding"] === "chunked" && answer.bytes.toString("latin1").endsWith("0\r\n\r\n");
}

/** Parses an answer. Status 0 means that no complete answer arrived. */
function parse(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return { status: 0, headers: {}, lines: [], bytes: Buffer.alloc(0), text: "", verdict: "nothing" };
  const [first, ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = {};
  for (const line of lines) {
    const at = line.indexOf(":");
    const name = line.slice(0, at).toLowerCase();
    const value = line.slice(at + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const body = bytes.subarray(end + 4);
  const text = headers["transfer-encoding"] === "chunked" ? dechunked(body) : body.toString("utf8");
  const status = Number(first.split(" ")[1]);
  const code = /"code":"([a-z_]+)"/.exec(text)?.[1];
  return { status, headers, lines, bytes: body, text, code, verdict: code ? `${status} ${code}` : `${status}` };
}

function dechunked(bytes) {
  const parts = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n", at);
    const length = end < 0 ? 0 : Number.parseInt(bytes.subarray(at, end).toString("latin1"), 16);
    if (!length) return Buffer.concat(parts).toString("utf8");
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
}
