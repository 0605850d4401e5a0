// Writes with an Idempotency-Key may be retried, also concurrently.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { startGate } from "./harness/gate.mjs";
import { KEYS, MEMBERS, memberDraft, newMember } from "./harness/members.mjs";

let gate;
before(async () => {
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: "http://127.0.0.1:1" } });
  await gate.bootstrap();
});
after(() => gate?.stop());

const WINDOW = 600_000;
const post = (path, json, idempotencyKey, key = gate.owner) =>
  gate.call(path, {
    method: "POST",
    key,
    json,
    headers: idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey },
  });
const draft = (name) => ({
  name,
  integration: name,
  environment: "live",
  purpose: "A purpose",
  owner: "ops@acme.example",
  scopes: ["contacts:read"],
});
const count = (table) => gate.sql(`SELECT count(*) AS count FROM ${table}`)[0].count;
const counts = () => ["keys", "members", "audit"].map(count);

/** Each write that accepts the header, on its own resource. */
const WRITES = {
  issue: async () => [KEYS, draft(`issue-${Math.random().toString(36).slice(2)}`)],
  "rotate a key": async () => [`${KEYS}/${(await gate.newKey()).id}/rotate`, { overlap_seconds: 60 }],
  "make a member": async () => [MEMBERS, memberDraft()],
  "rotate a member": async () => [`${MEMBERS}/${(await newMember(gate)).id}/rotate`, {}],
};

for (const [what, prepare] of Object.entries(WRITES)) {
  test(`${what}: a retry gets the same answer with the credential, and the write happens once`, async () => {
    const [path, json] = await prepare();
    const first = await post(path, json, `retry ${what}`.replaceAll(" ", "-"));
    assert.equal(first.status, 201);
    const before = counts();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const again = await post(path, json, `retry ${what}`.replaceAll(" ", "-"));
      assert.deepEqual([again.status, again.text], [201, first.text]);
      assert.equal(again.headers["content-type"], "application/json");
      assert.notEqual(again.headers["keyward-request-id"], first.headers["keyward-request-id"]);
    }
    // Each retry showed the credential again, and the log says so.
    assert.deepEqual(counts(), [before[0], before[1], before[2] + 3]);
    assert.equal(gate.sql("SELECT action FROM audit ORDER BY seq DESC LIMIT 1")[0].action, "key.shown_again");
  });

  test(`${what}: concurrent retries get one answer`, async () => {
    const [path, json] = await prepare();
    const before = count("audit");
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(path, json, `twins-${what.length}`)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      Array(8).fill(201),
    );
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
    assert.equal(count("audit"), before + 8);
    const shown = gate.sql("SELECT count(*) AS count FROM audit WHERE action = 'key.shown_again' AND seq > ?", before);
    assert.equal(shown[0].count, 7);
  });

  test(`${what}: another body is 422 and writes nothing`, async () => {
    const [path, json] = await prepare();
    assert.equal((await post(path, json, `other-${what.length}`)).status, 201);
    const before = counts();
    const other =
      what === "rotate a member"
        ? undefined
        : { ...json, ...(what === "rotate a key" ? { overlap_seconds: 61 } : { name: "Other" }) };
    const answer =
      other === undefined
        ? await gate.call(path, {
            method: "POST",
            key: gate.owner,
            headers: { "idempotency-key": `other-${what.length}` },
          })
        : await post(path, other, `other-${what.length}`);
    assert.equal(answer.verdict, "422 idempotency_mismatch");
    assert.deepEqual(counts(), before);
  });

  test(`${what}: accepts 1 to 64 visible characters, otherwise 400 with the header named`, async () => {
    const [path, json] = await prepare();
    const before = counts();
    for (const value of ["", "a b", "x".repeat(65), "é", ["a", "b"]]) {
      const answer = await post(path, json, value);
      assert.equal(`${answer.verdict} ${answer.json.field}`, "400 invalid_request Idempotency-Key", String(value));
    }
    assert.deepEqual(counts(), before);
  });
}

