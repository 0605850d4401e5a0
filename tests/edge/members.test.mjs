// The control plane: members and their credentials.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startGate } from "./harness/gate.mjs";
import { KEYS, lastEntry, MEMBERS, memberDraft, newMember } from "./harness/members.mjs";

let gate;
const me = (key) => gate.call("/_keyward/v1/me", { key });
const create = (json, request = {}) => gate.call(MEMBERS, { method: "POST", key: gate.owner, json, ...request });
const patch = (id, json, key = gate.owner) => gate.call(`${MEMBERS}/${id}`, { method: "PATCH", key, json });
const act = (id, what, request = {}) =>
  gate.call(`${MEMBERS}/${id}/${what}`, { method: "POST", key: gate.owner, ...request });
const show = (id, key = gate.owner) => gate.call(`${MEMBERS}/${id}`, { key });
const lifeDays = ({ created_at: from, expires_at: to }) => (Date.parse(to) - Date.parse(from)) / 86_400_000;

before(async () => {
  gate = await startGate({ vars: { ORIGIN_LIVE: "http://127.0.0.1:1", MAX_MEMBER_DAYS: 100 } });
  await gate.bootstrap();
});
after(() => gate?.stop());

describe("creating members", () => {
  test("201 with the member and the credential, which works at once and is shown nowhere else", async () => {
    const answer = await create({
      name: "Mia",
      email: "mia@acme.example",
      role: "manager",
      environments: ["test"],
      expires_in_days: 7,
    });
    assert.equal(answer.status, 201);
    assert.deepEqual(Object.keys(answer.json), ["member", "api_key"]);
    const { member, api_key: key } = answer.json;
    assert.match(key, new RegExp(`^${member.id}_[0-9A-Za-z]{46}$`));
    assert.deepEqual(
      [member.role, member.environments, member.status, lifeDays(member)],
      ["manager", ["test"], "active", 7],
    );
    const seen = await me(key);
    assert.deepEqual(seen.json, member);
    const entry = await lastEntry(gate);
    assert.deepEqual([entry.action, entry.subject], ["member.create", member.id]);
    assert.ok(!JSON.stringify(entry).includes(key.slice(23, 55)));
  });

  test("a credential lives MAX_MEMBER_DAYS by default, and never longer", async () => {
    const answer = await create(memberDraft());
    assert.equal(lifeDays(answer.json.member), 100);
    const longer = await create(memberDraft({ expires_in_days: 101 }));
    assert.equal(`${longer.verdict} ${longer.json.field}`, "400 invalid_request expires_in_days");
  });

  test("an invalid field is named", async () => {
    for (const [field, changes] of [
      ["name", { name: "" }],
      ["name", { name: "a\u202eb" }],
      ["email", { email: "x" }],
      ["role", { role: "admin" }],
      ["role", { role: undefined }],
      ["environments", { environments: [] }],
      ["environments[0]", { environments: ["prod"] }],
      ["expires_in_days", { expires_in_days: 0 }],
      ["colour", { colour: 1 }],
    ]) {
      const answer = await create(memberDraft(changes));
      assert.equal(`${answer.verdict} ${answer.json.field}`, `400 invalid_request ${field}`);
    }
  });

  test("two members that are not revoked never share an email address, in any letter case", async () => {
    const first = await newMember(gate, { email: "same@acme.example" });
    assert.equal((await create(memberDraft({ email: "Same@ACME.example" }))).verdict, "409 email_taken");
    await act(first.id, "revoke");
    assert.equal((await create(memberDraft({ email: "Same@ACME.example" }))).status, 201);
  });
});

