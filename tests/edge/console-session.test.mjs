// Sessions of the console on the real worker: sign-in, what a session may do, its ends, and what other sites and hosts can do with it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { draft, startGate } from "./harness/gate.mjs";
import { MEMBERS } from "./harness/members.mjs";

const CONTROL = "keys.acme.example";
const GATE = "api.acme.example";
const SESSION = "/_keyward/v1/session";
let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url, CONTROL_HOST: CONTROL } });
  assert.equal((await gate.bootstrap()).status, 201);
});
after(async () => {
  await gate?.stop();
  await origin?.close();
});

const cookieOf = (answer) => answer.headers["set-cookie"][0].split(";")[0];
const PAGE = { "sec-fetch-site": "same-origin", origin: `http://${CONTROL}`, "keyward-console": "1" };

/** Sends a request as the console's page does. */
const page = (cookie, path, /** @type {any} */ { headers, ...request } = {}) =>
  gate.call(path, { ...request, headers: { cookie, ...PAGE, ...headers } });

async function signIn(key = gate.owner) {
  const answer = await gate.call(SESSION, { method: "POST", key });
  assert.equal(answer.status, 201, answer.text);
  return cookieOf(answer);
}

/** Makes a member and returns `{id, key}`. */
async function member(role) {
  const json = { name: role, email: `${role}-${Math.random()}@acme.example`, role, environments: null };
  const { member: made, api_key } = (await gate.call(MEMBERS, { method: "POST", key: gate.owner, json })).json;
  return { id: made.id, key: api_key };
}

const audit = (action) => gate.sql(`SELECT * FROM audit WHERE action = '${action}' ORDER BY seq DESC LIMIT 1`)[0];

describe("a session", () => {
  test("begins with a credential, reads and writes, and ends at sign-out for every copy of the cookie", async () => {
    const begun = await gate.call(SESSION, { method: "POST", key: gate.owner });
    assert.equal(begun.status, 201);
    assert.equal(begun.headers["cache-control"], "no-store");
    const [set, ...others] = begun.headers["set-cookie"];
    assert.deepEqual(others, []);
    assert.match(set, /^__Host-keyward=[0-9A-Za-z]{40}; Path=\/; Secure; HttpOnly; SameSite=Strict$/);
    const { member: shown, signed_in_by, expires_at, latest_expires_at } = begun.json;
    assert.deepEqual([shown.role, signed_in_by], ["owner", "session"]);
    assert.equal(Date.parse(latest_expires_at) - Date.parse(expires_at), (8 * 60 - 15) * 60_000);

    const cookie = cookieOf(begun);
    assert.deepEqual((await page(cookie, SESSION)).json, begun.json);
    assert.equal((await page(cookie, "/_keyward/v1/keys", { method: "POST", json: draft() })).status, 201);
    const started = audit("session.start");
    assert.equal(started.actor, shown.id);
    const ended = await page(cookie, SESSION, { method: "DELETE" });
    assert.deepEqual([ended.status, ended.text], [204, ""]);
    assert.match(ended.headers["set-cookie"][0], /^__Host-keyward=; .*; Max-Age=0$/);
    assert.equal(JSON.parse(audit("session.end").detail).session, JSON.parse(started.detail).session);
    for (const path of [SESSION, "/_keyward/v1/me", "/_keyward/v1/keys"])
      assert.equal((await page(cookie, path)).verdict, "401 session_ended");
    assert.deepEqual(gate.sql("SELECT * FROM sessions"), []);
  });

  test("ends with its member: revoked, or given another credential by an owner", async () => {
    for (const action of ["revoke", "rotate"]) {
      const { id, key } = await member("manager");
      const cookie = await signIn(key);
      assert.equal((await page(cookie, "/_keyward/v1/keys")).status, 200);
      const changed = await gate.call(`${MEMBERS}/${id}/${action}`, { method: "POST", key: gate.owner });
      assert.ok(changed.status < 300, changed.text);
      assert.equal((await page(cookie, "/_keyward/v1/keys")).verdict, "401 session_ended", action);
    }
  });

  test("ends after 15 minutes without a request, and after 8 hours", async () => {
    for (const statement of [
      "UPDATE sessions SET seen_at = seen_at - 900000",
      "UPDATE sessions SET expires_at = expires_at - 28800000",
    ]) {
      const cookie = await signIn();
      assert.equal((await page(cookie, SESSION)).status, 200);
      await gate.disturb([statement]);
      assert.equal((await page(cookie, SESSION)).verdict, "401 session_ended", statement);
    }
  });

  test("is written once a minute at most, however many requests it makes", async () => {
    const cookie = await signIn();
    const seen = () => gate.sql("SELECT seen_at FROM sessions ORDER BY created_at DESC LIMIT 1")[0].seen_at;
    const first = seen();
    for (let count = 0; count < 20; count += 1) assert.equal((await page(cookie, "/_keyward/v1/me")).status, 200);
    assert.equal(seen(), first);
    await gate.disturb(["UPDATE sessions SET seen_at = seen_at - 61000"]);
    const background = { headers: { "keyward-console": "background" } };
    assert.equal((await page(cookie, "/_keyward/v1/me", background)).status, 200);
    assert.equal(seen(), first - 61_000);
    assert.equal((await page(cookie, "/_keyward/v1/me")).status, 200);
    assert.ok(seen() >= first);
  });

  test("survives a restart of the worker", async () => {
    const cookie = await signIn();
    await gate.restart();
    assert.equal((await page(cookie, SESSION)).status, 200);
  });

  test("shows the credential again to make a member's", async () => {
    const cookie = await signIn();
    const json = { name: "M", email: `m-${Math.random()}@acme.example`, role: "manager", environments: null };
    const create = (headers = {}) => page(cookie, MEMBERS, { method: "POST", json, headers });
    assert.equal((await create()).verdict, "403 confirmation_required");
    const { key } = await member("owner");
    assert.equal((await create({ "keyward-confirm": key })).verdict, "403 confirmation_required");
    const made = await create({ "keyward-confirm": gate.owner });
    assert.equal(made.status, 201, made.text);
    const rotate = `${MEMBERS}/${made.json.member.id}/rotate`;
    assert.equal((await page(cookie, rotate, { method: "POST" })).verdict, "403 confirmation_required");
    const confirmed = await page(cookie, rotate, { method: "POST", headers: { "keyward-confirm": gate.owner } });
    assert.equal(confirmed.status, 201, confirmed.text);
  });
});

