// Responses: which parts of an origin's answer reach the client.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { openWebSocket } from "./harness/websocket.mjs";

let origin;
let gate;
let key;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  key = await gate.newKey({ scopes: ["contacts:read", "contacts:write"] });
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/**
 * Makes the origin answer with these raw bytes, on a separate connection.
 * @param {string} path
 * @param {string[]} head
 * @param {string | Buffer} body
 */
function originSends(path, head, body = "") {
  origin.on(path, ({ socket }) =>
    socket.end(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), Buffer.from(body)])),
  );
}

const get = (path, options) => gate.call(path, { key: key.apiKey, ...options });

test("a redirect is passed on and never followed, in particular to another host", async () => {
  for (const [status, location] of [
    [301, "/v1/contacts/elsewhere"],
    [302, "https://evil.example/collect"],
    [307, `${origin.url}/v1/contacts/loop`],
    [308, "//evil.example"],
  ]) {
    origin.on("/v1/contacts/redirect", (_, response) => response.writeHead(status, { location }).end());
    origin.take();
    const answer = await get("/v1/contacts/redirect");
    assert.equal(answer.status, status);
    assert.equal(answer.headers.location, location);
    assert.equal(origin.take().length, 1);
  }
});

test("an origin's keyward-* headers and hop-by-hop headers are removed, and the rest is kept", async () => {
  originSends(
    "/v1/contacts/evil",
    [
      "HTTP/1.1 200 OK",
      "Connection: close, X-Hop",
      "X-Hop: 1",
      "Keep-Alive: timeout=5",
      "Proxy-Authenticate: Basic",
      "Proxy-Anything: 1",
      "Trailer: X-T",
      "Upgrade: h2c",
      "Keyward: 1",
      "Keyward-Key-Id: wafl_live_forged000000",
      "Keyward-Request-Id: forged",
      "Keyward_Scopes: forged",
      "X-Stay: caf\xe9",
      'ETag: "1"',
      "Content-Length: 2",
    ],
    "ok",
  );
  const { headers, text, status } = await get("/v1/contacts/evil");
  assert.equal(status, 200);
  assert.equal(text, "ok");
  const left = Object.keys(headers).filter((name) => !["date", "connection", "keep-alive"].includes(name));
  assert.deepEqual(left.sort(), ["content-length", "etag", "proxy-anything", "x-stay"]);
  assert.equal(headers["x-stay"], "caf\xe9");
  assert.ok(!JSON.stringify(headers).includes("X-Hop"));
});

test("Connection cannot remove an answer's own headers", async () => {
  originSends(
    "/v1/contacts/lists",
    [
      "HTTP/1.1 200 OK",
      "Connection: close, Content-Type, Set-Cookie, Cache-Control",
      "Content-Type: text/plain",
      "Set-Cookie: a=1",
      "Cache-Control: private",
      "Content-Length: 2",
    ],
    "ok",
  );
  const { headers } = await get("/v1/contacts/lists");
  assert.equal(headers["content-type"], "text/plain");
  assert.equal(headers["cache-control"], "private");
  assert.deepEqual(headers["set-cookie"], ["a=1"]);
});

test("several Set-Cookie lines stay separate, whether other headers are removed or not", async () => {
  const cookies = ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2; Path=/"];
  for (const extra of [{}, { "keyward-evil": "1" }]) {
    origin.on("/v1/contacts/cookies", (_, response) =>
      response.writeHead(200, { "set-cookie": cookies, ...extra }).end(),
    );
    const { headers } = await get("/v1/contacts/cookies");
    assert.deepEqual(headers["set-cookie"], cookies);
    assert.equal(headers["keyward-evil"], undefined);
  }
});

test("a compressed body passes byte for byte, whether headers are removed or not", async () => {
  const compressed = gzipSync("compressed ".repeat(100));
  for (const extra of [[], ["Keyward-Evil: 1"]]) {
    originSends(
      "/v1/contacts/gzip",
      [
        "HTTP/1.1 200 OK",
        "Content-Encoding: gzip",
        `Content-Length: ${compressed.length}`,
        "Connection: close",
        ...extra,
      ],
      compressed,
    );
    const answer = await get("/v1/contacts/gzip", { headers: { "accept-encoding": "gzip" } });
    assert.equal(answer.headers["content-encoding"], "gzip");
    assert.ok(
      answer.bytes.equals(compressed),
      `${extra}: ${answer.bytes.length} bytes instead of ${compressed.length}`,
    );
  }
});

