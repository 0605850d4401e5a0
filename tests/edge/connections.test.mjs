// Long-lived answers: a WebSocket or an event stream that began with a key does not outlive it, in an isolate that serves nothing else.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { newAgent, send } from "./harness/client.mjs";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { ahead } from "./harness/wait.mjs";
import { openWebSocket } from "./harness/websocket.mjs";

const LIVE = "/v1/contacts/live";
const STREAM = "/v1/contacts/stream";
const BOUND = 2;
const GRACE = 3;
/** A question to the authority, and what a busy machine adds. */
const SLACK = 700;
const agent = newAgent();
let origin;

before(async () => {
  origin = await startOrigin();
  // An event each 100 ms, until the client has gone.
  origin.on(STREAM, (request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.write("data: first\n\n");
    const timer = setInterval(() => response.write("data: more\n\n"), 100);
    response.on("close", () => clearInterval(timer));
    request.on("error", () => {});
  });
});

after(async () => {
  agent.destroy();
  await origin?.close();
});

async function start(options = {}) {
  const { vars = {}, ...rest } = options;
  const limits = { REVOCATION_BOUND_SECONDS: BOUND, OUTAGE_GRACE_SECONDS: GRACE };
  const gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, ...limits, ...vars }, ...rest });
  await gate.bootstrap();
  return gate;
}

/** Opens an event stream. `ended` resolves with `{isWhole, at}`. */
async function openStream(url, apiKey, path = STREAM) {
  const sent = httpRequest(url + path, { headers: apiKey ? { authorization: `Bearer ${apiKey}` } : {}, agent: false });
  sent.end();
  const [response] = await once(sent, "response");
  const ended = new Promise((resolve) => {
    response.on("end", () => resolve({ isWhole: true, at: Date.now() }));
    response.on("error", () => resolve({ isWhole: false, at: Date.now() }));
  });
  let events = 0;
  response.on("data", () => (events += 1));
  return { status: response.statusCode, ended, events: () => events, drop: () => response.socket.resetAndDestroy() };
}

/** Opens one of each kind with a key, and hears from both. */
async function openBoth(gate, apiKey) {
  origin.take();
  const socket = await openWebSocket(gate.url, LIVE, { authorization: `Bearer ${apiKey}` });
  assert.equal(socket.status, 101);
  assert.equal(await socket.say("hello"), "echo: hello");
  const stream = await openStream(gate.url, apiKey);
  assert.equal(stream.status, 200);
  const atOrigin = origin.take().find(({ webSocket }) => webSocket).webSocket;
  return { socket, stream, atOrigin };
}

/** Asserts that both kinds and the origin's end close, and returns when the later one did. */
async function closing({ socket, stream, atOrigin }, reason) {
  const [client, far, events] = await Promise.all([socket.closed, atOrigin.closed, stream.ended]);
  assert.deepEqual([client.code, client.reason], [1008, reason]);
  assert.deepEqual([far.code, far.reason], [1008, reason]);
  assert.equal(events.isWhole, true, "the stream broke instead of ending");
  return Math.max(client.at, events.at);
}

