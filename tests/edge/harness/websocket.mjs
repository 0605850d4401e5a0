// The parts of RFC 6455 that the tests need: both sides of the handshake, and short text frames.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const accept = (key) =>
  createHash("sha1")
    .update(key + MAGIC)
    .digest("base64");

/** The origin's side: accepts and echoes every text with the prefix `echo: `. */
export function acceptWebSocket(request, socket) {
  socket.on("error", () => {});
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Keyward-Evil: 1\r\nSec-WebSocket-Accept: ${accept(request.headers["sec-websocket-key"])}\r\n\r\n`,
  );
  socket.on("data", (bytes) => {
    const text = readFrame(bytes);
    if (text === null) socket.end(Buffer.from([0x88, 0]));
    else socket.write(writeFrame(`echo: ${text}`, false));
  });
}

/** The client's side: resolves with `{status, headers, say(text) → the echo, close()}`, without `say` if it is refused. */
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
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    });
    sent.on("upgrade", (response, socket) => {
      if (response.headers["sec-websocket-accept"] !== accept(key)) reject(new Error("Wrong Sec-WebSocket-Accept"));
      const say = async (text) => {
        socket.write(writeFrame(text, true));
        const [bytes] = await once(socket, "data");
        return readFrame(bytes);
      };
      resolve({ status: response.statusCode, headers: response.headers, say, close: () => socket.destroy() });
    });
  });
}

function writeFrame(text, masked) {
  const payload = Buffer.from(text);
  const mask = masked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0);
  const body = masked ? payload.map((byte, at) => byte ^ mask[at % 4]) : payload;
  return Buffer.concat([Buffer.from([0x81, payload.length | (masked ? 0x80 : 0)]), mask, body]);
}

/** Returns the text of a short frame, or null for a close frame. */
function readFrame(bytes) {
  if ((bytes[0] & 0x0f) === 8) return null;
  const length = bytes[1] & 0x7f;
  if ((bytes[1] & 0x80) === 0) return bytes.subarray(2, 2 + length).toString("utf8");
  const mask = bytes.subarray(2, 6);
  return Buffer.from(bytes.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4])).toString("utf8");
}
