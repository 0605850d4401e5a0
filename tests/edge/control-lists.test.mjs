// The control plane: lists and their pages, a single key, revocation.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { ahead, until } from "./harness/wait.mjs";

const KEYS = "/_keyward/v1/keys";
const keys = {};
let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: "7", OUTAGE_GRACE_SECONDS: 11 },
  });
  await gate.bootstrap();
  keys.crm = await gate.newKey({ integration: "crm", owner: "ops@acme.example" });
  keys.crmTest = await gate.newKey({ integration: "crm", environment: "test", owner: "ops@acme.example" });
  keys.billing = await gate.newKey({ integration: "billing", owner: "pay@acme.example" });
  keys.revoked = await gate.newKey({ integration: "old", owner: "pay@acme.example" });
  await gate.revoke(keys.revoked.id);
  keys.expired = await gate.newKey({ integration: "brief", owner: "ops@acme.example", expires_at: ahead(400) });
  await until("one key expires", async () => (await list("?status=expired")).json.items.length === 1);
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const list = (query = "") => gate.call(KEYS + query, { key: gate.owner });
const newestFirst = ["expired", "revoked", "billing", "crmTest", "crm"];
const ids = (names) => names.map((name) => keys[name].id);

describe("lists", () => {
  test("a list is complete, newest first, and contains no secret and no hash", async () => {
    const answer = await list();
    assert.equal(answer.status, 200);
    assert.deepEqual(Object.keys(answer.json), ["items", "next_cursor"]);
    assert.deepEqual(
      answer.json.items.map(({ id }) => id),
      ids(newestFirst),
    );
    assert.equal(answer.json.next_cursor, null);
    assert.deepEqual(Object.keys(answer.json.items[0]), [
      "id",
      "name",
      "integration",
      "environment",
      "purpose",
      "owner",
      "scopes",
      "allowed_cidrs",
      "limits",
      "status",
      "created_at",
      "created_by",
      "expires_at",
      "rotated_from",
      "successor",
      "revoked_at",
      "revoked_by",
      "revoke_reason",
      "first_used_at",
      "last_used_at",
      "last_used_from",
      "exposed_at",
      "revision",
    ]);
    assert.ok(!answer.text.includes("hash"));
  });

  for (const [query, expected] of [
    ["environment=test", ["crmTest"]],
    ["environment=live", ["expired", "revoked", "billing", "crm"]],
    ["integration=crm", ["crmTest", "crm"]],
    ["owner=pay%40acme.example", ["revoked", "billing"]],
    ["status=active", ["billing", "crmTest", "crm"]],
    ["status=revoked", ["revoked"]],
    ["status=expired", ["expired"]],
    ["status=retiring", []],
    ["status=active&owner=pay@acme.example&environment=live&integration=billing", ["billing"]],
    ["integration=nobody", []],
    ["integration=CRM", []],
    ["integration=crm%27%20OR%201=1--", []],
  ]) {
    test(`filter ${query}`, async () =>
      assert.deepEqual(
        (await list(`?${query}`)).json.items.map(({ id }) => id),
        ids(expected),
      ));
  }

  test("pages follow each other by cursor without gap or repeat, even if a key is issued in between", async () => {
    const seen = [];
    let query = "?limit=2";
    do {
      const { items, next_cursor: cursor } = (await list(query)).json;
      assert.ok(items.length <= 2);
      seen.push(...items.map(({ id }) => id));
      await gate.newKey({ environment: "test" });
      query = cursor && `?limit=2&cursor=${cursor}`;
    } while (query);
    assert.deepEqual(seen, ids(newestFirst));
  });

  for (const query of [
    "limit=0",
    "limit=201",
    "limit=-1",
    "limit=x",
    "limit=",
    "limit=1.5",
    "limit=1&limit=2",
    "cursor=x",
    "cursor=",
    "cursor=AAAA",
    "environment=prod",
    "status=alive",
    "owner=",
    "integration=",
    "colour=red",
    "LIMIT=1",
  ]) {
    test(`${query} is 400 with the parameter named`, async () => {
      const answer = await list(`?${query}`);
      assert.equal(answer.verdict, "400 invalid_request");
      assert.equal(answer.json.field, query.split("=")[0]);
    });
  }

  test("a page has 50 items by default, and at most 200", async () => {
    for (let batch = 0; batch < 5; batch += 1)
      await Promise.all(
        Array.from({ length: 10 }, () => gate.newKey({ environment: "test", owner: "many@acme.example" })),
      );
    const { items, next_cursor: cursor } = (await list()).json;
    assert.equal(items.length, 50);
    assert.ok(cursor);
    const all = (await list("?limit=200")).json;
    assert.ok(all.items.length > 50);
    assert.equal(all.next_cursor, null);
  });
});