test("the credential in the answer to a retry works", async () => {
  const json = memberDraft();
  await post(MEMBERS, json, "works");
  const { member, api_key: key } = (await post(MEMBERS, json, "works")).json;
  assert.deepEqual((await gate.call("/_keyward/v1/me", { key })).json, member);
});

test("a retry gets an answer that was lost in transit", async () => {
  const json = draft("lost");
  await gate.order({ registry: "fail after" });
  assert.equal((await post(KEYS, json, "lost")).verdict, "503 authority_unavailable");
  await gate.order({ registry: "work" });
  const answer = await post(KEYS, json, "lost");
  assert.equal(answer.status, 201);
  assert.equal(gate.sql("SELECT count(*) AS count FROM keys WHERE integration = 'lost'")[0].count, 1);
});

test("each member and each route has its own namespace", async () => {
  const other = await newMember(gate, { role: "manager" });
  const mine = await post(KEYS, draft("mine"), "shared");
  const theirs = await post(KEYS, draft("theirs"), "shared", other.key);
  assert.deepEqual([mine.status, theirs.status], [201, 201]);
  assert.notEqual(mine.json.api_key, theirs.json.api_key);
  assert.equal((await post(`${KEYS}/${mine.json.key.id}/rotate`, {}, "shared")).status, 201);
  assert.equal((await post(`${KEYS}/${theirs.json.key.id}/rotate`, {}, "shared")).status, 201);
  assert.equal((await post(MEMBERS, memberDraft(), "shared")).status, 201);
});

test("a retry is refused if its caller may no longer make the request", async () => {
  const other = await newMember(gate, { role: "manager" });
  const json = draft("demoted");
  assert.equal((await post(KEYS, json, "demoted", other.key)).status, 201);
  await gate.call(`${MEMBERS}/${other.id}`, { method: "PATCH", key: gate.owner, json: { role: "auditor" } });
  assert.equal((await post(KEYS, json, "demoted", other.key)).verdict, "403 forbidden");
  await gate.call(`${MEMBERS}/${other.id}/revoke`, { method: "POST", key: gate.owner });
  assert.equal((await post(KEYS, json, "demoted", other.key)).verdict, "401 invalid_key");
});

test("a refusal is not stored", async () => {
  const json = draft("refused");
  const { id } = await gate.newKey({ integration: "refused" });
  assert.equal((await post(KEYS, json, "refused")).verdict, "409 integration_has_key");
  await gate.revoke(id);
  assert.equal((await post(KEYS, json, "refused")).status, 201);
});

test("no secret is stored: neither the credential nor its secret part is in the database or the log", async () => {
  const { api_key: key } = (await post(KEYS, draft("unstored"), "unstored")).json;
  await post(KEYS, draft("unstored"), "unstored");
  const stored = ["keys", "members", "audit", "idempotency", "meta", "outbox"]
    .map((table) => JSON.stringify(gate.sql(`SELECT * FROM ${table}`)))
    .join();
  assert.ok(stored.includes(key.slice(0, 22)));
  for (const text of [stored, gate.logs.join()]) assert.ok(!text.includes(key.slice(23, 55)));
});

// Last, because it stops the gate to change the stored time.
test("the window is ten minutes, exact to the precision of this test's clock", async () => {
  const { id } = await newMember(gate);
  const path = `${MEMBERS}/${id}/rotate`;
  const first = await post(path, {}, "window");
  const since = async (age) => {
    await gate.stop({ keepState: true });
    const folder = join(gate.state, "do", "keyward-Registry");
    const database = new DatabaseSync(
      join(
        folder,
        readdirSync(folder).find((name) => /^[0-9a-f]{64}\.sqlite$/.test(name)),
      ),
    );
    database.prepare("UPDATE idempotency SET at = ? WHERE member IS NOT NULL").run(Date.now() - age);
    database.close();
    await gate.start();
    return post(path, {}, "window");
  };
  assert.equal((await since(WINDOW - 60_000)).text, first.text);
  const later = await since(WINDOW);
  assert.equal(later.status, 201);
  assert.notEqual(later.json.api_key, first.json.api_key);
});
