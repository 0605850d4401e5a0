// The change feed in the real runtime, while the authority is unreachable, slow or restored.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const DEFAULT_BOUND = 5_000;
let origin;

before(async () => (origin = await startOrigin()));
after(() => origin?.close());

async function newGate(t, vars = {}) {
  const gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url, ...vars } });
  t.after(() => gate.stop());
  await gate.bootstrap();
  return gate;
}

const copied = async (gate, id) => until("the copy is in KV", async () => (await gate.kv()).get(`key:${id}`));

describe("the feed", { concurrency: true }, () => {
  test("is refreshed in the background before the bound, so no request waits for a slow authority", async (t) => {
    const gate = await newGate(t);
    const { apiKey } = await gate.newKey();
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    await pause(DEFAULT_BOUND * 0.6 + 200);
    await gate.order({ registry: "slow" });
    await gate.take();
    const began = Date.now();
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    const took = Date.now() - began;
    await until("it was asked", async () => (await gate.take()).changes > 0, { every: 20 });
    t.diagnostic(`answered after ${took} ms; the authority takes 300 ms here`);
    assert.ok(took < 250, `the request took ${took} ms`);
    await pause(DEFAULT_BOUND * 0.4);
    await gate.take();
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    assert.equal((await gate.take()).changes, 0, "the background refresh was applied");
  });

  test("while the authority is unreachable, every answer in the grace states its age, and the outage is logged once", async (t) => {
    const gate = await newGate(t, { REVOCATION_BOUND_SECONDS: 1, OUTAGE_GRACE_SECONDS: 60 });
    const { apiKey } = await gate.newKey();
    const fresh = await gate.call(CONTACTS, { key: apiKey });
    assert.equal(fresh.headers["keyward-authority"], undefined);
    await gate.order({ registry: "fail" });
    await pause(1_050);
    for (const [path, verdict, method] of [
      [CONTACTS, "200", "GET"],
      [CONTACTS, "403 insufficient_scope", "POST"],
      [CONTACTS, "200", "GET"],
    ]) {
      const answer = await gate.call(path, { key: apiKey, method, body: method === "POST" ? "" : undefined });
      assert.equal(answer.verdict, verdict);
      assert.match(answer.headers["keyward-authority"], /^unreachable; age=[1-4]$/);
    }
    assert.equal(
      (await gate.call("/public/logo")).headers["keyward-authority"],
      undefined,
      "a public route does not depend on the authority",
    );
    assert.equal(gate.logs.filter((line) => line.includes("authority_unreachable")).length, 1);
    await gate.order({ registry: "work" });
    const recovered = await until("the header is gone", async () => {
      const answer = await gate.call(CONTACTS, { key: apiKey });
      return answer.headers["keyward-authority"] === undefined && answer;
    });
    assert.equal(recovered.status, 200);
  });

  test("an isolate that starts in an outage uses the data centre's cached answer, with its true age, and serves from KV", async (t) => {
    const gate = await newGate(t);
    const [used, unused, revoked] = [await gate.newKey(), await gate.newKey(), await gate.newKey()];
    for (const { id } of [used, unused, revoked]) await copied(gate, id);
    await gate.revoke(revoked.id);
    assert.equal((await gate.call(CONTACTS, { key: used.apiKey })).status, 200);
    await gate.order({ registry: "fail" });
    // Until then the last answer is fresh.
    await pause(1_500);
    await gate.breakInstance();
    for (const { apiKey } of [used, unused]) {
      const answer = await gate.call(CONTACTS, { key: apiKey });
      assert.equal(answer.verdict, "200");
      // Another isolate's clock measured it, so ten seconds are added to its age.
      assert.match(answer.headers["keyward-authority"], /^unreachable; age=1[0-5]$/);
    }
    assert.equal((await gate.call(CONTACTS, { key: revoked.apiKey })).verdict, "401 revoked_key");
  });

  test("an outdated copy grants nothing, however often it is put back", async (t) => {
    const gate = await newGate(t);
    const key = await gate.newKey({ scopes: ["contacts:read", "contacts:write"] });
    const before = await copied(gate, key.id);
    const patched = await gate.call(`/_keyward/v1/keys/${key.id}`, {
      method: "PATCH",
      key: gate.owner,
      json: { scopes: ["contacts:read"] },
    });
    assert.equal(patched.status, 200);
    const kv = await gate.kv();
    await until("the new copy is in KV", async () => (await kv.get(`key:${key.id}`)) !== before);
    for (let round = 0; round < 3; round += 1) {
      await kv.put(`key:${key.id}`, before);
      await gate.breakInstance();
      assert.equal(
        (await gate.call(CONTACTS, { method: "POST", key: key.apiKey, body: "" })).verdict,
        "403 insufficient_scope",
      );
    }
  });

  test("a restore that brings back a revoked key is noticed and logged, and the cache is cleared", async (t) => {
    const gate = await newGate(t, { REVOCATION_BOUND_SECONDS: 1 });
    const { id, apiKey } = await gate.newKey();
    const { id: later } = await gate.newKey();
    const [{ value: epoch }] = gate.sql("SELECT value FROM meta WHERE name = 'epoch'");
    await gate.revoke(id);
    await until(
      "it is refused",
      async () => (await gate.call(CONTACTS, { key: apiKey })).verdict === "401 revoked_key",
    );
    await copied(gate, later);
    // The state after a restore to the moment before: the revocation never happened.
    await gate.disturb([
      "DROP TRIGGER audit_is_never_deleted",
      "DELETE FROM audit WHERE seq > 3",
      `UPDATE keys SET state = 'active', revoked_at = NULL, revoked_by = NULL, revoke_reason = NULL, revision = 2 WHERE id = '${id}'`,
      "UPDATE meta SET value = '3' WHERE name = 'revision'",
    ]);
    await until(
      "the authority's answers apply again",
      async () => (await gate.call(CONTACTS, { key: apiKey })).status === 200,
    );
    const line = await gate.logged((logged) => logged.includes("authority_restored"));
    assert.match(line, /^error: .*"known_revision":"4".*"revision":"3"/);
    await gate.logged((logged) => logged.includes("epoch_began"));
    assert.notEqual(gate.sql("SELECT value FROM meta WHERE name = 'epoch'")[0].value, epoch);
    await until("every copy is sealed under the new epoch", async () => {
      const copies = await Promise.all(
        [id, later].map(async (one) => JSON.parse(await (await gate.kv()).get(`key:${one}`))),
      );
      return copies.every(({ sealed }) => sealed.epoch !== epoch && !sealed.record.revoked);
    });
  });

  test("an audit log shorter than an isolate knows raises an alarm", async (t) => {
    const gate = await newGate(t, { REVOCATION_BOUND_SECONDS: 300 });
    const { apiKey } = await gate.newKey();
    await gate.newKey();
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    await gate.disturb(["DROP TRIGGER audit_is_never_deleted", "DELETE FROM audit WHERE seq > 2"]);
    assert.equal((await gate.call("/_keyward/v1/audit/checkpoint", { key: gate.owner })).status, 200);
    assert.match(
      await gate.logged((logged) => logged.includes("audit_log_shrank")),
      /"known_revision":"3".*"size":"2"/,
    );
  });
});

