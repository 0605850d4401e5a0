// Exposed keys in the real worker: the refusal is as ever, and the authority records the exposure afterwards.

import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { otherSecret, wrongTag } from "./harness/keys.mjs";
import { KEYS, newMember } from "./harness/members.mjs";
import { until } from "./harness/wait.mjs";
import { openWebSocket } from "./harness/websocket.mjs";

const CONTACTS = "/v1/contacts";
const CLIENT = { "cf-connecting-ip": "192.0.2.7" };

describe("an exposed key", () => {
  let gate;
  let origin;

  before(async () => {
    origin = await startOrigin();
    gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url } });
    await gate.bootstrap();
  });
  beforeEach(() => gate.order({ registry: "work" }));
  after(async () => {
    await gate?.stop();
    await origin?.close();
  });

  const exposuresOf = async (id) => (await gate.call(`${KEYS}/${id}/exposures`, { key: gate.owner })).json.items;
  const exposed = (id) =>
    until("the exposure is recorded", async () => {
      const items = await exposuresOf(id);
      return items.length > 0 && items;
    });

  test("is recorded with kind, route and network, and still works", async () => {
    const { id, apiKey } = await gate.newKey();
    const answer = await gate.call(`${CONTACTS}/7?k=${apiKey.replaceAll("_", "%5F")}`, { headers: CLIENT });
    assert.equal(answer.verdict, "400 key_in_url");
    const [{ at, ...exposure }] = await exposed(id);
    assert.deepEqual(exposure, { kind: "url", route: "GET /v1/contacts/*", network: "192.0.2.0/24" });
    assert.ok(Math.abs(Date.now() - Date.parse(at)) < 10_000);
    const { json } = await gate.call(`${KEYS}/${id}`, { key: gate.owner });
    assert.equal(json.exposed_at, at);
    const page = { "x-api-key": apiKey, "sec-fetch-site": "same-origin" };
    assert.equal((await gate.call(CONTACTS, { headers: page })).verdict, "403 browser_exposed");
    await until("both kinds are recorded", async () => (await exposuresOf(id)).length === 2);
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
  });

  test("over plain HTTP is recorded", async () => {
    const strict = await startGate({ vars: { ORIGIN_LIVE: origin.url, REQUIRE_HTTPS: true } });
    try {
      // The control plane needs HTTPS too, so the key is issued while it does not.
      await strict.restart({ vars: { ORIGIN_LIVE: origin.url } });
      await strict.bootstrap();
      const { id, apiKey } = await strict.newKey();
      await strict.restart({ vars: { ORIGIN_LIVE: origin.url, REQUIRE_HTTPS: true } });
      assert.equal((await strict.call(CONTACTS, { key: apiKey })).verdict, "403 insecure_transport");
      const kinds = () => strict.sql("SELECT subject, kind FROM exposures");
      await until("the exposure is recorded", () => kinds().length > 0);
      assert.deepEqual(kinds(), [{ subject: id, kind: "http" }]);
    } finally {
      await strict.stop();
    }
  });

  test("is reported once however many requests expose it", async () => {
    const { id, apiKey } = await gate.newKey();
    await gate.call(CONTACTS, { key: apiKey });
    await gate.take();
    for (let number = 0; number < 50; number += 1) await gate.call(`${CONTACTS}?k=${apiKey}`);
    await until("the exposure is recorded", () => gate.sql("SELECT * FROM exposures WHERE subject = ?", id).length > 0);
    const { registry, lookup, changes } = await gate.take();
    assert.equal(registry - lookup - changes, 1);
  });

  test("is not recorded for a key that is not right, and garbage costs no message", async () => {
    const { id, apiKey } = await gate.newKey();
    await gate.take();
    for (const text of [wrongTag(apiKey), `${apiKey.slice(0, -1)}!`]) {
      await gate.call(`${CONTACTS}?k=${text}`);
      await gate.call(CONTACTS, { key: text, headers: { "sec-fetch-site": "none" } });
    }
    assert.equal((await gate.take()).registry, 0);
    const answer = await gate.call(`${CONTACTS}?k=${otherSecret(apiKey)}`);
    assert.equal(answer.verdict, "400 key_in_url");
    await until("the report is made", async () => (await gate.take()).registry > 0);
    assert.deepEqual(await exposuresOf(id), []);
  });

  test("is recorded at the next request if the authority did not answer", async () => {
    const { id, apiKey } = await gate.newKey();
    await gate.order({ registry: "fail" });
    const refused = await gate.call(`${CONTACTS}?k=${apiKey}`);
    assert.equal(refused.verdict, "400 key_in_url");
    await gate.logged((line) => line.includes("exposure_report_failed"));
    await gate.order({ registry: "work" });
    await gate.call(`${CONTACTS}?k=${apiKey}`);
    assert.equal((await exposed(id)).length, 1);
  });

  test("in a request to a gateway is recorded by forward auth", async () => {
    const { id, apiKey } = await gate.newKey();
    const headers = { "x-original-method": "GET", "x-original-uri": `${CONTACTS}?k=${apiKey}` };
    assert.equal((await gate.call("/_keyward/v1/authorize", { headers })).status, 403);
    assert.equal((await exposed(id))[0].kind, "url");
  });

  test("that is a member's credential has an audit entry", async () => {
    const { id, key } = await newMember(gate);
    const from = { headers: { origin: "https://evil.example" } };
    assert.equal((await gate.call("/_keyward/v1/me", { key, ...from })).verdict, "403 cross_site");
    const entry = await until("the exposure is recorded", async () => {
      const { json } = await gate.call(`/_keyward/v1/audit?subject=${id}&action=member.expose`, { key: gate.owner });
      return json.items[0];
    });
    assert.deepEqual([entry.actor, entry.detail.kind], ["keyward", "browser"]);
  });

  test("is dismissed", async () => {
    const { id, apiKey } = await gate.newKey();
    await gate.call(`${CONTACTS}?k=${apiKey}`);
    await exposed(id);
    const dismissed = await gate.call(`${KEYS}/${id}/dismiss-exposure`, {
      method: "POST",
      key: gate.owner,
      json: { reason: "a test page" },
    });
    assert.deepEqual([dismissed.status, dismissed.json.key.exposed_at], [200, null]);
  });
});

