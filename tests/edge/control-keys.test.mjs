// The control plane: the first owner, and the rules for issuing keys.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { otherSecret } from "./harness/keys.mjs";
import { SECRETS } from "./harness/settings.mjs";
import { ahead, until } from "./harness/wait.mjs";

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, MAX_KEY_DAYS: 120 } });
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const BOOTSTRAP = "/_keyward/v1/bootstrap";
const KEYS = "/_keyward/v1/keys";
const DAY = 86_400_000;
const lifetimeOf = ({ created_at: from, expires_at: to }) => Date.parse(to) - Date.parse(from);

/** Replaces ids, times, credentials and request ids, so that the rest can be compared whole. */
const pin = (answer) =>
  answer.text
    .replaceAll(/wafl_(live|test|admin)_[0-9A-Za-z]{12}_[0-9A-Za-z]{46}/g, "<$1 key>")
    .replaceAll(/wafl_(live|test|admin)_[0-9A-Za-z]{12}/g, "<$1 id>")
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "<time>")
    .replaceAll(answer.headers["keyward-request-id"], "<request id>");

// In this order: each test continues the same deployment.
describe("the first owner", () => {
  const member = { name: "Olive Owner", email: "olive@acme.example" };
  const bootstrap = (request) => gate.call(BOOTSTRAP, { method: "POST", json: member, ...request });

  test("no owner is created without the token, whatever else is right or wrong", async () => {
    for (const [verdict, request] of [
      ["401 missing_key", {}],
      ["401 invalid_key", { key: "wrong" }],
      ["401 invalid_key", { key: `${SECRETS.BOOTSTRAP_TOKEN}x` }],
      ["401 invalid_key", { key: SECRETS.BOOTSTRAP_TOKEN.slice(0, -1) }],
      ["401 invalid_key", { headers: { authorization: `Basic ${SECRETS.BOOTSTRAP_TOKEN}` } }],
      ["401 missing_key", { headers: { "x-api-key": SECRETS.BOOTSTRAP_TOKEN } }],
      ["401 invalid_key", { key: "wrong", json: {} }],
    ]) {
      assert.equal((await bootstrap(request)).verdict, verdict, JSON.stringify(request));
    }
  });

  test("an invalid body is refused with the field named, and does not use up the token", async () => {
    for (const [field, json] of [
      ["name", { email: "o@a.example" }],
      ["email", { name: "O" }],
      ["email", { name: "O", email: "nowhere" }],
      ["role", { ...member, role: "owner" }],
    ]) {
      const answer = await bootstrap({ key: SECRETS.BOOTSTRAP_TOKEN, json });
      assert.equal(answer.verdict, "400 invalid_request");
      assert.equal(answer.json.field, field);
    }
  });

  test("the token is accepted by bootstrap only", async () => {
    assert.equal((await gate.call("/_keyward/v1/me", { key: SECRETS.BOOTSTRAP_TOKEN })).verdict, "401 invalid_key");
    assert.equal((await gate.call(KEYS, { key: SECRETS.BOOTSTRAP_TOKEN })).verdict, "401 invalid_key");
  });

  test("the first call creates the owner: 201 with the credential, shown only this once", async () => {
    const answer = await gate.bootstrap(member);
    assert.equal(answer.status, 201);
    assert.equal(answer.headers["content-type"], "application/json");
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.equal(
      pin(answer),
      '{"member":{"id":"<admin id>","name":"Olive Owner","email":"olive@acme.example","role":"owner","environments":null,"status":"active","created_at":"<time>","created_by":"bootstrap","expires_at":"<time>","revoked_at":null,"revision":1},"api_key":"<admin key>"}',
    );
  });

  test("every later call is 409, with the right token and a right or wrong body", async () => {
    for (const json of [member, { name: "Mallory", email: "m@evil.example" }, { nonsense: 1 }]) {
      const answer = await bootstrap({ key: SECRETS.BOOTSTRAP_TOKEN, json });
      assert.equal(answer.verdict, "409 already_bootstrapped");
    }
    assert.equal((await bootstrap({ key: "wrong" })).verdict, "401 invalid_key");
  });

  test("me shows the caller, and only to a member", async () => {
    const answer = await gate.call("/_keyward/v1/me", { key: gate.owner });
    assert.equal(answer.status, 200);
    assert.equal(
      pin(answer),
      '{"id":"<admin id>","name":"Olive Owner","email":"olive@acme.example","role":"owner","environments":null,"status":"active","created_at":"<time>","created_by":"bootstrap","expires_at":"<time>","revoked_at":null,"revision":1}',
    );
  });
});

test("ten concurrent bootstraps create one owner", async () => {
  const fresh = await startGate({ vars: { ORIGIN_LIVE: origin.url } });
  try {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => fresh.bootstrap({ name: `Owner ${index}`, email: "o@acme.example" })),
    );
    const verdicts = answers.map(({ verdict }) => verdict).sort();
    assert.deepEqual(verdicts, ["201", ...Array(9).fill("409 already_bootstrapped")]);
  } finally {
    await fresh.stop();
  }
});