// Not concurrent: it loads the machine for a while.
test("an isolate without data receives fifty thousand revoked keys within the timeout of a query", async (t) => {
  const gate = await newGate(t);
  const { id, apiKey } = await gate.newKey();
  await gate.disturb([
    // One row for each key, as a change makes it. Revisions below 0 leave the revisions of real changes unaffected.
    `INSERT INTO keys (position, id, key_hash, minted_under, name, integration, environment, purpose, owner, scopes, allowed_cidrs, state,
       created_at, created_by, expires_at, latest_end, revoked_at, revoked_by, revoke_reason, revision)
     WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 50000)
     SELECT -n, printf('wafl_live_%012d', n), key_hash, minted_under, name, integration, environment, purpose, owner, scopes, allowed_cidrs,
       'revoked', created_at, created_by, expires_at, latest_end + n, created_at, created_by, 'many', 1
     FROM number, (SELECT * FROM keys WHERE id = '${id}')`,
  ]);
  await gate.breakInstance();
  await gate.take();
  const began = Date.now();
  assert.equal((await gate.call(CONTACTS, { key: apiKey })).verdict, "200");
  t.diagnostic(`answered after ${Date.now() - began} ms`);
  assert.equal((await gate.take()).changes, 4, "three pages and the changes after them, each queried once");
});