describe("with ON_EXPOSURE", () => {
  let gate;
  let origin;

  before(async () => {
    origin = await startOrigin();
    const ON_EXPOSURE = { url: "quarantine", browser: "revoke" };
    const vars = { ORIGIN_LIVE: origin.url, ON_EXPOSURE, REVOCATION_BOUND_SECONDS: 1 };
    gate = await startGate({ vars });
    await gate.bootstrap();
  });
  after(async () => {
    await gate?.stop();
    await origin?.close();
  });

  const reaches = (key, verdict) =>
    until(`the key gets ${verdict}`, async () => (await gate.call(CONTACTS, { key })).verdict === verdict);
  const release = (id) =>
    gate.call(`${KEYS}/${id}/release`, { method: "POST", key: gate.owner, json: { reason: "a test page" } });

  test("an exposed key is quarantined, closes its connections, and is released", async () => {
    const { id, apiKey } = await gate.newKey();
    await reaches(apiKey, "200");
    const open = await openWebSocket(gate.url, `${CONTACTS}/live`, { authorization: `Bearer ${apiKey}` });
    assert.equal((await release(id)).verdict, "409 not_quarantined");
    await gate.call(`${CONTACTS}?k=${apiKey}`);
    await reaches(apiKey, "401 quarantined_key");
    const { code, reason } = await open.closed;
    assert.deepEqual([code, reason], [1008, "quarantined_key"]);
    const shown = await gate.call(`${KEYS}/${id}`, { key: gate.owner });
    assert.equal(shown.json.status, "quarantined");
    const listed = await gate.call(`${KEYS}?status=quarantined`, { key: gate.owner });
    assert.deepEqual(
      listed.json.items.map((key) => key.id),
      [id],
    );
    await until("KV says so", async () => (await (await gate.kv()).get(`key:${id}`))?.includes('"min_reader":3'));
    const released = await release(id);
    assert.deepEqual([released.status, released.json.key.status], [200, "active"]);
    await reaches(apiKey, "200");
  });

  test("an exposed key is revoked by keyward", async () => {
    const { id, apiKey } = await gate.newKey();
    await gate.call(CONTACTS, { key: apiKey, headers: { "sec-fetch-site": "none" } });
    await reaches(apiKey, "401 revoked_key");
    const { json } = await gate.call(`${KEYS}/${id}`, { key: gate.owner });
    assert.deepEqual([json.revoked_by, json.revoke_reason], ["keyward", "Exposed by a browser page"]);
  });

  test("a quarantined key that nobody releases is revoked after 72 hours", async () => {
    const { id, apiKey } = await gate.newKey();
    await gate.call(`${CONTACTS}?k=${apiKey}`);
    await reaches(apiKey, "401 quarantined_key");
    await gate.restartAfter(() => gate.tamper(`UPDATE keys SET quarantine_ends_at = 1 WHERE id = '${id}'`));
    await reaches(apiKey, "401 revoked_key");
    const { json } = await gate.call(`${KEYS}/${id}`, { key: gate.owner });
    assert.equal(json.revoked_by, "keyward");
    assert.equal((await release(id)).verdict, "409 not_quarantined");
  });
});