describe("another site", () => {
  const json = draft({ integration: "evil" });

  test("changes nothing with a form, a fetch, or a page at another port of the host", async () => {
    const cookie = await signIn();
    const before = gate.sql("SELECT count(*) AS count FROM audit")[0].count;
    for (const headers of [
      { "content-type": "text/plain", origin: "https://evil.example", "sec-fetch-site": "cross-site" },
      { "content-type": "application/x-www-form-urlencoded", origin: "null", "sec-fetch-site": "cross-site" },
      { "content-type": "application/json", origin: `http://${CONTROL}:9000`, "sec-fetch-site": "same-site" },
      { ...PAGE, origin: `http://${CONTROL}:9000`, "sec-fetch-site": "same-site" },
      { ...PAGE, origin: "https://evil.example" },
      { "content-type": "application/json" },
      { "content-type": "application/json", "keyward-console": "1" },
      { "content-type": "application/json", "sec-fetch-site": "same-origin" },
      { "content-type": "application/json", "sec-fetch-site": "none", "keyward-console": "1" },
    ]) {
      const body = JSON.stringify(json);
      const sent = { "content-type": "application/json", cookie, ...headers };
      const answer = await gate.call("/_keyward/v1/keys", { method: "POST", body, headers: sent });
      assert.match(answer.verdict, /^(403 cross_site|415 unsupported_media_type)$/, JSON.stringify(headers));
    }
    assert.equal(gate.sql("SELECT count(*) AS count FROM audit")[0].count, before);
  });

  test("gets no CORS header, not even for a preflight", async () => {
    const headers = {
      origin: "https://evil.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "keyward-console",
    };
    for (const path of [SESSION, "/_keyward/v1/keys"]) {
      const answer = await gate.call(path, { method: "OPTIONS", headers });
      assert.ok(answer.status >= 400);
      assert.deepEqual(
        Object.keys(answer.headers).filter((name) => name.startsWith("access-control")),
        [],
      );
    }
  });

  test("that plants a second cookie gets a refusal for it", async () => {
    const [own, planted] = [await signIn(), await signIn((await member("auditor")).key)];
    for (const cookie of [`${own}; ${planted}`, `${planted}; a=b; ${own}`, `${own}; ${own}`])
      assert.equal((await page(cookie, "/_keyward/v1/me")).verdict, "400 ambiguous_credentials");
    assert.equal((await page(own, "/_keyward/v1/me", { key: gate.owner })).verdict, "400 ambiguous_credentials");
  });
});

describe("on a host of the gate", () => {
  test("the cookie is no credential, and it never reaches the origin", async () => {
    const cookie = await signIn();
    const { apiKey } = await gate.newKey({ integration: "with-cookie" });
    origin.take();
    const headers = { cookie: `a=b; ${cookie}`, host: GATE };
    assert.equal((await gate.call("/v1/contacts", { headers })).verdict, "401 missing_key");
    assert.equal((await gate.call("/v1/contacts", { headers, key: apiKey })).status, 200);
    assert.equal((await gate.call("/public/a", { headers })).status, 200);
    const confirmed = { ...headers, "keyward-confirm": gate.owner, "keyward-console": "1" };
    assert.equal((await gate.call("/public/a", { headers: confirmed })).status, 200);
    for (const arrival of origin.take()) {
      assert.deepEqual(values(arrival, "cookie"), ["a=b"]);
      assert.deepEqual([...values(arrival, "keyward-confirm"), ...values(arrival, "keyward-console")], []);
    }
    for (const path of [SESSION, "/_keyward/v1/me"])
      assert.equal((await page(cookie, path, { headers: { host: GATE } })).verdict, "404 no_route");
  });
});
