// `POST /_keyward/v1/verify`: the gate's own checks for other workers and servers.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { send } from "./harness/client.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { mintKey, otherSecret, wrongTag } from "./harness/keys.mjs";
import { newMember } from "./harness/members.mjs";
import { ahead, until } from "./harness/wait.mjs";

const VERIFY = "/_keyward/v1/verify";
/** A worker that receives a request itself and verifies its key through a service binding to the gate. */
const NEIGHBOUR = `export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const question = { api_key: request.headers.get("x-api-key") ?? "", method: request.method, path: pathname, ip: "192.0.2.7" };
    const headers = { "content-type": "application/json", authorization: "Bearer " + request.headers.get("x-verifier") };
    const answer = await env.GATE.fetch("https://gate.example${VERIFY}", { method: "POST", headers, body: JSON.stringify(question) });
    return new Response(answer.body, answer);
  },
};`;

let origin;
let gate;
let verifier;
let limited;
before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    instrumented: true,
    vars: { ORIGIN_LIVE: origin.url },
    neighbours: { neighbour: { source: NEIGHBOUR } },
  });
  await gate.bootstrap();
  verifier = await newMember(gate, { role: "verifier" });
  limited = await newMember(gate, { role: "verifier", environments: ["test"] });
});
after(async () => {
  await gate?.stop();
  await origin?.close();
});

const ask = (question, request = {}) =>
  gate.call(VERIFY, { method: "POST", key: verifier.key, json: question, ...request });
/** Returns `valid`, or the code. */
const verdict = async (question, request) => {
  const { status, json } = await ask(question, request);
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(json), json.valid ? ["valid", "key"] : ["valid", "code"]);
  return json.valid ? "valid" : json.code;
};

test("a second worker in the same runtime verifies a key through a service binding", async () => {
  const { id, apiKey } = await gate.newKey({ allowed_cidrs: ["192.0.2.0/24"] });
  const neighbour = await gate.neighbour("neighbour");
  const through = (path, key) => send(neighbour, path, { headers: { "x-api-key": key, "x-verifier": verifier.key } });
  const good = await through("/v1/contacts/7", apiKey);
  assert.equal(good.status, 200);
  assert.equal(good.json.valid, true);
  assert.equal(good.json.key.id, id);
  assert.deepEqual((await through("/v1/events", apiKey)).json, { valid: false, code: "insufficient_scope" });
  await gate.revoke(id);
  assert.deepEqual((await through("/v1/contacts/7", apiKey)).json, { valid: false, code: "revoked_key" });
  assert.equal(origin.arrivals.length, 0);
});

