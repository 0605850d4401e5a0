// Incidents in the real worker: their keys stop at the gate by the time of their receipts, and their links mint replacements.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { KEYS, newMember } from "./harness/members.mjs";
import { until } from "./harness/wait.mjs";

const INCIDENTS = "/_keyward/v1/incidents";

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1 } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const use = async (key) => (await gate.call("/v1/contacts", { key })).status;
const open = (fields, request = {}) =>
  gate.call(INCIDENTS, {
    method: "POST",
    key: gate.owner,
    json: { kind: "exposed", note: "Found in a build log", ...fields },
    ...request,
  });
const show = async (id) => (await gate.call(`${INCIDENTS}/${id}`, { key: gate.owner })).json.incident;
const step = (incident, name) => incident.checklist.find((one) => one.step === name);
const claim = (url) => {
  const [id, secret] = new URL(url).hash.slice(1).split(".");
  const json = { secret, nonce: "a-nonce-of-this-test" };
  return gate.call(`/_keyward/v1/claims/${id}`, { method: "POST", json });
};

describe("an incident", () => {
  test("stops its keys at the gate by the time of their receipts, and its links mint their replacements", async () => {
    const [crm, erp] = [
      await gate.newKey({ integration: "crm", name: "crm" }),
      await gate.newKey({ integration: "erp", name: "erp" }),
    ];
    for (const { apiKey } of [crm, erp]) assert.equal(await use(apiKey), 200);
    const opened = await open({ key_ids: [crm.id, erp.id], replace: "claim" });
    assert.equal(opened.status, 201, opened.text);
    const { incident } = opened.json;
    for (const { effective_by: effectiveBy, guaranteed_by: guaranteedBy } of incident.keys) {
      assert.equal(Date.parse(effectiveBy) - Date.parse(incident.opened_at), 1_000);
      assert.ok(guaranteedBy >= effectiveBy);
    }
    await until("the receipts are due", () => Date.now() >= Date.parse(incident.keys[0].effective_by));
    for (const { apiKey } of [crm, erp]) assert.equal(await use(apiKey), 401);
    const minted = [];
    for (const key of incident.keys) {
      const claimed = await claim(key.claim.url);
      assert.deepEqual([claimed.status, claimed.json.key.rotated_from], [201, key.key_id]);
      minted.push(claimed.json.api_key);
    }
    assert.equal(step(await show(incident.id), "replaced").done, true);
    assert.equal(step(await show(incident.id), "updated").done, false);
    for (const apiKey of minted) assert.equal(await use(apiKey), 200);
    assert.doesNotMatch(JSON.stringify(await show(incident.id)), /"url"/);
  });

  test("that is retried gets the same answer with the same links, and is opened once", async () => {
    await gate.newKey({ integration: "retried", name: "retried" });
    const request = { headers: { "idempotency-key": "incident-1" } };
    const body = { integration: "retried", replace: "claim" };
    const [first, again] = await Promise.all([open(body, request), open(body, request)]);
    assert.deepEqual([first.status, again.status], [201, 201]);
    assert.deepEqual(again.json, first.json);
    const { items } = (await gate.call(INCIDENTS, { key: gate.owner })).json;
    assert.equal(items.filter(({ id }) => id === first.json.incident.id).length, 1);
    assert.equal((await open({ ...body, note: "other" }, request)).verdict, "422 idempotency_mismatch");
  });

  test("of a key that is unknown or in another environment names it, and does nothing", async () => {
    const { id } = await gate.newKey({ integration: "safe", name: "safe" });
    const limited = await newMember(gate, { role: "responder", environments: ["test"] });
    const before = gate.sql("SELECT count(*) AS count FROM audit")[0].count;
    for (const [key_ids, key] of [
      [[id, "wafl_live_000000000000"], gate.owner],
      [[id], limited.key],
    ]) {
      const refused = await open({ key_ids }, { key });
      assert.equal(refused.verdict, "404 not_found");
      assert.ok(refused.json.detail.includes(key_ids.at(-1)));
    }
    const compromised = await gate.call(`${KEYS}/${id}/compromise`, {
      method: "POST",
      key: limited.key,
      json: { kind: "other", note: "x" },
    });
    assert.equal(compromised.verdict, "404 not_found");
    assert.equal(gate.sql("SELECT count(*) AS count FROM audit")[0].count, before);
    assert.equal((await gate.call(`${KEYS}/${id}`, { key: gate.owner })).json.status, "active");
  });
});