describe("signing in", () => {
  test("only a member's own credential as Bearer signs in; everything else is 401 on every route", async () => {
    const data = await gate.newKey();
    const routes = [
      ["GET", "/_keyward/v1/me"],
      ["GET", KEYS],
      ["POST", KEYS],
      ["GET", `${KEYS}/${data.id}`],
      ["POST", `${KEYS}/${data.id}/revoke`],
    ];
    for (const [method, path] of routes) {
      const call = (request) =>
        gate.call(path, { method, ...(method === "POST" ? { json: { nonsense: 1 } } : {}), ...request });
      assert.equal((await call({})).verdict, "401 missing_key", path);
      assert.equal((await call({ headers: { "x-api-key": gate.owner } })).verdict, "401 missing_key", path);
      for (const [what, request] of [
        ["a data key", { key: data.apiKey }],
        ["a malformed key", { key: "garbage" }],
        ["another secret", { key: otherSecret(gate.owner) }],
        ["another scheme", { headers: { authorization: `Basic ${gate.owner}` } }],
        ["no scheme", { headers: { authorization: gate.owner } }],
        ["sent twice", { headers: { authorization: [`Bearer ${gate.owner}`, `Bearer ${gate.owner}`] } }],
      ]) {
        const answer = await call(request);
        assert.equal(answer.verdict, "401 invalid_key", `${path} with ${what}`);
        assert.equal(answer.json.field, undefined);
      }
    }
  });
});

