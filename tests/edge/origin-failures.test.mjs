// docs/internals/hostile.md, "Responses" and "Methods": an origin that refuses, hangs, resets or answers nonsense, and a client that leaves.
// Before the headers the answer is 502 or 504. After them the answer is truncated and never looks complete. No request but a read that fails at once is sent twice.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { send } from "./harness/client.mjs";
import { startGate } from "./harness/gate.mjs";
import { startRawOrigin } from "./harness/raw-origin.mjs";
import { until } from "./harness/wait.mjs";
import { openWebSocket } from "./harness/websocket.mjs";

const CONTACTS = "/v1/contacts";
const OK = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
let origin;
let gate;
let key;

before(async () => {
  origin = await startRawOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, ORIGIN_TIMEOUT_SECONDS: 1 } });
  await gate.bootstrap();
  key = await gate.newKey({ scopes: ["contacts:read", "contacts:write"] });
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/** Sends one request while the origin behaves as given. `arrivals` is the number of requests that the origin received. */
async function ask(behaviour, request = {}) {
  origin.behave(behaviour);
  origin.take();
  const began = performance.now();
  const answer = await gate.call(CONTACTS, { key: key.apiKey, ...request });
  return { answer, arrivals: origin.take().length, took: performance.now() - began };
}

const WRITE = { method: "POST", body: "x".repeat(1_000) };

