// Stores: whatever KV returns, no request is accepted that the authority would refuse.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
let origin;
let gate;
let kv;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1 } });
  await gate.bootstrap();
  kv = await gate.kv();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/** Issues a key that is unused, with its copy in KV. */
async function copied(fields) {
  const key = await gate.newKey(fields);
  const copy = await until("the copy is in KV", () => kv.get(`key:${key.id}`));
  return { ...key, name: `key:${key.id}`, copy };
}

const edited = (copy, change) => {
  const envelope = JSON.parse(copy);
  change(envelope.sealed.record, envelope);
  return JSON.stringify(envelope);
};

const read = { path: CONTACTS, method: "GET" };
const write = { path: CONTACTS, method: "POST", body: "" };
const use = ({ apiKey }, { path, ...request } = read) => gate.call(path, { key: apiKey, ...request });

describe("a tampered copy counts as absent and is logged", () => {
  for (const [
    what,
    why,
    change,
    request,
    verdict,
  ] of /** @type {[string, string, (copy: string) => string, any, string][]} */ ([
    [
      "a scope added",
      "mac",
      (copy) => edited(copy, (record) => record.scopes.push("contacts:write")),
      write,
      "403 insufficient_scope",
    ],
    ["a later expiry", "mac", (copy) => edited(copy, (record) => (record.expires_at += 1)), read, "200"],
    ["marked as revoked", "mac", (copy) => edited(copy, (record) => (record.revoked = true)), read, "200"],
    ["another key hash", "mac", (copy) => edited(copy, (record) => (record.key_hash = "0".repeat(64))), read, "200"],
    [
      "networks removed or added",
      "mac",
      (copy) => edited(copy, (record) => (record.allowed_cidrs = ["192.0.2.0/24"])),
      read,
      "200",
    ],
    ["another MAC", "mac", (copy) => edited(copy, (_, envelope) => (envelope.mac = "0".repeat(64))), read, "200"],
    ["an additional field", "form", (copy) => edited(copy, (_, envelope) => (envelope.admin = true)), read, "200"],
    [
      "sealed under a secret unknown here",
      "generation",
      (copy) => edited(copy, (_, envelope) => (envelope.sealed_under = "00000000")),
      read,
      "200",
    ],
    ["an additional space in the record", "mac", (copy) => copy.replace('"revoked":', '"revoked": '), read, "200"],
    ["a truncated copy", "form", (copy) => copy.slice(0, copy.length / 2), read, "200"],
    ["invalid text", "form", () => "garbage", read, "200"],
    ["an empty text", "form", () => "", read, "200"],
    ["other JSON", "form", () => "[]", read, "200"],
    ["a large text", "form", () => "x".repeat(200_000), read, "200"],
    ["deep JSON", "form", () => "[".repeat(50_000), read, "200"],
  ])) {
    test(what, async () => {
      const key = await copied();
      await kv.put(key.name, change(key.copy));
      await gate.take();
      assert.equal((await use(key, request)).verdict, verdict);
      assert.equal((await gate.take()).lookup, 1);
      const line = await gate.logged((line) => line.includes("kv_record_broken") && line.includes(key.id));
      assert.ok(line.includes(`"why":"${why}"`), line);
    });
  }

  test("another id's record", async () => {
    const [strong, weak] = [await copied({ scopes: ["contacts:read", "contacts:write"] }), await copied()];
    await kv.put(weak.name, strong.copy);
    assert.equal((await use(weak, write)).verdict, "403 insufficient_scope");
    assert.equal((await use(weak)).verdict, "200");
    await gate.logged((line) => line.includes("kv_record_broken") && line.includes(weak.id));
  });
});

describe("a late or missing copy", () => {
  test("a deleted copy costs one call of the authority", async () => {
    const key = await copied();
    await kv.delete(key.name);
    assert.equal((await use(key)).verdict, "200");
  });

  test("a revoked key stays refused if its earlier copy is put back", async () => {
    const key = await copied();
    await gate.revoke(key.id);
    await until("the copy says revoked", async () => JSON.parse(await kv.get(key.name)).sealed.record.revoked);
    await kv.put(key.name, key.copy);
    assert.equal((await use(key)).verdict, "401 revoked_key");
  });

  test("an authentic copy of a key that the authority does not have grants nothing", async () => {
    const elsewhere = await startGate({ vars: { ORIGIN_LIVE: origin.url } });
    try {
      await elsewhere.bootstrap();
      const foreign = await elsewhere.newKey();
      const theirs = await elsewhere.kv();
      const copy = await until("the copy is in KV", () => theirs.get(`key:${foreign.id}`));
      await kv.put(`key:${foreign.id}`, copy);
      assert.equal((await use(foreign)).verdict, "401 invalid_key");
    } finally {
      await elsewhere.stop();
    }
  });

  test("an authentic copy of a revoked key is final and saves the call of the authority", async () => {
    const key = await copied();
    await gate.revoke(key.id);
    await until("the copy says revoked", async () => JSON.parse(await kv.get(key.name)).sealed.record.revoked);
    // After the bound the isolate refreshes before it reads the copy, because a copy newer than the feed needs a lookup.
    await pause(1_050);
    await gate.take();
    assert.equal((await use(key)).verdict, "401 revoked_key");
    assert.equal((await gate.take()).lookup, 0);
  });
});

