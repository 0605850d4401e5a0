// Introspection (RFC 7662) and revocation (RFC 7009) for any client.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { mintKey, otherSecret, withCheck, wrongTag } from "./harness/keys.mjs";
import { lastEntry, newMember } from "./harness/members.mjs";
import { ahead, until } from "./harness/wait.mjs";

const INTROSPECT = "/_keyward/oauth/introspect";
const REVOKE = "/_keyward/oauth/revoke";
const UNKNOWN = mintKey({ identifier: "Nobody000001", secret: "5".repeat(32) });

let origin;
let gate;
let verifier;
let limited;
before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    instrumented: true,
    vars: { ORIGIN_LIVE: origin.url, ORIGIN_TEST: origin.url, REVOCATION_BOUND_SECONDS: 1 },
  });
  await gate.bootstrap();
  verifier = await newMember(gate, { role: "verifier" });
  limited = await newMember(gate, { role: "verifier", environments: ["test"] });
});
after(async () => {
  await gate?.stop();
  await origin?.close();
});

const introspect = (token, request = {}) =>
  gate.call(INTROSPECT, { method: "POST", key: verifier.key, form: { token }, ...request });
let addresses = 0;
/** Each request comes from its own address, except in the tests of the limit. */
const revoke = (token, /** @type {any} */ { headers = {}, ...request } = {}) => {
  addresses += 1;
  return gate.call(REVOKE, {
    method: "POST",
    form: { token },
    ...request,
    headers: { "cf-connecting-ip": `198.51.100.${addresses}`, ...headers },
  });
};
const basic = (id, secret) => ({
  key: undefined,
  headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString("base64")}` },
});
/** Everything by which a caller could tell two answers apart. */
const shown = ({ status, statusText, pinned, headers }) => [
  status,
  statusText,
  pinned,
  Object.keys(headers).sort(),
  headers["content-type"],
  headers["cache-control"],
  headers["content-length"],
];

describe("introspection", () => {
  test("an active key is described completely", async () => {
    const answer = await gate.issue({ integration: "told-whole", scopes: ["contacts:read", "events:read"] });
    const { key, api_key: apiKey } = answer.json;
    const told = await introspect(apiKey);
    assert.equal(told.status, 200);
    assert.equal(told.headers["content-type"], "application/json");
    assert.equal(told.headers["cache-control"], "no-store");
    assert.deepEqual(told.json, {
      active: true,
      scope: "contacts:read events:read",
      client_id: "told-whole",
      sub: key.id,
      exp: Math.floor(Date.parse(key.expires_at) / 1000),
      iat: Math.floor(Date.parse(key.created_at) / 1000),
      iss: `${gate.url}/_keyward`,
      token_type: "Bearer",
      env: "live",
    });
  });

  test("every inactive key gets the same answer", async () => {
    const { apiKey } = await gate.newKey();
    const revoked = await gate.newKey();
    await gate.revoke(revoked.id);
    const brief = await gate.newKey({ expires_at: ahead(300) });
    await until("the brief key ends", async () => (await introspect(brief.apiKey)).json.active === false);
    const inactive = shown(await introspect("nonsense"));
    assert.equal(inactive[2], '{"active":false}');
    for (const [what, token] of Object.entries({
      unknown: UNKNOWN,
      "another secret": otherSecret(apiKey),
      "a wrong tag": wrongTag(apiKey),
      "a wrong check": `${apiKey.slice(0, -1)}${apiKey.endsWith("0") ? "1" : "0"}`,
      malformed: withCheck("wafl_live_x"),
      "with a scheme": `Bearer ${apiKey}`,
      "with a space": `${apiKey} `,
      "the owner's": gate.owner,
      "the caller's own": verifier.key,
      revoked: revoked.apiKey,
      expired: brief.apiKey,
      long: "x".repeat(60_000),
      "no text": "\u0000\ufffd",
    })) {
      assert.deepEqual(shown(await introspect(token)), inactive, what);
    }
    assert.deepEqual(shown(await introspect(apiKey, { key: limited.key })), inactive, "in another environment");
    assert.equal((await introspect(apiKey)).json.active, true);
  });

  test("a revocation shows at once, whatever the gate has cached", async () => {
    const { id, apiKey } = await gate.newKey();
    assert.equal((await gate.call("/v1/contacts", { key: apiKey })).status, 200);
    await gate.revoke(id);
    assert.equal((await introspect(apiKey)).text, '{"active":false}');
  });

  test("a member limited to an environment can introspect its keys", async () => {
    const { apiKey } = await gate.newKey({ environment: "test" });
    const told = await introspect(apiKey, { key: limited.key });
    assert.equal(told.json.env, "test");
  });

  test("a caller authenticates by Bearer or by Basic only", async () => {
    const { apiKey } = await gate.newKey();
    const gone = await newMember(gate, { role: "verifier" });
    await gate.call(`/_keyward/v1/members/${gone.id}/revoke`, { method: "POST", key: gate.owner, json: {} });
    const encoded = (text) => text.replaceAll("_", "%5F");
    for (const request of [
      {},
      { key: gate.owner },
      basic(verifier.id, verifier.key),
      basic(encoded(verifier.id), encoded(verifier.key)),
    ]) {
      assert.equal((await introspect(apiKey, request)).json.active, true);
    }
    const BEARER = 'Bearer realm="keyward", error="invalid_token"';
    const BASIC = 'Basic realm="keyward"';
    const ANY = 'Basic realm="keyward", Bearer realm="keyward"';
    for (const [what, request, challenge, costs] of /** @type {[string, object, string, number][]} */ ([
      ["nothing", { key: undefined }, ANY, 0],
      ["another scheme", { key: undefined, headers: { authorization: `Digest ${verifier.key}` } }, ANY, 0],
      ["X-API-Key", { key: undefined, headers: { "x-api-key": verifier.key } }, ANY, 0],
      [
        "in the body",
        { key: undefined, form: { token: apiKey, client_id: verifier.id, client_secret: verifier.key } },
        ANY,
        0,
      ],
      ["a data key", { key: apiKey }, BEARER, 0],
      ["a wrong tag", { key: wrongTag(verifier.key) }, BEARER, 0],
      ["twice", { key: `${verifier.key}, Bearer ${verifier.key}` }, BEARER, 0],
      [
        "an unknown member",
        { key: mintKey({ environment: "admin", identifier: "Nobody000001", secret: "5".repeat(32) }) },
        BEARER,
        1,
      ],
      ["another secret", { key: otherSecret(verifier.key) }, BEARER, 1],
      ["a revoked member", { key: gone.key }, BEARER, 1],
      // This isolate knows by then.
      ["a revoked member by Basic", basic(gone.id, gone.key), BASIC, 0],
      ["another's id", basic(limited.id, verifier.key), BASIC, 0],
      ["no id", basic("", verifier.key), BASIC, 0],
      ["a data key by Basic", basic(verifier.id, apiKey), BASIC, 0],
      ["no base64", { key: undefined, headers: { authorization: "Basic !!!" } }, BASIC, 0],
      [
        "no colon",
        { key: undefined, headers: { authorization: `Basic ${Buffer.from(verifier.key).toString("base64")}` } },
        BASIC,
        0,
      ],
    ])) {
      await gate.take();
      const answer = await introspect(apiKey, request);
      assert.equal(answer.status, 401, what);
      assert.equal(answer.json.error, "invalid_client", what);
      assert.equal(answer.headers["content-type"], "application/json", what);
      assert.equal(answer.headers["www-authenticate"], challenge, what);
      assert.equal((await gate.take()).registry, costs, what);
    }
  });

  test("an invalid form is invalid_request, and only for an authorised caller", async () => {
    const { apiKey } = await gate.newKey();
    const raw = (body, /** @type {object} */ headers = { "content-type": "application/x-www-form-urlencoded" }) => ({
      form: undefined,
      body,
      headers,
    });
    for (const [what, request] of /** @type {[string, object][]} */ ([
      ["no token", raw("token_type_hint=access_token")],
      ["an empty token", raw("token=")],
      ["no body", raw("")],
      ["the token twice", raw(`token=${apiKey}&token=${apiKey}`)],
      ["the token twice, escaped", raw(`token=${apiKey}&%74oken=x`)],
      ["the hint twice", raw(`token=${apiKey}&token_type_hint=a&token_type_hint=b`)],
      ["JSON", raw(JSON.stringify({ token: apiKey }), { "content-type": "application/json" })],
      ["no type", raw(`token=${apiKey}`, {})],
      ["text", raw(`token=${apiKey}`, { "content-type": "text/plain" })],
    ])) {
      const answer = await introspect("", request);
      assert.equal(answer.status, 400, what);
      assert.equal(answer.json.error, "invalid_request", what);
      assert.ok(!answer.text.includes(apiKey.slice(-46)), what);
      assert.equal((await introspect("", { ...request, key: apiKey })).json.error, "invalid_client", what);
    }
    const query = await gate.call(`${INTROSPECT}?hint=x`, {
      method: "POST",
      key: verifier.key,
      form: { token: apiKey },
    });
    assert.equal(query.json.error, "invalid_request");
    assert.equal(
      (await gate.call(`${INTROSPECT}?token=${apiKey}`, { method: "POST", key: verifier.key, form: {} })).verdict,
      "400 key_in_url",
    );
  });

  test("unknown parameters are ignored, and a hint changes nothing", async () => {
    const { apiKey } = await gate.newKey();
    for (const form of [
      { token: apiKey, token_type_hint: "refresh_token" },
      { resource: "x", token: apiKey },
    ]) {
      assert.equal((await introspect("", { form })).json.active, true);
    }
    const typed = await introspect(apiKey, {
      headers: { "content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8" },
    });
    assert.equal(typed.json.active, true);
  });

  test("other roles and cross-site requests are refused, and a GET does nothing", async () => {
    const { apiKey } = await gate.newKey();
    for (const role of ["manager", "responder", "auditor"]) {
      const member = await newMember(gate, { role });
      assert.equal((await introspect(apiKey, { key: member.key })).verdict, "403 forbidden");
      assert.equal((await introspect("nonsense", { key: member.key })).verdict, "403 forbidden");
    }
    assert.equal((await introspect(apiKey, { headers: { origin: "https://evil.example" } })).verdict, "403 cross_site");
    const get = await gate.call(INTROSPECT, { key: verifier.key });
    assert.equal(get.verdict, "405 method_not_allowed");
    assert.equal(get.headers.allow, "POST");
    assert.equal((await introspect("x".repeat(66_000))).verdict, "413 body_too_large");
  });

  test("while the authority is unreachable the answer is 503 and never inactive", async () => {
    const { apiKey } = await gate.newKey();
    for (const registry of ["fail", "500", "garbage"]) {
      await gate.order({ registry });
      for (const token of [apiKey, "nonsense"]) {
        const answer = await introspect(token);
        assert.equal(answer.verdict, "503 authority_unavailable", registry);
        assert.equal(answer.headers["retry-after"], "5");
      }
    }
    await gate.order({ registry: "work" });
    assert.equal((await introspect(apiKey)).json.active, true);
  });
});

describe("revocation by the holder of a key", () => {
  test("takes effect within the bound and is in the audit log with the holder as its actor", async () => {
    const { id, apiKey } = await gate.newKey();
    assert.equal((await gate.call("/v1/contacts", { key: apiKey })).status, 200);
    const answer = await revoke(apiKey, { headers: { "cf-connecting-ip": "192.0.2.44" } });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, "");
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.equal((await introspect(apiKey)).text, '{"active":false}');
    await until(
      "the gate refuses it",
      async () => (await gate.call("/v1/contacts", { key: apiKey })).verdict === "401 revoked_key",
    );
    const key = (await gate.call(`/_keyward/v1/keys/${id}`, { key: gate.owner })).json;
    assert.deepEqual(
      [key.status, key.revoked_by, key.revoke_reason],
      ["revoked", "holder", "Revoked by whoever holds it"],
    );
    const { actor, action, subject, detail } = await lastEntry(gate);
    assert.deepEqual([actor, action, subject, detail.client_address], ["holder", "key.revoke", id, "192.0.2.44"]);
    assert.equal(detail.request_id, answer.headers["keyward-request-id"]);
  });

  test("unknown, malformed, wrong, already revoked and just revoked keys get the same answer", async () => {
    const { id, apiKey } = await gate.newKey();
    const revoked = await gate.newKey();
    await gate.revoke(revoked.id, "leaked");
    const revision = () => gate.sql("SELECT value FROM meta WHERE name = 'revision'")[0].value;
    const before = revision();
    const answers = {};
    for (const [what, token] of Object.entries({
      unknown: UNKNOWN,
      "another secret": otherSecret(apiKey),
      "a wrong tag": wrongTag(apiKey),
      malformed: "x",
      "a member's": gate.owner,
      "revoked before": revoked.apiKey,
    }))
      answers[what] = shown(await revoke(token));
    assert.equal(revision(), before, "something was changed");
    answers["revoked now"] = shown(await revoke(apiKey));
    answers["once more"] = shown(await revoke(apiKey));
    for (const [what, answer] of Object.entries(answers)) assert.deepEqual(answer, answers["revoked now"], what);
    assert.equal(Number(revision()), Number(before) + 1);
    assert.equal(
      (await gate.call(`/_keyward/v1/keys/${revoked.id}`, { key: gate.owner })).json.revoke_reason,
      "leaked",
    );
    assert.equal(
      (await gate.call(`/_keyward/v1/me`, { key: gate.owner })).status,
      200,
      "a member's credential was revoked",
    );
    assert.ok(gate.logs.some((line) => line.includes('"event":"key_revoked_by_holder"') && line.includes(id)));
  });

  test("a token without our tag costs no call of the object", async () => {
    const { apiKey } = await gate.newKey();
    await gate.take();
    for (const token of ["x", wrongTag(apiKey), gate.owner]) await revoke(token);
    assert.equal((await gate.take()).registry, 0);
  });

  test("needs no authentication, and a credential changes nothing", async () => {
    for (const headers of [
      {},
      { authorization: "Basic !!!" },
      { authorization: `Bearer ${UNKNOWN}` },
      { authorization: "Bearer x, Bearer y" },
    ]) {
      const { apiKey } = await gate.newKey();
      assert.equal((await revoke(apiKey, { headers })).status, 200);
      assert.equal((await introspect(apiKey)).json.active, false);
    }
    // A key in the header is not taken as the token.
    const { apiKey } = await gate.newKey();
    assert.equal(
      (await revoke("x", { headers: { authorization: `Bearer ${apiKey}`, "x-api-key": apiKey } })).status,
      200,
    );
    assert.equal((await introspect(apiKey)).json.active, true);
  });

  test("an invalid form is invalid_request and revokes nothing", async () => {
    const { apiKey } = await gate.newKey();
    for (const request of [
      { form: {} },
      {
        form: [
          ["token", apiKey],
          ["token", apiKey],
        ],
      },
      { form: undefined, json: { token: apiKey } },
    ]) {
      const answer = await revoke(apiKey, request);
      assert.deepEqual([answer.status, answer.json.error], [400, "invalid_request"]);
    }
    assert.equal((await revoke(apiKey, { headers: { origin: "https://evil.example" } })).verdict, "403 cross_site");
    assert.equal((await introspect(apiKey)).json.active, true);
  });

  test("an address is rate limited without an effect on other addresses", async () => {
    const { apiKey } = await gate.newKey();
    const { apiKey: spent } = await gate.newKey();
    const from = (address, token) => revoke(token, { headers: { "cf-connecting-ip": address } });
    // Only keys of this deployment count.
    for (let asked = 0; asked < 30; asked += 1) assert.equal((await from("2001:db8:7::1", "x")).status, 200);
    const statuses = [];
    for (let asked = 0; asked < 24; asked += 1) statuses.push((await from("2001:db8:7::1", spent)).status);
    assert.deepEqual(statuses.slice(0, 20), Array(20).fill(200));
    assert.ok(statuses.slice(20).includes(429), statuses.join(" "));
    const refused = await from("2001:db8:7::2", apiKey);
    assert.equal(refused.verdict, "429 rate_limited", "the same /64");
    assert.match(refused.headers["retry-after"], /^[1-3]$/);
    assert.equal((await introspect(apiKey)).json.active, true, "revoked although refused");
    assert.equal((await from("2001:db8:8::1", apiKey)).status, 200);
    assert.equal((await introspect(apiKey)).json.active, false);
  });

  test("an unknown outcome is 503, and a retry is safe", async () => {
    const { id, apiKey } = await gate.newKey();
    await gate.order({ registry: "fail" });
    assert.equal((await revoke(apiKey)).verdict, "503 authority_unavailable");
    await gate.order({ registry: "fail after" });
    assert.equal((await revoke(apiKey)).verdict, "503 authority_unavailable");
    await gate.order({ registry: "work" });
    assert.equal((await revoke(apiKey)).status, 200);
    const entries = gate.sql("SELECT actor FROM audit WHERE subject = ? AND action = 'key.revoke'", id);
    assert.deepEqual(entries, [{ actor: "holder" }]);
  });
});