describe("the verdict", () => {
  test("shows a valid key in the common form", async () => {
    const { json } = await gate.issue();
    const answer = await ask({ api_key: json.api_key });
    const shown = (await gate.call(`/_keyward/v1/keys/${json.key.id}`, { key: gate.owner })).json;
    assert.deepEqual(answer.json, { valid: true, key: shown });
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.ok(!answer.text.includes(json.api_key.slice(-46)) && !answer.text.includes("key_hash"));
  });

  test("names the reason for which the gate refuses a key", async () => {
    const { apiKey } = await gate.newKey();
    const revoked = await gate.newKey();
    await gate.revoke(revoked.id);
    const brief = await gate.newKey({ expires_at: ahead(300) });
    await until("the brief key ends", async () => (await verdict({ api_key: brief.apiKey })) === "expired_key");
    for (const [api_key, expected] of [
      [apiKey, "valid"],
      [revoked.apiKey, "revoked_key"],
      [brief.apiKey, "expired_key"],
      ["", "invalid_key"],
      ["nonsense", "invalid_key"],
      [`Bearer ${apiKey}`, "invalid_key"],
      [wrongTag(apiKey), "invalid_key"],
      [otherSecret(apiKey), "invalid_key"],
      [mintKey({ identifier: "Nobody000001", secret: "5".repeat(32) }), "invalid_key"],
      [gate.owner, "invalid_key"],
      [verifier.key, "invalid_key"],
    ])
      assert.equal(await verdict({ api_key }), expected, api_key.slice(0, 12));
  });

  test("with method and path equals the gate's decision on that request", async () => {
    const { apiKey } = await gate.newKey();
    const none = await gate.newKey({ scopes: ["events:read"] });
    for (const [method, path] of [
      ["GET", "/v1/contacts"],
      ["HEAD", "/v1/contacts/7?page=2"],
      ["POST", "/v1/contacts"],
      ["GET", "/v1/events"],
      ["PATCH", "/v1/contacts"],
      ["GET", "/nowhere"],
      ["GET", "/V1/contacts"],
      ["GET", "/v1/%63ontacts"],
      ["GET", "/v1/contacts/../events"],
      ["GET", `/v1/contacts?key=${apiKey}`],
      ["GET", `/v1/contacts/${"x".repeat(9_000)}`],
      ["DELETE", "/_keyward/v1/keys"],
      ["GET", "/.well-known/oauth-authorization-server/_keyward"],
    ]) {
      for (const { apiKey: key } of [{ apiKey }, none, { apiKey: wrongTag(apiKey) }]) {
        const actual = await verdict({ api_key: key, method, path });
        // Compared at the gate itself, if the client address can be set there.
        if (path.startsWith("/_keyward") || path.startsWith("/.well")) assert.equal(actual, "no_route");
        else {
          const body = method === "POST" || method === "PATCH" ? "x" : undefined;
          const there = await gate.call(path, { method, key, body });
          const code =
            method === "HEAD" && there.status !== 200
              ? { 401: "invalid_key", 403: "insufficient_scope" }[there.status]
              : there.verdict.split(" ")[1];
          assert.equal(actual, there.status === 200 ? "valid" : code, `${method} ${path.slice(0, 40)}`);
        }
      }
    }
  });

  test("refuses an ambiguous method or path", async () => {
    const { apiKey } = await gate.newKey();
    for (const [method, path, expected] of [
      ["GET", "v1/contacts", "bad_path"],
      ["GET", "http://h/v1/contacts", "bad_path"],
      ["GET", "//v1/contacts", "bad_path"],
      ["GET", "", "bad_path"],
      ["GET", "*", "bad_path"],
      ["GET", "/v1/contacts\nx-api-key\nx", "bad_path"],
      ["GET", "/v1/contacts\r", "bad_path"],
      ["GET", "/v1/contacts#x", "bad_path"],
      ["GET", "/v1/contäcts", "bad_path"],
      ["GET\nhttp://h/v1/contacts", "/v1/contacts", "method_not_allowed"],
      ["get", "/v1/contacts", "method_not_allowed"],
      ["TRACE", "/v1/contacts", "method_not_allowed"],
      ["", "/v1/contacts", "method_not_allowed"],
    ])
      assert.equal(await verdict({ api_key: apiKey, method, path }), expected, JSON.stringify([method, path]));
  });

  test("on a public route needs no scope, but the key is checked", async () => {
    const { id, apiKey } = await gate.newKey();
    const asked = { api_key: apiKey, method: "GET", path: "/public/x" };
    assert.equal(await verdict(asked), "valid");
    assert.equal(await verdict({ ...asked, api_key: "x" }), "invalid_key");
    await gate.revoke(id);
    assert.equal(await verdict(asked), "revoked_key");
  });

  test("requires a given scope in addition to the route's own", async () => {
    const { apiKey } = await gate.newKey({ scopes: ["contacts:read"] });
    const route = { method: "GET", path: "/v1/contacts" };
    for (const [question, expected] of /** @type {[object, string][]} */ ([
      [{ scope: "contacts:read" }, "valid"],
      [{ scope: "contacts:write" }, "insufficient_scope"],
      [{ scope: "no.such:scope" }, "insufficient_scope"],
      [{ ...route, scope: "contacts:read" }, "valid"],
      [{ ...route, scope: "events:read" }, "insufficient_scope"],
      [{ method: "GET", path: "/v1/events", scope: "contacts:read" }, "insufficient_scope"],
      [{ scope: null, ip: null, method: null, path: null }, "valid"],
    ]))
      assert.equal(await verdict({ api_key: apiKey, ...question }), expected, JSON.stringify(question));
  });

  test("refuses a key that is limited to networks if no client address is given", async () => {
    const { apiKey } = await gate.newKey({ allowed_cidrs: ["192.0.2.0/24", "2001:db8::/32"] });
    for (const [ip, expected] of [
      ["192.0.2.7", "valid"],
      ["::ffff:192.0.2.7", "valid"],
      ["2001:db8::1", "valid"],
      ["192.0.3.7", "address_not_allowed"],
      [undefined, "address_not_allowed"],
    ]) {
      // The caller's own address at the edge is not used.
      assert.equal(
        await verdict({ api_key: apiKey, ip }, { headers: { "cf-connecting-ip": "192.0.2.7" } }),
        expected,
        ip,
      );
    }
  });

  test("shows a key of another environment as unknown to a member limited to environments", async () => {
    const live = await gate.newKey();
    const revoked = await gate.newKey();
    await gate.revoke(revoked.id);
    const own = await gate.newKey({ environment: "test" });
    const asked = (api_key) => ask({ api_key }, { key: limited.key });
    const absent = await asked(mintKey({ identifier: "Nobody000001", secret: "5".repeat(32) }));
    for (const { apiKey } of [live, revoked]) {
      const answer = await asked(apiKey);
      assert.deepEqual(
        [answer.status, answer.text, Object.keys(answer.headers)],
        [absent.status, absent.text, Object.keys(absent.headers)],
      );
    }
    assert.equal((await asked(own.apiKey)).json.valid, true);
  });
});