describe("issuing a key", () => {
  test("201 with the key and, only this once, its text", async () => {
    const answer = await gate.issue({
      name: "CRM sync",
      integration: "crm-sync",
      scopes: ["contacts:write", "contacts:read"],
      allowed_cidrs: ["192.0.2.0/24"],
      expires_in_days: 30,
    });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers["content-type"], "application/json");
    assert.equal(answer.headers["cache-control"], "no-store");
    const { revision } = answer.json.key;
    assert.equal(
      pin(answer),
      `{"key":{"id":"<live id>","name":"CRM sync","integration":"crm-sync","environment":"live","purpose":"Nightly contact sync to the CRM","owner":"ops@acme.example","scopes":["contacts:write","contacts:read"],"allowed_cidrs":["192.0.2.0/24"],"limits":[],"status":"active","created_at":"<time>","created_by":"<admin id>","expires_at":"<time>","rotated_from":null,"successor":null,"revoked_at":null,"revoked_by":null,"revoke_reason":null,"first_used_at":null,"last_used_at":null,"last_used_from":null,"exposed_at":null,"revision":${revision}},"api_key":"<live key>"}`,
    );
    assert.ok(answer.json.api_key.startsWith(`${answer.json.key.id}_`));
    assert.equal(lifetimeOf(answer.json.key), 30 * DAY);
  });

  test("a key lives 90 days by default, and never longer than MAX_KEY_DAYS", async () => {
    assert.equal(lifetimeOf((await gate.issue()).json.key), 90 * DAY);
    assert.equal(lifetimeOf((await gate.issue({ expires_in_days: 120 })).json.key), 120 * DAY);
    assert.equal((await gate.issue({ expires_at: ahead(119 * DAY) })).status, 201);
  });

  test("text is returned as it was sent", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder must be returned as text
    const name = "Zoë's <b>sync</b> & \"more\" 'x' 連携 👩‍🚀 ${x} {{y}}";
    const { key } = (await gate.issue({ name })).json;
    assert.equal(key.name, name);
    assert.equal((await gate.call(`${KEYS}/${key.id}`, { key: gate.owner })).json.name, name);
  });

  const long = (length) => "a".repeat(length);
  const REFUSED = [
    ...["name", "integration", "environment", "purpose", "owner", "scopes"].map((field) => [
      field,
      { [field]: undefined },
    ]),
    ...["name", "integration", "environment", "purpose", "owner"].flatMap((field) => [
      [field, { [field]: "" }],
      [field, { [field]: 1 }],
      [field, { [field]: ["x"] }],
      [field, { [field]: null }],
      [field, { [field]: true }],
    ]),
    ...["name", "purpose", "owner"].flatMap((field) => [
      [field, { [field]: "a\u202eb" }],
      [field, { [field]: "a\nb" }],
      [field, { [field]: "a\u0000" }],
      [field, { [field]: "a\u2066b" }],
      [field, { [field]: " a" }],
    ]),
    ["name", { name: long(101) }],
    ["purpose", { purpose: long(501) }],
    ["owner", { owner: long(255) }],
    ["integration", { integration: long(65) }],
    ["integration", { integration: "CRM Sync" }],
    ["integration", { integration: "-crm" }],
    ["environment", { environment: "prod" }],
    ["environment", { environment: "admin" }],
    ["environment", { environment: "LIVE" }],
    ["scopes", { scopes: [] }],
    ["scopes", { scopes: "contacts:read" }],
    ["scopes", { scopes: {} }],
    ["scopes[0]", { scopes: [1] }],
    ["scopes[1]", { scopes: ["contacts:read", "Contacts:Read"] }],
    ["scopes[1]", { scopes: ["contacts:read", "contacts:read"] }],
    ["allowed_cidrs", { allowed_cidrs: "192.0.2.0/24" }],
    ["allowed_cidrs[0]", { allowed_cidrs: ["192.0.2.1/24"] }],
    ["allowed_cidrs[1]", { allowed_cidrs: ["192.0.2.0/24", "nonsense"] }],
    ["allowed_cidrs[0]", { allowed_cidrs: ["300.0.0.0/8"] }],
    ["expires_in_days", { expires_in_days: 0 }],
    ["expires_in_days", { expires_in_days: 121 }],
    ["expires_in_days", { expires_in_days: -1 }],
    ["expires_in_days", { expires_in_days: 1.5 }],
    ["expires_in_days", { expires_in_days: "30" }],
    ["expires_in_days", { expires_in_days: 1e300 }],
    ["expires_in_days", { expires_in_days: 2 ** 53 }],
    ["expires_at", { expires_at: "2001-01-01T00:00:00Z" }],
    ["expires_at", { expires_at: "Infinity" }],
    ["expires_at", { expires_at: "2026-12-24" }],
    ["expires_at", { expires_at: "2026-12-24T00:00:00" }],
    ["expires_at", { expires_at: 1_800_000_000_000 }],
    ["expires_at", { expires_at: "9999-12-31T23:59:59Z" }],
    ["expires_at", { expires_at: ahead(DAY), expires_in_days: 1 }],
    ["colour", { colour: "red" }],
    ["key_hash", { key_hash: "00" }],
    ["id", { id: "wafl_live_000000000000" }],
    ["__proto__", JSON.parse('{"__proto__": 1}')],
  ];
  for (const [field, changes] of REFUSED) {
    test(`400 names ${field} in ${JSON.stringify(changes).slice(0, 60)}`, async () => {
      const answer = await gate.call(KEYS, {
        method: "POST",
        key: gate.owner,
        body: JSON.stringify({ ...draft(), ...changes }),
        headers: { "content-type": "application/json" },
      });
      assert.equal(answer.verdict, "400 invalid_request");
      assert.equal(answer.json.field, field);
    });
  }

  test("lengths are stated in the error", async () => {
    assert.match((await gate.issue({ name: long(101) })).json.detail, /1 to 100 characters.*101/);
    assert.match((await gate.issue({ expires_in_days: 121 })).json.detail, /1 to 120 days/);
  });

  test("a scope that no route uses is 400 unknown_scope", async () => {
    const answer = await gate.issue({ scopes: ["contacts:read", "contacts:raed"] });
    assert.equal(answer.verdict, "400 unknown_scope");
    assert.equal(answer.json.field, "scopes[1]");
    assert.match(answer.json.detail, /contacts:raed.*contacts:read, contacts:write, events:read/);
  });

  test("a duplicate field is refused with its name, however it is escaped", async () => {
    for (const body of ['{"name":"a","name":"b"}', '{"na\\u006de":"a","name":"b"}']) {
      const answer = await gate.call(KEYS, {
        method: "POST",
        key: gate.owner,
        body,
        headers: { "content-type": "application/json" },
      });
      assert.equal(answer.verdict, "400 invalid_request");
      assert.equal(answer.json.field, "name");
    }
  });

  test("a second active key for the integration is 409 and names the first; another environment is free", async () => {
    const first = await gate.newKey({ integration: "one-key" });
    const second = await gate.issue({ integration: "one-key" });
    assert.equal(second.verdict, "409 integration_has_key");
    assert.ok(second.json.detail.includes(first.id), second.json.detail);
    assert.equal((await gate.issue({ integration: "one-key", environment: "test" })).status, 201);
    await gate.revoke(first.id);
    assert.equal((await gate.issue({ integration: "one-key" })).status, 201);
  });

  test("a second active key of a name is 409 name_taken; expiry frees it", async () => {
    await gate.newKey({ name: "A clear name", expires_at: ahead(500) });
    assert.equal((await gate.issue({ name: "A clear name" })).verdict, "409 name_taken");
    assert.equal((await gate.issue({ name: "A clear name", environment: "test" })).status, 201);
    await until("the name is free", async () => (await gate.issue({ name: "A clear name" })).status === 201);
  });

  test("ten concurrent requests for one integration issue one key", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => gate.issue({ integration: "contended" })));
    const verdicts = answers.map(({ verdict }) => verdict).sort();
    assert.deepEqual(verdicts, ["201", ...Array(9).fill("409 integration_has_key")]);
  });

  test("a refused request issues no key and adds no entry to the audit log", async () => {
    const [{ count }] = gate.sql("SELECT count(*) AS count FROM audit");
    await gate.issue({ scopes: ["nonsense"] });
    await gate.issue({ name: "" });
    await gate.issue({ integration: "one-key" });
    assert.equal(gate.sql("SELECT count(*) AS count FROM audit")[0].count, count);
  });
});

function draft() {
  return {
    name: "A name",
    integration: "an-integration",
    environment: "live",
    purpose: "A purpose",
    owner: "ops@acme.example",
    scopes: ["contacts:read"],
  };
}
