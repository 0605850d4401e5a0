// Every guarantee survives a restart. The audit chain is checked without code of the product.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { canonical, firstBreak } from "./harness/audit-chain.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { ahead, until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const AUDIT = "SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit ORDER BY seq";
const keys = {};
let origin;
let gate;
let listed;
let audit;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  keys.used = await gate.newKey({
    name: 'Zoë\'s "sync" \\ </b> 連携 👩‍🚀',
    allowed_cidrs: ["192.0.2.0/24", "2001:db8::/32"],
  });
  keys.unused = await gate.newKey();
  keys.brief = await gate.newKey({ expires_at: ahead(200) });
  keys.revoked = await gate.newKey();
  await gate.revoke(keys.revoked.id, 'Laptop "stolen" / gone');
  keys.unsent = await (async () => {
    await gate.order({ kvPut: "fail" });
    const key = await gate.newKey();
    await gate.logged((line) => line.includes("kv_copy_failed"));
    return key;
  })();
  listed = (await gate.call("/_keyward/v1/keys", { key: gate.owner })).json.items;
  audit = gate.sql(AUDIT);
  await gate.restart();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

test("the owner signs in with the same credential, and a second bootstrap is refused", async () => {
  assert.equal((await gate.call("/_keyward/v1/me", { key: gate.owner })).status, 200);
  assert.equal((await gate.bootstrap()).verdict, "409 already_bootstrapped");
});

test("active keys work, and revoked and expired keys stay refused", async () => {
  const address = { "cf-connecting-ip": "192.0.2.1" };
  for (const [key, verdict] of [
    ["used", "200"],
    ["unused", "200"],
    ["unsent", "200"],
    ["revoked", "401 revoked_key"],
    ["brief", "401 expired_key"],
  ]) {
    assert.equal((await gate.call(CONTACTS, { key: keys[key].apiKey, headers: address })).verdict, verdict, key);
  }
});

test("the list is identical", async () => {
  const { items } = (await gate.call("/_keyward/v1/keys", { key: gate.owner })).json;
  // Only the short-lived key may have expired meanwhile.
  assert.deepEqual(
    items.map((item) => ({ ...item, status: "" })),
    listed.map((item) => ({ ...item, status: "" })),
  );
});

test("a copy that KV had not accepted before the stop is written afterwards", async () => {
  const kv = await gate.kv();
  for (const { id } of Object.values(keys)) {
    const copy = await until(`the copy of ${id} is in KV`, () => kv.get(`key:${id}`));
    assert.equal(JSON.parse(copy).sealed.record.id, id);
  }
  await until("the outbox is empty", () => gate.sql("SELECT count(*) AS count FROM outbox")[0].count === 0);
});

describe("the audit log", () => {
  test("is unchanged, continues without a gap, and its chain is valid", async () => {
    await gate.revoke(keys.unused.id);
    const rows = gate.sql(AUDIT);
    assert.deepEqual(rows.slice(0, audit.length), audit);
    assert.deepEqual(
      rows.map(({ action }) => action).filter((action) => action !== "key.end"),
      ["bootstrap", ...Array(4).fill("key.issue"), "key.revoke", "key.issue", "key.revoke"],
    );
    assert.equal(firstBreak(rows), null);
  });

  test("has one entry for each change, with actor, subject, request and changed fields", async () => {
    // Keyward itself may have recorded the end of the brief key by now.
    const rows = gate.sql(AUDIT).filter(({ action }) => action !== "key.end");
    const owner = (await gate.call("/_keyward/v1/me", { key: gate.owner })).json.id;
    assert.deepEqual(
      rows.map(({ actor }) => actor),
      ["bootstrap", ...Array(rows.length - 1).fill(owner)],
    );
    assert.equal(rows[0].subject, owner);
    const issued = rows[1];
    assert.equal(issued.subject, keys.used.id);
    const detail = JSON.parse(issued.detail);
    assert.deepEqual(Object.keys(detail), ["client_address", "key", "request_id"]);
    assert.deepEqual({ ...detail.key }, { ...listed.find(({ id }) => id === keys.used.id) });
    assert.equal(issued.detail, canonical(detail));
    const revoked = rows.find(({ action, subject }) => action === "key.revoke" && subject === keys.revoked.id);
    assert.equal(JSON.parse(revoked.detail).reason, 'Laptop "stolen" / gone');
  });

  test("is checked by a verifier that finds every kind of tampering", () => {
    const rows = gate.sql(AUDIT);
    const changed = (index, change) => rows.map((row, at) => (at === index ? { ...row, ...change } : row));
    assert.equal(firstBreak(changed(1, { at: "2020-01-01T00:00:00.000Z" })), 1);
    assert.equal(firstBreak(changed(2, { actor: "someone" })), 2);
    assert.equal(firstBreak(changed(3, { detail: rows[3].detail.replace("crm", "CRM").replace("Sync", "sink") })), 3);
    assert.equal(firstBreak(changed(1, { hash: "0".repeat(64) })), 1);
    assert.equal(firstBreak(rows.filter((_, at) => at !== 2)), 2);
    assert.equal(firstBreak([rows[1], rows[0], ...rows.slice(2)]), 0);
  });
});

