// Three thousand malformed requests, composed of parts of valid and hostile ones. For each of them, nothing
// panics, no answer is 500, and a request that reaches the origin is in canonical form.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";

let origin;
let gate;
let key;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    vars: {
      ORIGIN_LIVE: origin.url,
      ROUTES: [
        { match: "* /*", scope: "contacts:read" },
        { match: "GET /public/*", access: "public" },
      ],
    },
  });
  await gate.bootstrap();
  key = await gate.newKey();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/** Seeded pseudo-random numbers (mulberry32), so that a failure can be repeated. */
function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const PIECES = {
  method: ["GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PURGE"],
  good: ["/", "v1", "a", "contacts", "-", ";b=c", "%20", "%C3%A9", ":", "@", "?", "=", "&"],
  path: [
    "/",
    "v1",
    "..",
    ".",
    "%2e",
    "%2E",
    "%2f",
    "%5c",
    "\\",
    "//",
    ";",
    "%3b",
    "%00",
    "%",
    "%25",
    "%c3%a9",
    "%ff",
    "_keyward",
    "public",
    "a",
    "\xe9",
    "?",
    "&",
    "=",
    "*",
    "'",
    '"',
    "<",
    "%20",
    "wafl_live_",
    "~",
    ":",
    "@",
    "|",
    "{",
    "[",
  ],
  host: [...Array(30).fill("gate.example"), "a/b", "a?b", "u@a", "a:1:2", "[::1]", "", "a b", "a, b", "\xe9"],
  name: [
    "Authorization",
    "X-API-Key",
    "Origin",
    "Sec-Fetch-Site",
    "Connection",
    "Upgrade",
    "Keyward-Key-Id",
    "Content-Type",
    "Cookie",
    "X_API_Key",
    "CF-Connecting-IP",
    "Access-Control-Request-Method",
    "Accept-Encoding",
    "Range",
    "Expect",
  ],
  value: [
    "Bearer ",
    "KEY",
    "KEY",
    "wafl_live_",
    "x",
    ",",
    " ",
    "\t",
    "\xff",
    "null",
    "websocket",
    "close",
    "Keyward-Key-Id",
    "a".repeat(300),
    "::1",
    "%00",
    "gzip",
    ";",
    "=",
  ],
};

function requestOf(random) {
  const one = (pieces) => pieces[random(pieces.length)];
  const some = (pieces, most) => Array.from({ length: random(most) }, () => one(pieces)).join("");
  const value = () => some(PIECES.value, 4).replaceAll("KEY", key.apiKey);
  const headers = Array.from({ length: random(5) }, () => `${one(PIECES.name)}: ${value()}`);
  if (random(3) > 0) headers.push(`Authorization: Bearer ${key.apiKey}`);
  const path = `/${Array.from({ length: random(8) }, () => one(random(6) === 0 ? PIECES.path : PIECES.good)).join("")}`;
  return `${one(PIECES.method)} ${path} HTTP/1.1\r\nHost: ${one(PIECES.host)}\r\n${headers.join("\r\n")}${headers.length > 0 ? "\r\n" : ""}Content-Length: 0\r\n\r\n`;
}

/** Sends one request on its own connection. Returns the status, or null if the connection ended without an answer. */
function statusOf(bytes) {
  return new Promise((resolve) => {
    const socket = connect(gate.port, "127.0.0.1", () => socket.write(bytes, "latin1"));
    const finish = (status) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(status);
    };
    const timer = setTimeout(() => finish("no answer"), 5_000);
    socket.on("data", (part) => finish(Number(part.toString("latin1").split(" ")[1])));
    socket.on("error", () => finish(null));
    socket.on("close", () => finish(null));
  });
}

test("nothing panics, nothing is 5xx, and nothing ambiguous is forwarded", { timeout: 60_000 }, async (t) => {
  const random = randomFrom(20_261_123);
  const statuses = {};
  for (let batch = 0; batch < 60; batch += 1) {
    const requests = Array.from({ length: 50 }, () => requestOf(random));
    const answers = await Promise.all(requests.map(statusOf));
    for (const [index, status] of answers.entries()) {
      statuses[status] = (statuses[status] ?? 0) + 1;
      assert.ok(
        typeof status === "number" && (status < 500 || status === 501),
        `${status} to ${JSON.stringify(requests[index])}`,
      );
    }
  }
  t.diagnostic(JSON.stringify(statuses));
  assert.ok(
    statuses[200] > 100 && statuses[400] > 100 && statuses[401] > 10,
    "the pieces make no good mixture any more",
  );

  const arrivals = origin.take();
  for (const { url, headers } of arrivals) {
    const [path] = url.split("?");
    assert.match(path, /^\/(?:[!$&'()*+,;=:@\w.~-]|%[0-9A-Fa-f]{2}|\/(?!\/))*$/, url);
    assert.doesNotMatch(path, /\/\.{1,2}(?:[;/]|%3b|$)|%(?:2[eEfF]|5[cC]|00)|\/\/|^\/_keyward(?:\/|$)/i, url);
    assert.ok(!url.includes(key.apiKey), url);
    assert.equal(
      headers
        .filter(([, value]) => value.includes(key.apiKey))
        .filter(([name]) => name === "authorization" || name === "x-api-key").length,
      0,
    );
    assert.deepEqual(values({ headers }, "keyward-key-id"), [key.id]);
  }
  assert.deepEqual(
    gate.logs.filter((line) => /panic|RuntimeError|Critical|Reinitializ|_failed|Uncaught/.test(line)),
    [],
  );
  assert.equal(await statusOf(`GET /v1 HTTP/1.1\r\nHost: h\r\nX-API-Key: ${key.apiKey}\r\n\r\n`), 200);
});