describe("a caller", () => {
  test("must be an owner or a verifier, which is checked with the authority on each request", async () => {
    const { apiKey } = await gate.newKey();
    const leaving = await newMember(gate, { role: "verifier" });
    assert.equal((await ask({ api_key: apiKey }, { key: gate.owner })).status, 200);
    assert.equal((await ask({ api_key: apiKey }, { key: leaving.key })).status, 200);
    await gate.call(`/_keyward/v1/members/${leaving.id}/revoke`, { method: "POST", key: gate.owner, json: {} });
    assert.equal((await ask({ api_key: apiKey }, { key: leaving.key })).verdict, "401 invalid_key");
    assert.equal((await ask({ api_key: apiKey }, { key: apiKey })).verdict, "401 invalid_key");
    assert.equal((await ask({ api_key: apiKey }, { key: undefined })).verdict, "401 missing_key");
    // Also for a malformed key: the permission of a caller is never answered from a cache.
    await gate.take();
    await ask({ api_key: "x" });
    await ask({ api_key: apiKey });
    assert.equal((await gate.take()).registry, 2);
  });

  test("with an invalid body gets the field named", async () => {
    const { apiKey } = await gate.newKey();
    for (const [body, field] of [
      [{}, "api_key"],
      [{ api_key: 1 }, "api_key"],
      [{ api_key: null }, "api_key"],
      [{ api_key: apiKey, key: "x" }, "key"],
      [{ api_key: apiKey, method: "GET" }, "path"],
      [{ api_key: apiKey, path: "/v1/contacts" }, "method"],
      [{ api_key: apiKey, method: 1, path: "/" }, "method"],
      [{ api_key: apiKey, scope: "Not A Scope" }, "scope"],
      [{ api_key: apiKey, scope: ["contacts:read"] }, "scope"],
      [{ api_key: apiKey, ip: "nowhere" }, "ip"],
      [{ api_key: apiKey, ip: "192.0.2.0/24" }, "ip"],
    ]) {
      const answer = await ask(body);
      assert.equal(answer.verdict, "400 invalid_request", JSON.stringify(Object.keys(body)));
      assert.equal(answer.json.field, field);
      assert.ok(!answer.text.includes(apiKey.slice(-46)));
    }
    const twice = await ask(undefined, {
      body: `{"api_key":"x","api_key":"${apiKey}"}`,
      headers: { "content-type": "application/json" },
    });
    assert.equal(twice.json.field, "api_key");
    assert.equal(
      (await gate.call(`${VERIFY}?x=y`, { method: "POST", key: verifier.key, json: { api_key: apiKey } })).json.field,
      "query",
    );
  });

  test("gets 503 and never a verdict while the authority is unreachable", async () => {
    const { apiKey } = await gate.newKey();
    for (const registry of ["fail", "500", "garbage"]) {
      await gate.order({ registry });
      for (const api_key of [apiKey, "x"]) assert.equal((await ask({ api_key })).verdict, "503 authority_unavailable");
    }
    await gate.order({ registry: "work" });
    assert.equal(await verdict({ api_key: apiKey }), "valid");
  });
});
