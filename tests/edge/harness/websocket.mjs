// Just enough of RFC 6455 for a test: the handshake of both sides, unfragmented frames, and close codes.

import { createHash } from "node:crypto";
import { request } from "node:http";

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const accept = (key) =>
  createHash("sha1")
    .update(key + MAGIC)
    .digest("base64");

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;

/**
 * The origin's side: says yes and echoes every message, a text with `echo: ` before it. A text `close CODE REASON` makes it close so.
 * Returns what it saw: `{closed}`, a promise of how its end was closed.
 */
export function acceptWebSocket(request, socket) {
  socket.on("error", () => {});
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Keyward-Evil: 1\r\nSec-WebSocket-Accept: ${accept(request.headers["sec-websocket-key"])}\r\n\r\n`,
  );
  const closed = new Promise((resolve) => {
    socket.on("close", () => resolve({ code: 1006, reason: "", at: Date.now() }));
    onFrames(socket, (operation, payload) => {
      if (operation === CLOSE) {
        resolve(closing(payload));
        socket.end(frame(CLOSE, payload, false));
      } else if (operation === TEXT) {
        const text = payload.toString("utf8");
        const [, code, reason] = /^close (\d+) ?(.*)$/.exec(text) ?? [];
        if (code !== undefined) socket.write(closeFrame(Number(code), reason, false));
        else socket.write(frame(TEXT, Buffer.from(`echo: ${text}`), false));
      } else {
        socket.write(frame(operation, payload, false));
      }
    });
  });
  return { closed };
}

/**
 * The client's side: resolves with `{status, headers, say(text or bytes) → the next message, close(code, reason), closed, drop()}`, or
 * without `say` where it is refused. `closed` is a promise of `{code, reason, at}`, with 1006 where no close frame came.
 */
export async function openWebSocket(url, path, headers) {
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  const upgrade = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": key,
  };
  const sent = request(url + path, { headers: { ...headers, ...upgrade } });
  sent.end();
  return new Promise((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    sent.on("upgrade", (response, socket, first) => {
      if (response.headers["sec-websocket-accept"] !== accept(key)) reject(new Error("a wrong Sec-WebSocket-Accept"));
      resolve({ status: response.statusCode, headers: response.headers, ...client(socket, first) });
    });
  });
}

function client(socket, first) {
  const messages = [];
  const waiting = [];
  const receive = (message) => (waiting.length > 0 ? waiting.shift()(message) : messages.push(message));
  const next = () => (messages.length > 0 ? messages.shift() : new Promise((resolve) => waiting.push(resolve)));
  socket.on("error", () => {});
  const closed = new Promise((resolve) => {
    socket.on("close", () => resolve({ code: 1006, reason: "", at: Date.now() }));
    onFrames(
      socket,
      (operation, payload) => {
        if (operation !== CLOSE) return receive(operation === TEXT ? payload.toString("utf8") : payload);
        resolve(closing(payload));
        // A peer that is closed answers with the same frame, and the connection ends.
        socket.end(frame(CLOSE, payload, true));
      },
      first,
    );
  });
  const say = (message) => {
    socket.write(frame(typeof message === "string" ? TEXT : BINARY, Buffer.from(message), true));
    return next();
  };
  const close = (code, reason = "") =>
    socket.write(code === undefined ? frame(CLOSE, Buffer.alloc(0), true) : closeFrame(code, reason, true));
  return { say, next, close, closed, drop: () => socket.destroy() };
}

const closing = (payload) => ({
  code: payload.length === 0 ? 1005 : payload.readUInt16BE(0),
  reason: payload.subarray(2).toString("utf8"),
  at: Date.now(),
});

function closeFrame(code, reason, masked) {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return frame(CLOSE, payload, masked);
}

function frame(operation, payload, masked) {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | operation;
  head[1] = (masked ? 0x80 : 0) | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([head, mask, payload.map((byte, at) => byte ^ mask[at % 4])]);
}

/** Calls `take` with the operation and payload of each whole frame. */
function onFrames(socket, take, first = Buffer.alloc(0)) {
  let bytes = first;
  const read = () => {
    for (let whole = firstFrame(bytes); whole !== null; whole = firstFrame(bytes)) {
      bytes = bytes.subarray(whole.size);
      take(whole.operation, whole.payload);
    }
  };
  socket.on("data", (part) => {
    bytes = Buffer.concat([bytes, part]);
    read();
  });
  read();
}

function firstFrame(bytes) {
  if (bytes.length < 2) return null;
  const short = bytes[1] & 0x7f;
  const lengthAt = 2;
  const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
  if (bytes.length < lengthAt + wide) return null;
  const length =
    wide === 0 ? short : wide === 2 ? bytes.readUInt16BE(lengthAt) : Number(bytes.readBigUInt64BE(lengthAt));
  const isMasked = (bytes[1] & 0x80) !== 0;
  const begin = lengthAt + wide + (isMasked ? 4 : 0);
  if (bytes.length < begin + length) return null;
  const mask = bytes.subarray(begin - 4, begin);
  const payload = Buffer.from(bytes.subarray(begin, begin + length));
  if (isMasked) for (let at = 0; at < length; at += 1) payload[at] ^= mask[at % 4];
  return { operation: bytes[0] & 0x0f, payload, size: begin + length };
}
