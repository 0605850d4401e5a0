// Rotation of a key under traffic, and changes of a key.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { KEYS, lastEntry } from "./harness/members.mjs";
import { startRawOrigin } from "./harness/raw-origin.mjs";
import { ahead, until } from "./harness/wait.mjs";

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, MAX_KEY_DAYS: 30, REVOCATION_BOUND_SECONDS: 1 } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const rotate = (id, json = {}, request = {}) =>
  gate.call(`${KEYS}/${id}/rotate`, { method: "POST", key: gate.owner, json, ...request });
const patch = (id, json, request = {}) =>
  gate.call(`${KEYS}/${id}`, { method: "PATCH", key: gate.owner, json, ...request });
const show = async (id) => (await gate.call(`${KEYS}/${id}`, { key: gate.owner })).json;
const use = (key, path = "/v1/contacts") => gate.call(path, { key });
const life = ({ created_at: from, expires_at: to }) => Date.parse(to) - Date.parse(from);

describe("rotation", () => {
  test("no request fails during a rotation, with the old key or the new one", async () => {
    const old = await gate.newKey({ integration: "busy" });
    const answers = [];
    let current = old.apiKey;
    let going = true;
    const client = async (key) => {
      while (going) answers.push(await use(key()));
    };
    const clients = [client(() => old.apiKey), client(() => old.apiKey), client(() => current), client(() => current)];
    await until("traffic", () => answers.length > 50);
    const rotated = await rotate(old.id, { overlap_seconds: 3600 });
    assert.equal(rotated.status, 201);
    current = rotated.json.api_key;
    const before = answers.length;
    // After the bound every isolate knows the change.
    await until(
      "answers to the old key carry the header",
      async () => (await use(old.apiKey)).headers["keyward-key-expires"] !== undefined,
    );
    await until("more traffic", () => answers.length > before + 100);
    going = false;
    await Promise.all(clients);
    assert.deepEqual(
      answers.filter(({ status }) => status !== 200).map(({ verdict }) => verdict),
      [],
    );
  });

  test("the answer shows both keys and both times; the new key has the rights and the lifetime of the old one", async () => {
    const old = await gate.newKey({
      integration: "shown",
      scopes: ["contacts:read", "events:read"],
      allowed_cidrs: ["127.0.0.0/8"],
      expires_in_days: 20,
    });
    const answer = await rotate(old.id);
    assert.equal(answer.status, 201);
    assert.deepEqual(Object.keys(answer.json), ["key", "api_key", "retiring", "effective_by", "guaranteed_by"]);
    const { key, retiring, effective_by: effective, guaranteed_by: guaranteed } = answer.json;
    assert.deepEqual(
      [key.status, key.rotated_from, key.scopes, key.allowed_cidrs, key.integration],
      ["active", old.id, ["contacts:read", "events:read"], ["127.0.0.0/8"], "shown"],
    );
    assert.equal(life(key), 20 * 86_400_000);
    assert.deepEqual([retiring.id, retiring.status, retiring.successor], [old.id, "retiring", key.id]);
    assert.equal(Date.parse(retiring.expires_at) - Date.parse(key.created_at), 86_400_000);
    assert.equal(Date.parse(effective) - Date.parse(key.created_at), 1_000);
    assert.equal(Date.parse(guaranteed) - Date.parse(effective), 60_000);
    assert.deepEqual(await show(old.id), retiring);
    assert.equal((await lastEntry(gate)).action, "key.rotate");
  });

  test("only answers to a retiring key carry Keyward-Key-Expires, refusals included", async () => {
    const old = await gate.newKey({ integration: "retiring" });
    assert.equal((await use(old.apiKey)).headers["keyward-key-expires"], undefined);
    const { json } = await rotate(old.id, { overlap_seconds: 60 });
    await until(
      "the header",
      async () => (await use(old.apiKey)).headers["keyward-key-expires"] === json.retiring.expires_at,
    );
    const refused = await use(old.apiKey, "/v1/events");
    assert.equal(
      `${refused.verdict} ${refused.headers["keyward-key-expires"]}`,
      `403 insufficient_scope ${json.retiring.expires_at}`,
    );
    origin.on("/v1/contacts/spoof", (_, response) =>
      response.writeHead(200, { "keyward-key-expires": "never", keyward_key_expires: "never" }).end("x"),
    );
    const answer = await use(old.apiKey, "/v1/contacts/spoof");
    assert.equal(answer.headers["keyward-key-expires"], json.retiring.expires_at);
    assert.equal(answer.headers.keyward_key_expires, undefined);
    assert.equal((await use(json.api_key)).headers["keyward-key-expires"], undefined);
    assert.equal((await use(json.api_key, "/v1/contacts/spoof")).headers["keyward-key-expires"], undefined);
  });

  test("a 502 or 504 to a retiring key carries its end", async (t) => {
    const raw = await startRawOrigin();
    const slow = await startGate({
      vars: { ORIGIN_LIVE: raw.url, ORIGIN_TIMEOUT_SECONDS: 1, REVOCATION_BOUND_SECONDS: 1 },
    });
    t.after(async () => {
      await slow.stop();
      await raw.close();
    });
    await slow.bootstrap();
    const old = await slow.newKey();
    const { json } = await slow.call(`${KEYS}/${old.id}/rotate`, {
      method: "POST",
      key: slow.owner,
      json: { overlap_seconds: 60 },
    });
    for (const [behaviour, verdict] of [
      [(socket) => socket.resetAndDestroy(), "502 origin_unreachable"],
      [() => {}, "504 origin_timeout"],
    ]) {
      raw.behave(behaviour);
      const retiring = await slow.call("/v1/contacts", { key: old.apiKey });
      assert.equal(
        `${retiring.verdict} ${retiring.headers["keyward-key-expires"]}`,
        `${verdict} ${json.retiring.expires_at}`,
      );
      const active = await slow.call("/v1/contacts", { key: json.api_key });
      assert.equal(`${active.verdict} ${active.headers["keyward-key-expires"]}`, `${verdict} undefined`);
    }
  });

  test("bodies of every kind pass unchanged with the header", async () => {
    const old = await gate.newKey({ integration: "bodies" });
    await rotate(old.id);
    await until("the header", async () => (await use(old.apiKey)).headers["keyward-key-expires"]);
    origin.on("/v1/contacts/none", (_, response) => response.writeHead(204).end());
    origin.on("/v1/contacts/moved", (_, response) =>
      response.writeHead(302, { location: "https://elsewhere.example/" }).end(),
    );
    origin.on("/v1/contacts/big", (_, response) => response.writeHead(200).end("x".repeat(300_000)));
    for (const [path, status, length] of /** @type {[string, number, number][]} */ ([
      ["none", 204, 0],
      ["moved", 302, 0],
      ["big", 200, 300_000],
    ])) {
      const answer = await use(old.apiKey, `/v1/contacts/${path}`);
      assert.deepEqual([answer.status, answer.bytes.length], [status, length], path);
      assert.ok(answer.headers["keyward-key-expires"], path);
    }
  });

  test("the old key expires after the overlap, or at its own end if that is earlier", async () => {
    const old = await gate.newKey({ integration: "brief" });
    await rotate(old.id, { overlap_seconds: 0 });
    await until("the old key's end", async () => (await use(old.apiKey)).verdict === "401 expired_key");
    assert.equal((await show(old.id)).status, "expired");
    const near = await gate.newKey({ integration: "near", expires_at: ahead(3_600_000) });
    const { expires_at: end } = await show(near.id);
    assert.equal((await rotate(near.id, { overlap_seconds: 7200 })).json.retiring.expires_at, end);
  });

  test("only an active key is rotated; a retiring one can be revoked at once", async () => {
    const old = await gate.newKey({ integration: "once" });
    const { json } = await rotate(old.id);
    const again = await rotate(old.id);
    assert.equal(again.verdict, "409 not_active");
    assert.match(again.json.detail, /retiring/);
    assert.equal((await gate.revoke(old.id)).json.key.status, "revoked");
    assert.equal((await rotate(old.id)).verdict, "409 not_active");
    await until("the old key's end", async () => (await use(old.apiKey)).verdict === "401 revoked_key");
    assert.equal((await use(old.apiKey)).headers["keyward-key-expires"], undefined);
    assert.equal((await use(json.api_key)).status, 200);
    assert.equal((await rotate(json.key.id)).status, 201);
  });

  test("an invalid field is named, and nothing is rotated", async () => {
    const { id } = await gate.newKey({ integration: "wrong" });
    for (const [field, json] of [
      ["overlap_seconds", { overlap_seconds: -1 }],
      ["overlap_seconds", { overlap_seconds: 2_592_001 }],
      ["overlap_seconds", { overlap_seconds: 1.5 }],
      ["overlap_seconds", { overlap_seconds: "60" }],
      ["overlap", { overlap: 60 }],
    ]) {
      const answer = await rotate(id, json);
      assert.equal(`${answer.verdict} ${answer.json.field}`, `400 invalid_request ${field}`);
    }
    assert.equal(
      (await gate.call(`${KEYS}/${id}/rotate`, { method: "POST", key: gate.owner, body: "{}" })).verdict,
      "415 unsupported_media_type",
    );
    for (const other of [
      "wafl_live_000000000000",
      "nonsense",
      (await gate.call("/_keyward/v1/me", { key: gate.owner })).json.id,
    ])
      assert.equal((await rotate(other)).verdict, "404 not_found");
    assert.equal((await show(id)).status, "active");
  });
});