describe("while the authority answers", () => {
  let gate;
  before(async () => (gate = await start()));
  after(() => gate?.stop());

  test("a revoked key's WebSocket and stream are closed by the bound, although the isolate is otherwise idle", async (t) => {
    const { id, apiKey } = await gate.newKey();
    const open = await openBoth(gate, apiKey);
    await pause(BOUND * 1_000);
    const began = Date.now();
    const { guaranteed_by } = (await gate.revoke(id)).json;
    const at = await closing(open, "revoked_key");
    t.diagnostic(
      `closed ${at - began} ms after the revocation; guaranteed after ${Date.parse(guaranteed_by) - began} ms`,
    );
    assert.ok(at <= Date.parse(guaranteed_by), "later than guaranteed_by");
    assert.ok(at - began <= BOUND * 1_000 + SLACK, `${at - began} ms`);
    const line = await gate.logged((line) => line.includes('"connection_closed"') && line.includes('"websocket"'));
    assert.ok(line.includes(id) && line.includes('"reason":"revoked_key"') && line.includes('"level":"info"'), line);
  });

  test("an expired key's are closed at its expiry", async (t) => {
    const expires = ahead(3_000);
    const { apiKey } = await gate.newKey({ expires_at: expires });
    const at = await closing(await openBoth(gate, apiKey), "expired_key");
    t.diagnostic(`closed ${at - Date.parse(expires)} ms after the expiry`);
    assert.ok(Math.abs(at - Date.parse(expires)) < SLACK, `${at - Date.parse(expires)} ms`);
  });

  test("those of a key that loses the route's scope are closed, and those of another change stay open", async () => {
    const { id, apiKey } = await gate.newKey({ scopes: ["contacts:read", "contacts:write"] });
    const open = await openBoth(gate, apiKey);
    const change = (json) => gate.call(`/_keyward/v1/keys/${id}`, { method: "PATCH", key: gate.owner, json });
    assert.equal((await change({ scopes: ["contacts:read"] })).status, 200);
    await pause(BOUND * 1_000 + SLACK);
    assert.equal(await open.socket.say("still"), "echo: still");
    const began = Date.now();
    assert.equal((await change({ scopes: ["contacts:write"] })).status, 200);
    const at = await closing(open, "insufficient_scope");
    assert.ok(at - began <= BOUND * 1_000 + SLACK, `${at - began} ms`);
  });

  test("an answer that begins after its key was revoked is 401 in its place, and the origin's end is closed", async () => {
    const { id, apiKey } = await gate.newKey();
    let answer;
    origin.on("/v1/contacts/late", (_, response) => {
      answer = () => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("data: secret\n\n");
        return once(response, "close");
      };
    });
    const arrived = origin.next();
    const asked = gate.call("/v1/contacts/late", { key: apiKey });
    await arrived;
    await gate.revoke(id);
    await pause(BOUND * 1_000);
    const left = answer();
    assert.equal((await asked).verdict, "401 revoked_key");
    await left;
  });

  test("an ordinary download that began before the revocation runs to its end", async () => {
    const { id, apiKey } = await gate.newKey();
    let finish;
    origin.on("/v1/contacts/download", (_, response) => {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      response.write("first ");
      finish = () => response.end("last");
    });
    const arrived = origin.next();
    const asked = gate.call("/v1/contacts/download", { key: apiKey });
    await arrived;
    await gate.revoke(id);
    await pause(BOUND * 1_000 + SLACK);
    finish();
    assert.equal((await asked).text, "first last");
  });

  test("a public route's stream has no key to outlive", async () => {
    origin.on("/public/stream", (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const timer = setInterval(() => response.write("data: more\n\n"), 100);
      response.on("close", () => clearInterval(timer));
    });
    const stream = await openStream(gate.url, undefined, "/public/stream");
    await pause(BOUND * 1_000 + SLACK);
    const before = stream.events();
    await pause(400);
    assert.ok(stream.events() > before);
    stream.drop();
  });

  test("messages of every kind pass in order, and so do the close codes of both ends", async () => {
    const { apiKey } = await gate.newKey();
    const open = () => openWebSocket(gate.url, LIVE, { authorization: `Bearer ${apiKey}` });
    let socket = await open();
    assert.equal(socket.headers["keyward-evil"], undefined);
    const bytes = Buffer.alloc(300_000, 7);
    assert.ok(bytes.equals(await socket.say(bytes)));
    const texts = Array.from({ length: 200 }, (_, at) => `message ${at} ${"x".repeat(at * 10)}`);
    assert.deepEqual(
      await Promise.all(texts.map((text) => socket.say(text))),
      texts.map((text) => `echo: ${text}`),
    );
    origin.take();
    socket.say("close 4001 its own reason");
    assert.deepEqual({ ...(await socket.closed), at: 0 }, { code: 4001, reason: "its own reason", at: 0 });

    for (const [sent, seen] of /** @type {[any[], { code: number, reason: string }][]} */ ([
      [[1000, "done"], { code: 1000, reason: "done" }],
      [[4321, "mine"], { code: 4321, reason: "mine" }],
      [[undefined], { code: 1005, reason: "" }],
    ])) {
      origin.take();
      socket = await open();
      socket.close(...sent);
      const { code, reason } = await origin.take()[0].webSocket.closed;
      assert.deepEqual({ code, reason }, seen);
      assert.equal((await socket.closed).code, seen.code);
    }
  });

  test("a close frame that nobody may send closes both ends too", async () => {
    const { apiKey } = await gate.newKey();
    for (const [code, reason, seen] of /** @type {[number, string, { code: number, reason: string }][]} */ ([
      [0, "x", { code: 1002, reason: "" }],
      [999, "x", { code: 1002, reason: "" }],
      [1004, "x", { code: 1002, reason: "" }],
      [1015, "x", { code: 1002, reason: "" }],
      [5000, "x", { code: 1002, reason: "" }],
      [65_535, "x", { code: 1002, reason: "" }],
      [4001, "too long ".repeat(20), { code: 4001, reason: "" }],
    ])) {
      for (const by of ["client", "origin"]) {
        origin.take();
        const socket = await openWebSocket(gate.url, LIVE, { authorization: `Bearer ${apiKey}` });
        const atOrigin = origin.take()[0].webSocket;
        if (by === "client") socket.close(code, reason);
        else socket.say(`close ${code} ${reason}`);
        for (const end of [socket, atOrigin]) {
          const closed = await end.closed;
          assert.deepEqual({ code: closed.code, reason: closed.reason }, seen, `${code} by the ${by}`);
        }
      }
    }
  });

  test("a client that leaves takes its WebSocket and its stream to the origin with it", async () => {
    const { apiKey } = await gate.newKey();
    const open = await openBoth(gate, apiKey);
    const gone = new Promise((resolve) =>
      origin.on("/v1/contacts/held", (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" }).write("data: x\n\n");
        response.on("close", resolve);
      }),
    );
    const stream = await openStream(gate.url, apiKey, "/v1/contacts/held");
    open.socket.drop();
    open.stream.drop();
    stream.drop();
    await Promise.all([gone, open.atOrigin.closed]);
  });

  test("an origin that breaks off in a stream breaks the client's, and does not look like its end", async () => {
    const { apiKey } = await gate.newKey();
    origin.on("/v1/contacts/torn", (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: x\n\n");
      setTimeout(() => response.destroy(), 100);
    });
    const stream = await openStream(gate.url, apiKey, "/v1/contacts/torn");
    assert.equal((await stream.ended).isWhole, false);
  });

  test("a WebSocket of a retiring key carries Keyward-Key-Expires, and the origin learns whose it is", async () => {
    const { id, apiKey } = await gate.newKey();
    const rotate = { method: "POST", key: gate.owner, json: { overlap_seconds: 3_600 } };
    assert.equal((await gate.call(`/_keyward/v1/keys/${id}/rotate`, rotate)).status, 201);
    origin.take();
    const socket = await openWebSocket(gate.url, LIVE, { authorization: `Bearer ${apiKey}` });
    assert.ok(Date.parse(socket.headers["keyward-key-expires"]) > Date.now());
    assert.deepEqual(values(origin.take()[0], "keyward-key-id"), [id]);
    socket.drop();
  });

  test("nothing of this was uncaught", () => {
    assert.deepEqual(
      gate.logs.filter((line) => /Uncaught|Unhandled|panic|forward_failed|"reason":"internal_error"/.test(line)),
      [],
    );
  });
});

