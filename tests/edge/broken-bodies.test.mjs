// A client's own broken body is the client's error: 400, and never a body that looks whole to the origin. On plain workerd, where the
// bytes of the socket arrive raw.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startPlainGate } from "./harness/plain-gate.mjs";
import { portOf } from "./harness/ports.mjs";

const PATH = "/v1/contacts";
const LONG = 200_000;
let origin;
let gate;
let key;

/** An origin that reads whole bodies. `bodies` has each body that ended as a whole one does; `broken` counts the others. */
async function startReader() {
  const bodies = [];
  const state = { broken: 0, begun: 0, settled: 0, waiting: [] };
  const settle = () => {
    state.settled += 1;
    for (const wake of state.waiting.splice(0)) wake();
  };
  const server = createServer((request, response) => {
    const parts = [];
    state.begun += 1;
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      bodies.push(Buffer.concat(parts).toString("latin1"));
      settle();
      response.end("ok");
    });
    request.on("aborted", () => {
      state.broken += 1;
      settle();
    });
    request.on("error", () => {});
  });
  server.on("clientError", (_, socket) => {
    state.broken += 1;
    settle();
    socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    bodies,
    state,
    /** Resolves once every request that began has ended, whole or broken. */
    async settled() {
      while (state.settled < state.begun) await new Promise((resolve) => state.waiting.push(resolve));
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

before(async () => {
  origin = await startReader();
  gate = await startPlainGate({ vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  key = await gate.newKey({ integration: "bodies", scopes: ["contacts:read", "contacts:write"] });
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const head = (...lines) =>
  `POST ${PATH} HTTP/1.1\r\nHost: h\r\nX-API-Key: ${key.apiKey}\r\n${lines.join("\r\n")}\r\n\r\n`;
const CHUNKED = "Transfer-Encoding: chunked";
const BROKEN = {
  "a chunk size past 64 bits": "FFFFFFFFFFFFFFFFFF\r\nhalf\r\n0\r\n\r\n",
  "a negative chunk size": "-4\r\nhalf\r\n0\r\n\r\n",
  "no chunk size": "\r\nhalf\r\n0\r\n\r\n",
  "a chunk size that is no number": "zz\r\nhalf\r\n0\r\n\r\n",
  "a chunk longer than its size": "4\r\nhalfX\r\n0\r\n\r\n",
  "a good chunk and a bad one": "4\r\nhalf\r\nzz\r\n",
};

/** Writes the parts one by one, ends the sending side if `ends`, and returns the status line, code and what the origin saw. */
async function upload(first, parts, { ends = false } = {}) {
  origin.bodies.length = 0;
  Object.assign(origin.state, { broken: 0, begun: 0, settled: 0 });
  const socket = connect(gate.port, "127.0.0.1");
  let received = "";
  socket.on("error", () => {});
  socket.on("data", (part) => (received += part.toString("latin1")));
  await once(socket, "connect");
  socket.write(first);
  for (const part of parts) {
    socket.write(part, "latin1");
    // A pause between the parts makes them arrive in turn, so that the origin has begun to read.
    await pause(60);
  }
  if (ends) socket.end();
  while (!/\r\n\r\n[\s\S]*(?:\}|ok)$/.test(received) && !socket.closed)
    await Promise.race([once(socket, "data"), once(socket, "close")]);
  socket.destroy();
  await origin.settled();
  const status = Number(received.split(" ")[1] ?? 0);
  return { status, code: /"code":"([a-z_]+)"/.exec(received)?.[1], whole: [...origin.bodies] };
}

const REFUSED = { status: 400, code: "invalid_body", whole: [] };

describe("a chunked body", () => {
  test("that is whole arrives whole, and so does a long one with its length", async () => {
    assert.deepEqual((await upload(head(CHUNKED), ["4\r\nwhol\r\n", "1\r\ne\r\n0\r\n\r\n"])).whole, ["whole"]);
    const long = "x".repeat(LONG);
    assert.deepEqual((await upload(head(`Content-Length: ${LONG}`), [long])).whole, [long]);
  });

  for (const [what, body] of Object.entries(BROKEN)) {
    test(`with ${what} is 400 invalid_body, at once and in the middle`, async () => {
      assert.deepEqual(await upload(head(CHUNKED), [body]), REFUSED);
      assert.deepEqual(await upload(head(CHUNKED), ["5\r\nfirst\r\n", body]), REFUSED);
    });
  }

  test("that breaks off is 400 invalid_body to a client that still listens", async () => {
    assert.deepEqual(await upload(head(CHUNKED), ["4\r\nhalf\r\n"], { ends: true }), REFUSED);
    assert.deepEqual(await upload(head(CHUNKED), ["4\r\nha"], { ends: true }), REFUSED);
  });
});

test("a long body that breaks off is 400 invalid_body", async () => {
  assert.deepEqual(await upload(head(`Content-Length: ${LONG}`), ["x".repeat(1_000)], { ends: true }), REFUSED);
});

test("a short body that breaks off never looks whole to the origin", async () => {
  assert.deepEqual((await upload(head("Content-Length: 100"), ["half"], { ends: true })).whole, []);
});

test("fifty broken bodies at once are fifty 400s, and nothing of them looks whole", async () => {
  origin.bodies.length = 0;
  const one = async () => {
    const socket = connect(gate.port, "127.0.0.1");
    let received = "";
    socket.on("error", () => {});
    socket.on("data", (part) => (received += part));
    socket.write(`${head(CHUNKED)}5\r\nfirst\r\nzz\r\n`);
    await once(socket, "close");
    return /"code":"([a-z_]+)"/.exec(received)?.[1];
  };
  const codes = await Promise.all(Array.from({ length: 50 }, one));
  assert.deepEqual([...new Set(codes)], ["invalid_body"]);
  await origin.settled();
  assert.deepEqual(origin.bodies, []);
});

test("an origin that breaks off in a long upload is 502, and no client is blamed", async () => {
  const rude = createServer((request) => request.once("data", () => request.socket.destroy()));
  rude.listen(0, "127.0.0.1");
  await once(rude, "listening");
  const other = await startPlainGate({ vars: { ORIGIN_LIVE: `http://127.0.0.1:${portOf(rude)}` } });
  try {
    await other.bootstrap();
    const { apiKey } = await other.newKey({ integration: "rude", scopes: ["contacts:write"] });
    for (const extra of [{ "content-length": LONG }, { "transfer-encoding": "chunked" }]) {
      const headers = { "x-api-key": apiKey, ...extra };
      const answer = await other.call(PATH, { method: "POST", headers, body: "x".repeat(LONG) });
      assert.equal(answer.verdict, "502 origin_unreachable");
    }
  } finally {
    await other.stop();
    rude.closeAllConnections();
    rude.close();
  }
});

test("nothing of this was logged as the origin's fault, or uncaught", () => {
  assert.deepEqual(
    gate.logs.filter((line) => /origin_unreachable|Uncaught|Unhandled|forward_failed/.test(line)),
    // The short body: its breaking off and the origin's look the same.
    gate.logs.filter((line) => line.includes("origin_unreachable")).slice(0, 1),
  );
});
