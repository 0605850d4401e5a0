// docs/guides/rotate-the-secret.md, step by step: KEYWARD_SECRET is replaced without an effect on clients until the old secret is removed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { KEYS, MEMBERS, newMember } from "./harness/members.mjs";
import { SECRETS } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

const OLD = SECRETS.KEYWARD_SECRET;
const NEW = Buffer.alloc(32, 7).toString("base64");
let origin;
let gate;
let vars;
let live;
let revoked;
let member;
let kept;

const use = (key) => gate.call("/v1/contacts", { key });
const me = (key) => gate.call("/_keyward/v1/me", { key });
const text = async (path) => (await gate.call(`/_keyward/v1/audit/${path}`, { key: gate.owner })).text;
const copies = async () =>
  Object.fromEntries(
    await Promise.all(
      [live, revoked].map(async ({ id }) => [id, JSON.parse(await (await gate.kv()).get(`key:${id}`))]),
    ),
  );
const drained = () => until("KV is filled", () => gate.sql("SELECT count(*) AS count FROM outbox")[0].count === 0);
const rotateWith = (path, name, json = {}) =>
  gate.call(path, { method: "POST", key: gate.owner, json, headers: { "idempotency-key": name } });

before(async () => {
  origin = await startOrigin();
  vars = { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1, OUTAGE_GRACE_SECONDS: 1 };
  gate = await startGate({ vars, instrumented: true });
  await gate.bootstrap();
  live = await gate.newKey();
  revoked = await gate.newKey();
  await gate.revoke(revoked.id);
  member = await newMember(gate);
  await drained();
  kept = { checkpoint: await text("checkpoint"), vkey: await text("key"), copies: await copies() };
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

// In this order: each test is one step.
test("1. a write is made under the old secret, to be retried under the new one", async () => {
  kept.draft = {
    name: "Retried",
    integration: "retried",
    environment: "live",
    purpose: "x",
    owner: "x",
    scopes: ["contacts:read"],
  };
  kept.retried = await rotateWith(KEYS, "across", kept.draft);
  assert.equal(kept.retried.status, 201);
  await drained();
});

test("2. with the old secret as the previous one, every key and credential still works", async () => {
  await gate.restart({ vars: { ...vars, KEYWARD_SECRET: NEW, KEYWARD_SECRET_PREVIOUS: OLD } });
  assert.equal((await use(live.apiKey)).status, 200);
  assert.equal((await use(revoked.apiKey)).verdict, "401 revoked_key");
  assert.equal((await me(gate.owner)).status, 200);
  assert.equal((await me(member.key)).status, 200);
});

test("3. the object seals every copy again, once, without a request", async () => {
  await drained();
  const after = await copies();
  for (const [id, { sealed_under: generation, sealed }] of Object.entries(after)) {
    assert.notEqual(generation, kept.copies[id].sealed_under);
    assert.deepEqual(sealed, kept.copies[id].sealed);
  }
  await gate.take();
  await gate.restart();
  assert.equal((await use(live.apiKey)).status, 200);
  assert.equal((await gate.take()).kvPut, 0);
});

test("4. a retry across the switch gets the first answer", async () => {
  const again = await rotateWith(KEYS, "across", kept.draft);
  assert.deepEqual([again.status, again.text], [201, kept.retried.text]);
  assert.equal((await use(again.json.api_key)).status, 200);
});

test("5. the new verifier key is listed before the old one, and checkpoints are signed with the new one", async () => {
  const [current, previous, end] = (await text("key")).split("\n");
  assert.equal(`${previous}\n`, kept.vkey);
  assert.notEqual(current, previous);
  assert.equal(end, "");
  const idOf = (note) => Buffer.from(note.trimEnd().split(" ").at(-1), "base64").subarray(0, 4).toString("hex");
  assert.equal(idOf(kept.checkpoint), previous.split("+")[1]);
  assert.equal(idOf(await text("checkpoint")), current.split("+")[1]);
});

test("6. keys and members are rotated, and new credentials belong to the new secret", async () => {
  for (const { id } of [live, kept.retried.json.key]) {
    const answer = await gate.call(`${KEYS}/${id}/rotate`, {
      method: "POST",
      key: gate.owner,
      json: { overlap_seconds: 3600 },
    });
    assert.equal(answer.status, 201);
    if (id === live.id) live.successor = answer.json.api_key;
  }
  const rotated = await gate.call(`${MEMBERS}/${member.id}/rotate`, { method: "POST", key: gate.owner });
  member.successor = rotated.json.api_key;
  assert.equal((await me(member.key)).verdict, "401 invalid_key");
  const { id } = (await me(gate.owner)).json;
  gate.owner = (await gate.call(`${MEMBERS}/${id}/rotate`, { method: "POST", key: gate.owner })).json.api_key;
  assert.equal((await use(live.apiKey)).status, 200);
  assert.equal((await use(live.successor)).status, 200);
  await drained();
});

test("7. the old secret is removed: credentials made under it are unknown, all others work", async () => {
  await gate.restart({ vars: { ...vars, KEYWARD_SECRET: NEW } });
  assert.equal((await use(live.apiKey)).verdict, "401 invalid_key");
  assert.equal((await use(live.successor)).status, 200);
  assert.equal((await me(member.successor)).status, 200);
  assert.equal((await me(gate.owner)).status, 200);
  assert.equal((await text("key")).trimEnd().split("\n").length, 1);
  assert.deepEqual(
    gate.logs.filter((line) => line.includes("kv_record_broken")),
    [],
  );
});

test("8. switching back to the old secret, with the new one as the previous one, works the same", async () => {
  await gate.restart({ vars: { ...vars, KEYWARD_SECRET: OLD, KEYWARD_SECRET_PREVIOUS: NEW } });
  assert.equal((await use(live.successor)).status, 200);
  assert.equal((await use(live.apiKey)).status, 200);
  assert.equal((await me(gate.owner)).status, 200);
});