describe("changing members", () => {
  test("a role applies from the next request on, and the audit log shows before and after", async () => {
    const member = await newMember(gate, { role: "auditor" });
    assert.equal((await gate.call(KEYS, { method: "POST", key: member.key, json: {} })).verdict, "403 forbidden");
    const answer = await patch(member.id, { role: "manager", environments: ["test"] });
    assert.equal(answer.status, 200);
    assert.deepEqual(Object.keys(answer.json), ["member"]);
    assert.deepEqual((await show(member.id)).json, answer.json.member);
    assert.equal((await gate.call(KEYS, { method: "POST", key: member.key, json: {} })).verdict, "400 invalid_request");
    const { action, detail } = await lastEntry(gate);
    assert.equal(action, "member.update");
    assert.deepEqual(
      [detail.before.role, detail.after.role, detail.before.environments, detail.after.environments],
      ["auditor", "manager", null, ["test"]],
    );
  });

  test("null removes a limit, and is refused in any other field", async () => {
    const member = await newMember(gate, { environments: ["test"] });
    assert.equal((await patch(member.id, { environments: null })).json.member.environments, null);
    for (const json of [{ role: null }, { name: null }, {}, { id: member.id }])
      assert.equal((await patch(member.id, json)).verdict, "400 invalid_request");
  });

  test("the last owner cannot be demoted, limited or revoked; with a second owner it can", async () => {
    const { id } = (await me(gate.owner)).json;
    for (const answer of [await patch(id, { role: "manager" }), await act(id, "revoke")])
      assert.equal(answer.verdict, "409 last_owner");
    const second = await newMember(gate, { role: "owner" });
    assert.equal((await patch(id, { role: "manager" }, second.key)).status, 200);
    assert.equal((await patch(second.id, { role: "manager" }, second.key)).verdict, "409 last_owner");
    assert.equal((await patch(id, { role: "owner" }, second.key)).status, 200);
    assert.equal((await act(second.id, "revoke")).status, 200);
  });
});

describe("ending credentials", () => {
  test("a revoked member's credential is refused from the next request on, permanently", async () => {
    const member = await newMember(gate);
    assert.equal((await me(member.key)).status, 200);
    const answer = await act(member.id, "revoke");
    assert.deepEqual([answer.status, answer.json.member.status], [200, "revoked"]);
    assert.equal((await me(member.key)).verdict, "401 invalid_key");
    assert.deepEqual((await act(member.id, "revoke", { json: {} })).json, answer.json);
    assert.notEqual((await act(member.id, "rotate")).status, 201);
    assert.notEqual((await patch(member.id, { name: "Again" })).status, 200);
    assert.equal((await me(member.key)).verdict, "401 invalid_key");
  });

  test("a rotation keeps the id, and the old credential is refused at once", async () => {
    const member = await newMember(gate, { expires_in_days: 9 });
    const answer = await act(member.id, "rotate");
    assert.equal(answer.status, 201);
    assert.equal(answer.json.member.id, member.id);
    assert.ok(answer.json.api_key.startsWith(`${member.id}_`) && answer.json.api_key !== member.key);
    assert.equal((await me(member.key)).verdict, "401 invalid_key");
    assert.equal((await me(answer.json.api_key)).json.id, member.id);
  });

  test("no body is needed; a body with fields or without valid JSON is refused", async () => {
    const { id } = await newMember(gate);
    const json = { "content-type": "application/json" };
    for (const [verdict, request] of [
      ["400 invalid_request", { json: { reason: "x" } }],
      ["400 invalid_request", { body: "x", headers: json }],
      ["415 unsupported_media_type", { body: "{}" }],
      ["415 unsupported_media_type", { body: "{}", headers: { "content-type": "text/plain" } }],
      ["415 unsupported_media_type", { headers: { "content-type": "text/plain" } }],
    ]) {
      for (const what of ["revoke", "rotate"])
        assert.equal((await act(id, what, request)).verdict, verdict, JSON.stringify(request));
    }
    assert.equal((await act(id, "rotate", { body: "", headers: json })).status, 201);
  });

  test("an id of no member is 404", async () => {
    const { id } = await gate.newKey();
    for (const path of ["wafl_admin_000000000000", "nonsense", id]) {
      assert.equal((await show(path)).verdict, "404 not_found");
      assert.equal((await patch(path, { name: "x" })).verdict, "404 not_found");
      for (const what of ["revoke", "rotate"]) assert.equal((await act(path, what)).verdict, "404 not_found");
    }
  });
});

test("a list pages through every member once, newest first", async () => {
  const seen = [];
  let cursor = "";
  do {
    const { status, json } = await gate.call(`${MEMBERS}?limit=3${cursor && `&cursor=${cursor}`}`, { key: gate.owner });
    assert.equal(status, 200);
    assert.ok(json.items.length <= 3);
    seen.push(...json.items.map(({ id }) => id));
    cursor = json.next_cursor;
  } while (cursor !== null);
  const all = gate.sql("SELECT id FROM members ORDER BY position DESC").map(({ id }) => id);
  assert.deepEqual(seen, all);
  for (const query of ["limit=0", "limit=201", "cursor=!", "role=owner", "limit=1&limit=1"])
    assert.equal((await gate.call(`${MEMBERS}?${query}`, { key: gate.owner })).verdict, "400 invalid_request", query);
});