describe("a change that fails in the middle leaves nothing behind", () => {
  const state = () => ["keys", "audit", "outbox", "meta", "members"].map((table) => gate.sql(`SELECT * FROM ${table}`));
  // The object records that the brief key has expired, and nothing else happens by itself.
  before(() =>
    until("the end of the brief key is recorded", () => gate.sql(AUDIT).some(({ action }) => action === "key.end")),
  );

  for (const [table, event] of [
    ["outbox", "INSERT"],
    ["audit", "INSERT"],
    ["meta", "UPDATE"],
  ]) {
    test(`in the real object, if the ${event} into ${table} fails`, async () => {
      const { id } = await gate.newKey();
      await until("the outbox is empty", () => gate.sql("SELECT count(*) AS count FROM outbox")[0].count === 0);
      await gate.restartAfter(() =>
        gate.tamper(
          `CREATE TRIGGER broken BEFORE ${event} ON ${table} BEGIN SELECT RAISE(ABORT, 'broken by the test'); END`,
        ),
      );
      const before = state();
      for (const answer of [await gate.issue(), await gate.revoke(id)]) {
        assert.ok(answer.status >= 500, answer.verdict);
        assert.ok(!answer.text.includes("broken by the test"));
      }
      assert.deepEqual(state(), before);
      assert.equal((await gate.call(`/_keyward/v1/keys/${id}`, { key: gate.owner })).json.status, "active");
      await gate.restartAfter(() => gate.tamper("DROP TRIGGER broken"));
      assert.equal((await gate.issue()).status, 201);
      assert.equal((await gate.revoke(id)).status, 200);
      assert.equal(firstBreak(gate.sql(AUDIT)), null);
    });
  }

  test("the triggers of the audit log refuse every change of an entry", async () => {
    await gate.restartAfter(() => {
      assert.throws(() => gate.tamper("UPDATE audit SET actor = 'someone'"), /append-only/);
      assert.throws(() => gate.tamper("DELETE FROM audit"), /append-only/);
    });
  });
});

test("with another KEYWARD_SECRET no key works; with the old secret as KEYWARD_SECRET_PREVIOUS all keys work", async () => {
  const previous = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
  const next = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
  const vars = { ORIGIN_LIVE: origin.url, KEYWARD_SECRET: next };
  const used = () => gate.call(CONTACTS, { key: keys.used.apiKey, headers: { "cf-connecting-ip": "2001:db8::1" } });
  await gate.restart({ vars });
  assert.equal((await used()).verdict, "401 invalid_key");
  assert.equal((await gate.call("/_keyward/v1/me", { key: gate.owner })).verdict, "401 invalid_key");
  await gate.restart({ vars: { ...vars, KEYWARD_SECRET_PREVIOUS: previous } });
  assert.equal((await used()).verdict, "200");
  const fresh = await gate.newKey();
  assert.equal((await gate.call(CONTACTS, { key: fresh.apiKey })).verdict, "200");
});