describe("before the headers", () => {
  const BROKEN = {
    "hangs up at once": (socket) => socket.end(),
    "resets at once": (socket) => socket.resetAndDestroy(),
    "resets within the head": (socket) => socket.write("HTTP/1.1 200 O", () => socket.resetAndDestroy()),
    "hangs up within the headers": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Le"),
    "answers without HTTP": (socket) => socket.end("hello\r\n\r\n"),
    "answers with an unknown version of HTTP": (socket) => socket.end("HTTP/9.9 200 OK\r\n\r\n"),
    "answers without a status": (socket) => socket.end("HTTP/1.1 abc OK\r\n\r\n"),
    "answers a header without a colon": (socket) => socket.end("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
    "answers two lengths that differ": (socket) =>
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
    "answers a length that is not a number": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"),
  };
  for (const [what, behaviour] of Object.entries(BROKEN)) {
    test(`an origin that ${what} is 502 origin_unreachable`, async () => {
      for (const request of [{}, WRITE]) {
        const { answer, arrivals } = await ask(behaviour, request);
        assert.equal(answer.verdict, "502 origin_unreachable");
        assert.equal(answer.headers["cache-control"], "no-store");
        // The runtime does not report whether the origin closed a kept connection, so a read is sent once more.
        assert.ok(arrivals <= (request === WRITE ? 1 : 2), `sent ${arrivals} times`);
      }
    });
  }

  test("an origin that hangs is 504 origin_timeout after ORIGIN_TIMEOUT_SECONDS, with a constant body and its cause in the log", async () => {
    for (const request of [{}, WRITE]) {
      const { answer, arrivals, took } = await ask(() => {}, request);
      assert.equal(answer.status, 504);
      assert.equal(
        answer.pinned,
        '{"type":"/_keyward/problems/origin_timeout","title":"Origin timeout","status":504,"detail":"The server behind this API did not respond in time. The request was forwarded, and its outcome is unknown.","code":"origin_timeout","request_id":"<request id>"}',
      );
      assert.equal(answer.headers["cache-control"], "no-store");
      assert.ok(took > 990 && took < 3_000, `${took} ms`);
      assert.equal(arrivals, 1);
      const id = answer.headers["keyward-request-id"];
      await gate.logged((line) => line.includes('"origin_timeout"') && line.includes(id));
    }
  });

  test("an origin that sends half a head and hangs is 504", async () => {
    assert.equal(
      (await ask((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-"))).answer.verdict,
      "504 origin_timeout",
    );
  });

  test("a timed-out request is cancelled: its connection to the origin is closed", async () => {
    let closed = false;
    await ask((socket) => socket.on("close", () => (closed = true)));
    await until("the origin's connection is closed", () => closed, { within: 1_500 });
  });

  test("a public route has the same timeout", async () => {
    origin.behave(() => {});
    assert.equal((await gate.call("/public/x")).verdict, "504 origin_timeout");
  });
});

describe("a kept connection that the origin closed", () => {
  const KEPT = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  /** The origin answers the first request of each connection, and closes it at the second. Returns how often it did that. */
  function closeAtSecond() {
    const seen = { dropped: 0 };
    origin.behave((socket, { head }) => {
      socket.write(head.startsWith("HEAD") ? KEPT.slice(0, -2) : KEPT);
      socket.once("data", () => {
        seen.dropped += 1;
        socket.destroy();
      });
    });
    return seen;
  }

  test("a GET or HEAD on a kept connection that the origin closed is sent once more, and nothing else", async () => {
    for (const method of ["GET", "HEAD"]) {
      const seen = closeAtSecond();
      assert.equal((await gate.call(CONTACTS, { key: key.apiKey })).status, 200);
      const answer = await gate.call(CONTACTS, { key: key.apiKey, method });
      assert.equal(answer.status, 200);
      assert.equal(seen.dropped, 1, `${method} did not meet a closed connection`);
    }
    const seen = closeAtSecond();
    assert.equal((await gate.call(CONTACTS, { key: key.apiKey })).status, 200);
    origin.take();
    const answer = await gate.call(CONTACTS, { key: key.apiKey, ...WRITE });
    assert.equal(answer.verdict, "502 origin_unreachable");
    assert.equal(seen.dropped, 1);
    assert.equal(origin.take().length, 0, "a change was sent again");
  });

  test("a GET is sent twice at most, and not at all again once an answer has begun", async () => {
    const { answer, arrivals } = await ask((socket) => socket.destroy());
    assert.equal(`${answer.verdict} ${arrivals}`, "502 origin_unreachable 2");
    origin.behave((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
    origin.take();
    await assert.rejects(gate.call(CONTACTS, { key: key.apiKey }));
    assert.equal(origin.take().length, 1);
  });

  test("a GET that fails late or times out is not sent again, nor is a WebSocket's handshake", async () => {
    const patient = await startGate({ vars: { ORIGIN_LIVE: origin.url, ORIGIN_TIMEOUT_SECONDS: 5 } });
    try {
      await patient.bootstrap();
      const { apiKey } = await patient.newKey();
      origin.behave((socket) => setTimeout(() => socket.destroy(), 1_200));
      origin.take();
      assert.equal((await patient.call(CONTACTS, { key: apiKey })).verdict, "502 origin_unreachable");
      assert.equal(origin.take().length, 1);
      origin.behave((socket) => socket.destroy());
      assert.equal((await openWebSocket(patient.url, CONTACTS, { "x-api-key": apiKey })).status, 502);
      assert.equal(origin.take().length, 1);
    } finally {
      await patient.stop();
    }
  });
});

describe("after the headers", () => {
  test("an answer whose body takes longer than ORIGIN_TIMEOUT_SECONDS is not cut", async () => {
    for (const extra of ["", "Keyward-Evil: 1\r\n"]) {
      const { answer } = await ask(async (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n${extra}\r\n`);
        for (const letter of "slow") {
          await pause(500);
          socket.write(letter);
        }
      });
      assert.equal(`${answer.status} ${answer.text}`, "200 slow");
    }
  });

  test("a WebSocket that is idle for longer than ORIGIN_TIMEOUT_SECONDS is not cut", async () => {
    origin.behave("websocket");
    const socket = await openWebSocket(gate.url, CONTACTS, { authorization: `Bearer ${key.apiKey}` });
    assert.equal(socket.status, 101);
    await pause(1_500);
    assert.equal(await socket.say("still there"), "echo: still there");
    socket.drop();
  });

  for (const [what, behaviour] of Object.entries({
    "resets within the body": (socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", () =>
        setTimeout(() => socket.resetAndDestroy(), 50),
      ),
    "hangs up within the body": (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
    "breaks off between chunks": (socket) =>
      socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    "sends a chunk without a length": (socket) =>
      socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n"),
  })) {
    test(`an answer of an origin that ${what} is truncated and does not look complete`, async () => {
      origin.behave(behaviour);
      origin.take();
      await assert.rejects(gate.call(CONTACTS, { key: key.apiKey }));
      assert.equal(origin.take().length, 1);
    });
  }

  test("after all these failures the gate serves, and nothing panicked", async () => {
    assert.equal((await ask((socket) => socket.end(OK))).answer.text, "ok");
    assert.deepEqual(
      gate.logs.filter((line) => /panic|RuntimeError|Critical|Reinitializ|Unhandled|forward_failed/.test(line)),
      [],
    );
  });
});

describe("a client that disconnects", () => {
  /** Opens a connection, writes `bytes`, waits for the request to arrive, and resets the connection. */
  async function leave(bytes) {
    origin.behave(() => {});
    origin.take();
    const arrived = origin.next();
    const socket = connect(gate.port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    socket.write(bytes);
    await arrived;
    socket.resetAndDestroy();
    await pause(1_400);
    return origin.take().length;
  }

  const head = (line, more = "") => `${line} HTTP/1.1\r\nHost: h\r\nX-API-Key: ${key.apiKey}\r\n${more}\r\n`;
  test("in the middle of its body causes no retry", async () => {
    assert.equal(await leave(`${head(`POST ${CONTACTS}`, "Content-Length: 100\r\n")}half`), 1);
    assert.equal(await leave(`${head(`POST ${CONTACTS}`, "Transfer-Encoding: chunked\r\n")}4\r\nhalf\r\n`), 1);
  });

  test("while the origin works causes no retry, and the gate keeps serving", async () => {
    assert.equal(await leave(head(`GET ${CONTACTS}`)), 1);
    assert.equal((await ask((socket) => socket.end(OK))).answer.status, 200);
  });
});

test("a client that disconnects cancels its request to the origin, also while an assertion is being signed", {
  timeout: 20_000,
}, async () => {
  const ROUTES = [
    { match: "GET /v1/kept", scope: "contacts:read" },
    { match: "GET /v1/bound", scope: "contacts:read", assertion: "request" },
  ];
  const patient = await startGate({ vars: { ORIGIN_LIVE: origin.url, ORIGIN_TIMEOUT_SECONDS: 60, ROUTES } });
  try {
    await patient.bootstrap();
    const { apiKey } = await patient.newKey({ scopes: ["contacts:read"] });
    origin.behave((socket) => socket.end(OK));
    // A request that carries the report of usage to its object lives on without its client, for 30 s at most. One of these carries it.
    for (const _ of [1, 2, 3]) assert.equal((await patient.call("/v1/kept", { key: apiKey })).status, 200);
    for (const path of ["/v1/kept", "/v1/bound"]) {
      const arrived = new Promise((resolve) => origin.behave(resolve));
      const client = connect(patient.port, "127.0.0.1");
      client.on("error", () => {});
      await once(client, "connect");
      client.write(`GET ${path} HTTP/1.1\r\nHost: h\r\nX-API-Key: ${apiKey}\r\n\r\n`);
      const atOrigin = await arrived;
      const cut = once(atOrigin, "close");
      atOrigin.on("error", () => {});
      atOrigin.resume();
      client.resetAndDestroy();
      // If it is never closed, the test times out.
      await cut;
    }
  } finally {
    await patient.stop();
  }
});

test("an origin that refuses connections is 502 at once", async () => {
  const dead = await startRawOrigin();
  await dead.close();
  const cut = await startGate({ vars: { ORIGIN_LIVE: dead.url } });
  try {
    await cut.bootstrap();
    const { apiKey } = await cut.newKey();
    const began = performance.now();
    assert.equal(
      (await send(cut.url, CONTACTS, { headers: { "x-api-key": apiKey } })).verdict,
      "502 origin_unreachable",
    );
    assert.ok(performance.now() - began < 2_000);
  } finally {
    await cut.stop();
  }
});

test("a failed exchange of a request over HTTPS asks for HTTPS, and one over plain HTTP does not", async (t) => {
  // A service binding is the only way to HTTPS here.
  const source = `export default {
    fetch: (request, env) => env.GATE.fetch(request.url.replace("http:", request.headers.get("x-scheme")), request),
  };`;
  const dead = { ORIGIN_LIVE: "http://127.0.0.1:9" };
  const bound = await startGate({ vars: dead, neighbours: { neighbour: { source } } });
  t.after(() => bound.stop());
  await bound.bootstrap();
  const { apiKey } = await bound.newKey();
  const url = `${await bound.neighbour("neighbour")}${CONTACTS}`;
  for (const [scheme, expected] of /** @type {[string, string | null][]} */ ([
    ["https:", "max-age=31536000"],
    ["http:", null],
  ])) {
    const answer = await fetch(url, { headers: { "x-api-key": apiKey, "x-scheme": scheme } });
    await answer.text();
    assert.equal(answer.status, 502);
    assert.equal(answer.headers.get("strict-transport-security"), expected, scheme);
  }
});
