// Usage: counts of requests with genuine keys, from the gate through the usage object to the API. The exact counts survive the end of
// workerd after each report.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { wrongTag } from "./harness/keys.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const CLIENT = { "cf-connecting-ip": "192.0.2.7", "user-agent": "curl/8.5.0" };
let origin;
let gate;
let state;

before(async () => {
  origin = await startOrigin();
  state = mkdtempSync(join(tmpdir(), "keyward-usage-"));
  gate = await startGate({ state, vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1 } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
  rmSync(state, { recursive: true, force: true });
});

const read = async (path, headers) => gate.call(`/_keyward/v1/${path}`, { key: gate.owner, headers });

/** Returns the counts of a key in the last hours: `{allowed, <code>: number}`. */
async function counted(id) {
  const { status, json } = await read(`keys/${id}/usage`);
  assert.equal(status, 200, JSON.stringify(json));
  const counts = {};
  for (const { allowed, refused } of json.items) {
    if (allowed > 0) counts.allowed = (counts.allowed ?? 0) + allowed;
    for (const [code, count] of Object.entries(refused)) counts[code] = (counts[code] ?? 0) + count;
  }
  return counts;
}

/** Repeats assertions until they hold. */
const eventually = (what, check, { within = 8_000 } = {}) => {
  let failure;
  const ask = () =>
    check().then(
      () => true,
      (error) => {
        failure = error;
        return false;
      },
    );
  return until(what, ask, { within, every: 250 }).catch(() => {
    throw failure;
  });
};

/** Resolves when the counts of a key are the expected ones: reports leave within half a minute. */
const countedEventually = (id, expected) =>
  eventually("the counts", async () => assert.deepEqual(await counted(id), expected), { within: 40_000 });

test("each request with a genuine key is counted by its decision, garbage is not, and the key shows its last use", async () => {
  const key = await gate.newKey({ scopes: ["contacts:read"] });
  for (let number = 0; number < 20; number += 1) {
    assert.equal((await gate.call(CONTACTS, { key: key.apiKey, headers: CLIENT })).status, 200);
    assert.equal((await gate.call(CONTACTS, { key: wrongTag(key.apiKey), headers: CLIENT })).status, 401);
  }
  for (let number = 0; number < 3; number += 1) {
    const refused = await gate.call(CONTACTS, { method: "POST", key: key.apiKey, headers: CLIENT });
    assert.equal(refused.status, 403);
  }
  await gate.revoke(key.id);
  await eventually("the revocation", async () => {
    const { verdict } = await gate.call("/v1/contacts/probe", { key: key.apiKey, headers: CLIENT });
    assert.equal(verdict, "401 revoked_key");
  });
  await eventually(
    "the counts of the refusals",
    async () => {
      const { allowed, insufficient_scope, revoked_key } = await counted(key.id);
      assert.ok(allowed >= 20 && insufficient_scope === 3 && revoked_key >= 1);
    },
    { within: 40_000 },
  );
  const activity = await read(`keys/${key.id}/activity`);
  const used = activity.json.items.find((item) => item.route === "GET /v1/contacts");
  assert.deepEqual([used.network, used.client, used.country, used.asn], ["192.0.2.0/24", "curl", null, null]);
  const actions = activity.json.items.flatMap((item) => item.audit?.action ?? []);
  assert.deepEqual(actions, ["key.issue", "key.revoke"]);
  const csv = await read(`keys/${key.id}/activity`, { accept: "text/csv" });
  assert.ok(csv.headers["content-type"].startsWith("text/csv"), csv.headers["content-type"]);
  assert.ok(csv.text.includes("192.0.2.0/24,curl"), csv.text);
  const totals = await read("usage?by=key");
  assert.ok(totals.json.items.some((item) => item.name === key.id && item.allowed >= 20));
});

test("counts are exact although workerd ends after each report, and nothing counts twice", async () => {
  const key = await gate.newKey({ scopes: ["contacts:read"] });
  let sent = 0;
  for (let round = 0; round < 2; round += 1) {
    for (let number = 0; number < 30; number += 1) {
      assert.equal((await gate.call(CONTACTS, { key: key.apiKey, headers: CLIENT })).status, 200);
      sent += 1;
    }
    await countedEventually(key.id, { allowed: sent });
    await gate.restart();
  }
  assert.deepEqual(await counted(key.id), { allowed: sent });
});

test("within two minutes a key shows when and from where it was used last, and lists are sorted by it", async () => {
  const key = await gate.newKey({ scopes: ["contacts:read"] });
  const before = Date.now();
  assert.equal((await gate.call(CONTACTS, { key: key.apiKey, headers: CLIENT })).status, 200);
  const after = Date.now();
  await eventually(
    "the last use",
    async () => {
      const { json } = await read(`keys/${key.id}`);
      assert.notEqual(json.last_used_at, null);
    },
    { within: 120_000 },
  );
  const { json } = await read(`keys/${key.id}`);
  const at = Date.parse(json.last_used_at);
  assert.ok(before <= at && at <= after, json.last_used_at);
  assert.deepEqual(json.last_used_from, { country: null, asn: null, network: "192.0.2.0/24" });
  const list = await read("keys?sort=-last_used_at&limit=1");
  assert.equal(list.json.items[0].id, key.id);
  const idle = await read("keys?idle_days=1");
  assert.deepEqual(idle.json.items, []);
});