describe("one key", () => {
  test("the answer is the key object itself, the same as in the list", async () => {
    const answer = await gate.call(`${KEYS}/${keys.billing.id}`, { key: gate.owner });
    assert.equal(answer.status, 200);
    const inList = (await list("?integration=billing")).json.items[0];
    assert.deepEqual(answer.json, inList);
  });

  test("an unknown id and a malformed id get the same 404", async () => {
    for (const id of [
      "wafl_live_000000000000",
      "nonsense",
      "wafl_admin_000000000000",
      "%20",
      keys.crm.id.toLowerCase(),
      `${keys.crm.id}x`,
      "..%20",
    ]) {
      const answer = await gate.call(`${KEYS}/${id}`, { key: gate.owner });
      assert.equal(answer.verdict, "404 not_found", id);
      assert.equal((await gate.revoke(id)).verdict, "404 not_found", id);
    }
  });

  test("a member's id is 404 as a key", async () => {
    const { id } = (await gate.call("/_keyward/v1/me", { key: gate.owner })).json;
    assert.equal((await gate.call(`${KEYS}/${id}`, { key: gate.owner })).verdict, "404 not_found");
    assert.equal((await gate.revoke(id)).verdict, "404 not_found");
    assert.equal((await gate.call("/_keyward/v1/me", { key: gate.owner })).status, 200);
  });
});

describe("revoking", () => {
  test("200 with the key, effective_by (the bound later) and guaranteed_by (bound and grace later)", async () => {
    const { id } = await gate.newKey();
    const answer = await gate.revoke(id, "Laptop stolen");
    assert.equal(answer.status, 200);
    const { key, effective_by: effective, guaranteed_by: guaranteed, ...nothing } = answer.json;
    assert.deepEqual(nothing, {});
    assert.equal(key.status, "revoked");
    assert.equal(key.revoke_reason, "Laptop stolen");
    assert.match(key.revoked_by, /^wafl_admin_[0-9A-Za-z]{12}$/);
    assert.equal(Date.parse(effective) - Date.parse(key.revoked_at), 7_000);
    assert.equal(Date.parse(guaranteed) - Date.parse(effective), 11_000);
    assert.match(effective, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  test("a second revocation gets the same answer, keeps the first reason and adds no entry to the audit log", async () => {
    const { id } = await gate.newKey();
    const first = await gate.revoke(id, "first");
    const second = await gate.revoke(id, "second");
    assert.equal(second.status, 200);
    assert.equal(second.text, first.text);
    assert.equal(
      gate.sql("SELECT count(*) AS count FROM audit WHERE subject = ? AND action = 'key.revoke'", id)[0].count,
      1,
    );
  });

  test("concurrent revocations are one revocation", async () => {
    const { id } = await gate.newKey();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => gate.revoke(id, `reason ${index}`)));
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
  });

  test("an expired key can be revoked; revoked is final", async () => {
    const answer = await gate.revoke(keys.expired.id, "tidy up");
    assert.equal(answer.json.key.status, "revoked");
    assert.equal((await gate.call(`${KEYS}/${keys.expired.id}`, { key: gate.owner })).json.status, "revoked");
  });

  test("a reason is required and validated like any text", async () => {
    const { id } = await gate.newKey();
    for (const [field, json] of [
      ["reason", {}],
      ["reason", { reason: "" }],
      ["reason", { reason: 1 }],
      ["reason", { reason: "a\u202eb" }],
      ["reason", { reason: "a".repeat(501) }],
      ["at", { reason: "x", at: "now" }],
    ]) {
      const answer = await gate.call(`${KEYS}/${id}/revoke`, { method: "POST", key: gate.owner, json });
      assert.equal(answer.verdict, "400 invalid_request");
      assert.equal(answer.json.field, field);
    }
    assert.equal((await gate.call(`${KEYS}/${id}`, { key: gate.owner })).json.status, "active");
  });
});