describe("changes", () => {
  test("only the given fields change, and the audit log shows before and after", async () => {
    const { id, apiKey } = await gate.newKey({ integration: "changed" });
    const before = await show(id);
    assert.equal((await use(apiKey, "/v1/events")).verdict, "403 insufficient_scope");
    const answer = await patch(id, { scopes: ["events:read"], purpose: "Another purpose", owner: "new@acme.example" });
    assert.equal(answer.status, 200);
    assert.deepEqual(Object.keys(answer.json), ["key", "effective_by", "guaranteed_by"]);
    const { revision, ...shown } = answer.json.key;
    assert.ok(revision > before.revision);
    const { revision: _, ...expected } = {
      ...before,
      scopes: ["events:read"],
      purpose: "Another purpose",
      owner: "new@acme.example",
    };
    assert.deepEqual(shown, expected);
    await until("the new scope", async () => (await use(apiKey, "/v1/events")).status === 200);
    assert.equal((await use(apiKey)).verdict, "403 insufficient_scope");
    const { action, detail } = await lastEntry(gate);
    assert.equal(action, "key.update");
    assert.deepEqual(
      [detail.removed, detail.added, detail.before.purpose],
      [{ scopes: ["contacts:read"] }, { scopes: ["events:read"] }, before.purpose],
    );
    assert.equal(detail.after.name, undefined);
  });

  test("an end must be in the future and at most MAX_KEY_DAYS away", async () => {
    const { id } = await gate.newKey({ integration: "ends", expires_in_days: 2 });
    const later = ahead(29 * 86_400_000);
    assert.equal((await patch(id, { expires_at: later })).json.key.expires_at, later);
    for (const expires of [ahead(31 * 86_400_000), ahead(-1000), "2026-11-23", "Infinity", null]) {
      const answer = await patch(id, { expires_at: expires });
      assert.equal(`${answer.verdict} ${answer.json.field}`, "400 invalid_request expires_at", expires);
    }
  });

  test("an immutable field is refused by name, and so is an unknown scope or a taken name", async () => {
    const { id } = await gate.newKey({ integration: "fixed" });
    await gate.newKey({ integration: "other", name: "The other" });
    for (const field of ["environment", "integration", "status", "expires_in_days", "revision", "id"]) {
      const answer = await patch(id, { [field]: "x" });
      assert.equal(`${answer.verdict} ${answer.json.field}`, `400 invalid_request ${field}`);
    }
    assert.equal((await patch(id, { scopes: ["nonsense"] })).verdict, "400 unknown_scope");
    assert.equal((await patch(id, { name: "The other" })).verdict, "409 name_taken");
    assert.equal((await patch(id, {})).verdict, "400 invalid_request");
    assert.equal((await patch("wafl_live_000000000000", { name: "x" })).verdict, "404 not_found");
  });

  test("a revoked or expired key cannot be changed", async () => {
    const revoked = await gate.newKey({ integration: "ended" });
    await gate.revoke(revoked.id);
    const expired = await gate.newKey({ integration: "ran-out", expires_at: ahead(300) });
    await until("it expires", async () => (await show(expired.id)).status === "expired");
    for (const { id } of [revoked, expired]) {
      const before = await show(id);
      assert.equal((await patch(id, { name: "Another", expires_at: ahead(86_400_000) })).verdict, "409 not_active");
      assert.deepEqual(await show(id), before);
    }
  });
});