test("status, reason and an empty body are passed on unchanged", async () => {
  for (const [status, reason, body] of /** @type {[number, string, string][]} */ ([
    [200, "Fine By Me", "ok"],
    [204, "No Content", ""],
    [304, "Not Modified", ""],
    [404, "Not Here", "{}"],
    [418, "Teapot", "short"],
    [503, "Busy", "later"],
  ])) {
    origin.on("/v1/contacts/status", (_, response) => {
      response.statusMessage = reason;
      response.writeHead(status, body === "" ? { etag: '"1"' } : { "content-length": body.length }).end(body);
    });
    const answer = await get("/v1/contacts/status");
    assert.equal(`${answer.status} ${answer.statusText}`, `${status} ${reason}`);
    assert.equal(answer.text, body);
  }
});

test("an answer streams: the client receives its first chunk before the last is written", {
  timeout: 5_000,
}, async () => {
  let finish;
  origin.on("/v1/contacts/slow", (_, response) => {
    response.writeHead(200, { "keyward-evil": "1" });
    response.write("first");
    finish = () => response.end("last");
  });
  const sent = httpRequest(`${gate.url}/v1/contacts/slow`, { headers: { authorization: `Bearer ${key.apiKey}` } });
  sent.end();
  const [response] = await once(sent, "response");
  const [part] = await once(response, "data");
  assert.equal(part.toString(), "first");
  finish();
  let rest = "";
  for await (const more of response) rest += more;
  assert.equal(rest, "last");
});

test("a WebSocket passes with a key, and the origin receives the identity", { timeout: 5_000 }, async () => {
  origin.take();
  const socket = await openWebSocket(gate.url, "/v1/contacts/live", {
    authorization: `Bearer ${key.apiKey}`,
    "Keyward-Scopes": "forged",
  });
  assert.equal(socket.status, 101);
  assert.equal(socket.headers["keyward-evil"], undefined);
  assert.equal(await socket.say("hello"), "echo: hello");
  assert.equal(await socket.say("again"), "echo: again");
  socket.drop();
  const [arrived] = origin.take();
  assert.deepEqual(values(arrived, "keyward-key-id"), [key.id]);
  assert.deepEqual(values(arrived, "keyward-scopes"), ["contacts:read contacts:write"]);
  assert.deepEqual(values(arrived, "authorization"), []);
});

test("a WebSocket without a key is 401, and with one in the URL 400", { timeout: 5_000 }, async () => {
  origin.take();
  assert.equal((await openWebSocket(gate.url, "/v1/contacts/live", {})).status, 401);
  assert.equal((await openWebSocket(gate.url, `/v1/contacts/live?key=${key.apiKey}`, {})).status, 400);
  assert.deepEqual(origin.take(), []);
});

test("an origin that is down is 502 at once with a constant body, and the cause is only in the log", async () => {
  const dead = await startOrigin();
  await dead.close();
  const cut = await startGate({ vars: { ORIGIN_LIVE: dead.url } });
  try {
    await cut.bootstrap();
    const { apiKey } = await cut.newKey({ scopes: ["contacts:read", "contacts:write"] });
    for (const request of [{}, { method: "POST", body: "x" }]) {
      const answer = await cut.call("/v1/contacts", { key: apiKey, ...request });
      assert.equal(answer.status, 502);
      assert.equal(
        answer.pinned,
        '{"type":"/_keyward/problems/origin_unreachable","title":"Origin unreachable","status":502,"detail":"The server behind this API did not respond. Retry later.","code":"origin_unreachable","request_id":"<request id>"}',
      );
      assert.equal(answer.headers["cache-control"], "no-store");
      const id = answer.headers["keyward-request-id"];
      await cut.logged((line) => line.includes("origin_unreachable") && line.includes(id));
    }
  } finally {
    await cut.stop();
  }
});

test("an origin that closes the connection without an answer is 502", async () => {
  origin.on("/v1/contacts/rude", ({ socket }) => socket.resetAndDestroy());
  const answer = await get("/v1/contacts/rude", { method: "POST", body: "x" });
  assert.equal(answer.verdict, "502 origin_unreachable");
});

test("a truncated answer does not look complete", async () => {
  originSends("/v1/contacts/torn", ["HTTP/1.1 200 OK", "Content-Length: 10", "Connection: close"], "half");
  await assert.rejects(get("/v1/contacts/torn"));
  assert.equal((await get("/v1/contacts")).status, 200);
});