describe("while the authority is unreachable", () => {
  let gate;
  before(async () => (gate = await start({ instrumented: true, edges: 1 })));
  after(() => gate?.stop());

  /** Revokes through another isolate, which still reaches the authority. */
  const revokeElsewhere = (id) =>
    send(gate.edges[0], `/_keyward/v1/keys/${id}/revoke`, {
      method: "POST",
      agent,
      headers: { authorization: `Bearer ${gate.owner}`, "content-type": "application/json" },
      body: JSON.stringify({ reason: "leaked" }),
    });

  for (const trouble of ["fail", "hang"]) {
    test(`a revoked key's WebSocket and stream are closed by guaranteed_by (its calls ${trouble})`, async (t) => {
      const { id, apiKey } = await gate.newKey();
      const open = await openBoth(gate, apiKey);
      await gate.order({ registry: trouble });
      try {
        const revoked = await revokeElsewhere(id);
        assert.equal(revoked.status, 200);
        const guaranteed = Date.parse(revoked.json.guaranteed_by);
        const at = await closing(open, "authority_unavailable");
        t.diagnostic(`closed ${guaranteed - at} ms before guaranteed_by`);
        assert.ok(at <= guaranteed, `${at - guaranteed} ms late`);
        const warned = (line) => line.includes('"connection_closed"') && line.includes("authority_unavailable");
        assert.ok((await gate.logged(warned)).includes('"level":"warn"'));
      } finally {
        await gate.order({ registry: "work" });
      }
      await pause(2_000);
    });
  }

  test("within the grace they stay open, and after it the authority's return keeps them so", async () => {
    const { apiKey } = await gate.newKey();
    const open = await openBoth(gate, apiKey);
    await gate.order({ registry: "fail" });
    await pause(BOUND * 1_000 + 500);
    assert.equal(await open.socket.say("in the grace"), "echo: in the grace");
    await gate.order({ registry: "work" });
    await pause((BOUND + GRACE) * 1_000);
    assert.equal(await open.socket.say("after it"), "echo: after it");
    open.socket.drop();
    open.stream.drop();
  });
});