describe("copies that arrive out of order", () => {
  test("whichever of three copies arrives last, the key has the rights of the authority's last change", async () => {
    const key = await copied({ scopes: ["contacts:read", "contacts:write"] });
    const copies = [key.copy];
    for (const scopes of [["contacts:write"], ["contacts:read"]]) {
      const patched = await gate.call(`/_keyward/v1/keys/${key.id}`, {
        method: "PATCH",
        key: gate.owner,
        json: { scopes },
      });
      assert.equal(patched.status, 200);
      copies.push(
        await until("the new copy is in KV", async () => {
          const copy = await kv.get(key.name);
          return copy !== copies.at(-1) && copy;
        }),
      );
    }
    // The first copy allows both scopes, the second only writing. The last one is current: only reading.
    for (const [late, lookups] of [
      [1, 1],
      [0, 1],
      [2, 0],
      [1, 1],
    ]) {
      await kv.put(key.name, copies[late]);
      await gate.breakInstance();
      await gate.take();
      assert.equal((await use(key, write)).verdict, "403 insufficient_scope", `copy ${late} arrived last`);
      assert.equal((await use(key)).verdict, "200", `copy ${late} arrived last`);
      assert.equal((await gate.take()).lookup, lookups, `copy ${late} arrived last`);
    }
  });
});

describe("slow KV", () => {
  test("that answers before the timeout saves the call of the authority", async () => {
    const key = await copied();
    // After the bound the isolate refreshes, because a copy newer than the feed needs a lookup.
    await pause(1_050);
    await gate.order({ kvGet: "slow" });
    await gate.take();
    const answer = await use(key);
    await gate.order({ kvGet: "work" });
    assert.equal(answer.verdict, "200");
    const { kvGet, lookup } = await gate.take();
    assert.deepEqual({ kvGet, lookup }, { kvGet: 1, lookup: 0 });
  });

  test("that exceeds the timeout causes a lookup at the authority", async () => {
    const key = await copied();
    await gate.order({ kvGet: "hang" });
    await gate.take();
    const began = Date.now();
    const answer = await use(key);
    const took = Date.now() - began;
    await gate.order({ kvGet: "work" });
    assert.equal(answer.verdict, "200");
    assert.equal((await gate.take()).lookup, 1);
    assert.ok(took >= 1_000 && took < 4_000, `answered after ${took} ms`);
  });
});

describe("failing KV", () => {
  test("causes a lookup at the authority, and is not taken for an unknown key", async () => {
    const key = await copied();
    await gate.order({ kvGet: "fail" });
    await gate.take();
    const answer = await use(key);
    await gate.order({ kvGet: "work" });
    assert.equal(answer.verdict, "200");
    assert.equal((await gate.take()).lookup, 1);
    await gate.logged((line) => line.includes("kv_failed") && line.includes("fault planted by the test"));
  });

  test("during the issue of a key delays nothing: the key works at once, and an alarm writes the copy", async () => {
    await gate.order({ kvPut: "fail" });
    const key = await gate.newKey();
    await gate.logged((line) => line.includes("kv_copy_failed"));
    assert.equal((await use(key)).verdict, "200");
    assert.equal(await kv.get(`key:${key.id}`), null);
    assert.equal(gate.sql("SELECT count(*) AS count FROM outbox")[0].count, 1);
    await gate.order({ kvPut: "work" });
    const copy = await until("the alarm fills KV", () => kv.get(`key:${key.id}`));
    assert.equal(JSON.parse(copy).sealed.record.id, key.id);
    await until("the outbox is empty", () => gate.sql("SELECT count(*) AS count FROM outbox")[0].count === 0);
  });

  test("during a revocation leaves the old copy: the key is refused anyway, and the copy follows", async () => {
    const key = await copied();
    await gate.order({ kvPut: "fail" });
    await gate.revoke(key.id);
    assert.equal((await use(key)).verdict, "401 revoked_key");
    assert.equal(await kv.get(key.name), key.copy);
    await gate.order({ kvPut: "work" });
    await until("the alarm fills KV", async () => JSON.parse(await kv.get(key.name)).sealed.record.revoked);
  });

  test("and an unreadable row delay copies at the start of the registry, and no other key", async () => {
    await gate.order({ kvPut: "fail" });
    const [broken, other] = [await gate.newKey(), await gate.newKey()];
    await gate.disturb([`UPDATE keys SET scopes = 'nonsense' WHERE id = '${broken.id}'`]);
    await gate.breakInstance();
    assert.equal((await use(other)).verdict, "200");
    assert.equal((await use(broken)).verdict, "503 authority_unavailable");
  });
});