test("a connection outlives a new wasm instance and changed variables, and is still closed with its key", async () => {
  const gate = await start({ instrumented: true });
  try {
    for (const disturb of [() => gate.breakInstance(), () => gate.changeVariables({ MAX_KEY_DAYS: 300 })]) {
      const { id, apiKey } = await gate.newKey();
      const open = await openBoth(gate, apiKey);
      await disturb();
      assert.equal((await gate.call("/v1/contacts", { key: apiKey })).status, 200);
      await pause(BOUND * 1_000 + SLACK);
      assert.equal(await open.socket.say("still"), "echo: still");
      const began = Date.now();
      await gate.revoke(id);
      const at = await closing(open, "revoked_key");
      assert.ok(at - began <= BOUND * 1_000 + SLACK, `${at - began} ms`);
    }
  } finally {
    await gate.stop();
  }
});

test("many connections of one isolate ask the authority once a bound, all together", async (t) => {
  const gate = await start({ instrumented: true });
  try {
    const { apiKey } = await gate.newKey();
    const open = () => openWebSocket(gate.url, LIVE, { authorization: `Bearer ${apiKey}` });
    const sockets = await Promise.all(Array.from({ length: 40 }, open));
    await gate.take();
    const bounds = 4;
    await pause(bounds * BOUND * 1_000);
    const { changes, lookup, kvGet } = await gate.take();
    t.diagnostic(`${changes} questions in ${bounds} bounds with ${sockets.length} connections`);
    // Each answer counts from its question, so the next bound begins a little later.
    assert.ok(changes >= bounds - 1 && changes <= bounds, `${changes} questions`);
    assert.deepEqual({ lookup, kvGet }, { lookup: 0, kvGet: 0 });
    assert.equal(await sockets[0].say("open"), "echo: open");
    for (const socket of sockets) socket.drop();
  } finally {
    await gate.stop();
  }
});
