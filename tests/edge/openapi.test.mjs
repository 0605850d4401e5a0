// The OpenAPI document is valid, and every real answer of every route matches it in status,
// content type, headers and body. Statuses that no request here causes are listed below, so that none
// is untested by mistake.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { MEMBERS, memberDraft, newMember } from "./harness/members.mjs";
import { ROOT, ROUTES, SECRETS } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

const KEYS = "/_keyward/v1/keys";
/**
 * An unreachable authority is tested for some operations only. The page of claims is there if the build has a console. Sign-in through Access is
 * tested in crates/control, and a signed leak report and a deployment without GitLab in leaks.test.mjs.
 */
const UNSEEN =
  /^(?!verifyKey|introspect|revokeToken|issueKey|listKeys|me ).* 503$|^claimPage 200$|^startSession 200$|^reportGithubLeaks (200|400|413)$|^gitlab\w+ 404$/;
const GITLAB_TOKEN = "a-token-of-gitlab-of-a-test";

let gate;
let document;
let ajv;
const seen = new Set();

before(async () => {
  gate = await startGate({
    instrumented: true,
    vars: {
      ORIGIN_LIVE: "http://127.0.0.1:1",
      ON_EXPOSURE: { url: "quarantine" },
      CONTROL_HOST: "keys.acme.example",
      LEAK_GITLAB_TOKEN: GITLAB_TOKEN,
      EVENT_HOSTS: ["localhost:*"],
      ROUTES: [...ROUTES, { match: "GET /ping", scope: "contacts:read" }],
    },
  });
  document = (await gate.call("/_keyward/openapi.json")).json;
  ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true });
  addFormats(ajv);
  ajv.addVocabulary(["components"]);
});
after(() => gate?.stop());

const validators = new Map();
/** Validates a value against a schema whose references point into the document. */
function check(schema, value, where) {
  const name = JSON.stringify(schema);
  if (!validators.has(name)) validators.set(name, ajv.compile({ components: document.components, ...schema }));
  const validate = validators.get(name);
  assert.ok(validate(value), `${where}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`);
}

const follow = (value) =>
  value?.$ref === undefined
    ? value
    : value.$ref
        .slice(2)
        .split("/")
        .reduce((at, name) => at[name], document);

/** Finds the operation of a request in the document. */
function operationOf(method, path) {
  const segments = path.split("?")[0].split("/");
  const fits = (template) => {
    const expected = template.split("/");
    return (
      expected.length === segments.length && expected.every((one, at) => one.startsWith("{") || one === segments[at])
    );
  };
  const literalFirst = Object.keys(document.paths)
    .filter(fits)
    .sort((one, other) => one.split("{").length - other.split("{").length);
  return document.paths[literalFirst[0]]?.[method.toLowerCase()];
}

/** Sends one request, whose answer must match the document. */
async function call(path, request = {}) {
  const method = request.method ?? "GET";
  const operation = operationOf(method, path);
  assert.ok(operation, `${method} ${path} is not described`);
  const answer = await gate.call(path, request);
  const where = `${operation.operationId} ${answer.status}`;
  const described = follow(operation.responses[answer.status] ?? operation.responses.default);
  assert.ok(described, `${where} is not described`);
  if (operation.responses[answer.status]) seen.add(where);
  for (const [name, header] of Object.entries(described.headers ?? {})) {
    const { required, schema } = follow(header);
    // Node keeps each `Set-Cookie` apart.
    const value = [answer.headers[name.toLowerCase()]].flat()[0];
    assert.ok(value !== undefined || !required, `${where}: no ${name}`);
    if (value !== undefined) check(schema, value, `${where}, ${name}`);
  }
  assert.equal(
    answer.headers["cache-control"],
    described.headers?.["Cache-Control"] ? "public, max-age=300" : "no-store",
    where,
  );
  const type = answer.headers["content-type"];
  if (described.content === undefined) {
    assert.equal(answer.text, "", where);
    assert.equal(type, undefined, where);
    return answer;
  }
  const media = described.content[type] ?? assert.fail(`${where}: ${type} is not described`);
  check(media.schema, type.includes("json") && !type.includes("x-ndjson") ? answer.json : answer.text, where);
  if (type === "application/x-ndjson") {
    for (const line of answer.text.trimEnd().split("\n"))
      check({ $ref: "#/components/schemas/AuditEntry" }, JSON.parse(line), where);
  }
  return answer;
}

/** The same with a body that must match the document too: the gate accepts every body that the document allows. */
function right(path, request) {
  const { content } = operationOf(request.method, path).requestBody;
  check(content["application/json"].schema, request.json, path);
  return call(path, request);
}

describe("the document", () => {
  test("is valid OpenAPI 3.1", async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document));
    assert.ok(valid, JSON.stringify(errors));
  });

  test("is the one in crates/control, with this version, and is cacheable by anyone for five minutes", async () => {
    const answer = await call("/_keyward/openapi.json");
    const written = JSON.parse(readFileSync(join(ROOT, "crates", "control", "src", "openapi.json"), "utf8"));
    const { version } = (await call("/_keyward/health")).json;
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.deepEqual(answer.json, { ...written, info: { ...written.info, version } });
    assert.equal((await gate.call("/_keyward/openapi.json", { method: "HEAD" })).text, "");
    assert.equal(
      (await gate.call("/_keyward/openapi.json", { method: "POST", json: {} })).verdict,
      "405 method_not_allowed",
    );
  });

  test("has schemas that reject a wrong answer", () => {
    for (const [name, wrong] of /** @type {[string, any][]} */ ([
      [
        "Problem",
        { type: "/_keyward/problems/x", title: "", status: 400, detail: "", code: "no_such_code", request_id: "" },
      ],
      ["Introspection", { active: false, scope: "x" }],
      ["Introspection", { active: true }],
      ["Verdict", { valid: false }],
      ["Verdict", { valid: false, code: "revoked_key", key: null }],
      ["KeyId", "wafl_admin_000000000000"],
      ["Time", "2026-11-24T20:00:00+01:00"],
    ]))
      assert.throws(() => check({ $ref: `#/components/schemas/${name}` }, wrong, name), name);
  });
});

describe("every real answer matches the document", () => {
  const json = (method, key, body) => ({ method, key, json: body });
  const draft = (fields = {}) => ({
    name: `n-${Math.random()}`,
    integration: `i-${String(Math.random()).slice(2)}`,
    environment: "live",
    purpose: "p",
    owner: "ops@acme.example",
    scopes: ["contacts:read"],
    ...fields,
  });
  let owner;
  let verifier;
  const asked = (body) => json("POST", owner, body);

  test("bootstrap", async () => {
    const path = "/_keyward/v1/bootstrap";
    const body = { name: "Olive Owner", email: "olive@acme.example" };
    assert.equal((await call(path, json("POST", `${SECRETS.BOOTSTRAP_TOKEN}x`, body))).status, 401);
    assert.equal((await call(path, json("POST", SECRETS.BOOTSTRAP_TOKEN, { ...body, age: 7 }))).status, 400);
    const retried = { headers: { "idempotency-key": "first" } };
    const first = await right(path, { ...json("POST", SECRETS.BOOTSTRAP_TOKEN, body), ...retried });
    gate.owner = owner = first.json.api_key;
    const other = { ...body, name: "Another" };
    assert.equal((await call(path, { ...json("POST", SECRETS.BOOTSTRAP_TOKEN, other), ...retried })).status, 422);
    assert.equal((await call(path, json("POST", SECRETS.BOOTSTRAP_TOKEN, body))).status, 409);
    verifier = await newMember(gate, { role: "verifier" });
  });

  test("health and pages", async () => {
    await call("/_keyward/health");
    await call("/_keyward/problems/revoked_key");
    assert.equal((await call("/_keyward/problems/none")).status, 404);
    await call("/.well-known/oauth-authorization-server/_keyward");
    const wrong = await startGate({ vars: { ORIGIN_LIVE: "nowhere" } });
    const good = gate;
    try {
      gate = wrong;
      assert.equal((await call("/_keyward/health")).status, 503);
      assert.equal((await call("/_keyward/openapi.json")).status, 500);
    } finally {
      gate = good;
      await wrong.stop();
    }
  });

  test("keys", async () => {
    const fields = draft({ allowed_cidrs: ["192.0.2.0/24"], expires_in_days: 30 });
    const { key, api_key } = (await right(KEYS, asked(fields))).json;
    assert.equal((await right(KEYS, asked(draft({ expires_at: "2026-12-24T00:00:00Z" })))).status, 201);
    for (const wrong of [draft({ integration: fields.integration }), draft({ name: fields.name })])
      assert.equal((await call(KEYS, asked(wrong))).status, 409);
    for (const wrong of [{}, draft({ scopes: ["none"] }), draft({ colour: 1 })])
      assert.equal((await call(KEYS, asked(wrong))).status, 400);
    const retried = { headers: { "idempotency-key": "one" } };
    assert.equal(
      (await right(KEYS, { ...asked(draft({ integration: "retried", name: "r" })), ...retried })).status,
      201,
    );
    assert.equal(
      (await call(KEYS, { ...asked(draft({ integration: "retried", name: "s" })), ...retried })).status,
      422,
    );
    assert.equal((await call(`${KEYS}?limit=1&status=active&environment=live`, { key: owner })).status, 200);
    await call(KEYS, { key: owner });
    assert.equal((await call(`${KEYS}?limit=0`, { key: owner })).status, 400);
    const one = `${KEYS}/${key.id}`;
    assert.equal((await call(one, { key: owner })).status, 200);
    assert.equal((await call(`${one}?x=y`, { key: owner })).status, 400);
    assert.equal(
      (await right(one, json("PATCH", owner, { name: "new", scopes: ["contacts:read", "events:read"] }))).status,
      200,
    );
    assert.equal((await call(one, json("PATCH", owner, {}))).status, 400);
    assert.equal(
      (await right(`${one}/rotate`, { ...asked({ overlap_seconds: 60 }), headers: { "idempotency-key": "two" } }))
        .status,
      201,
    );
    assert.equal(
      (await call(`${one}/rotate`, { ...asked({ overlap_seconds: 61 }), headers: { "idempotency-key": "two" } }))
        .status,
      422,
    );
    assert.equal((await call(`${one}/rotate`, asked({}))).status, 409);
    assert.equal((await call(`${one}/rotate`, asked({ overlap_seconds: -1 }))).status, 400);
    const stale = { headers: { "if-match": '"1"' } };
    for (const [path, request] of /** @type {[string, any][]} */ ([
      [one, json("PATCH", owner, { purpose: "x" })],
      [`${one}/rotate`, asked({})],
      [`${one}/finish-rotation`, asked({})],
      [`${one}/extend-rotation`, asked({ overlap_seconds: 120 })],
      [`${one}/revoke`, asked({ reason: "x" })],
      [`${one}/dismiss-exposure`, asked({ reason: "x" })],
      [`${one}/release`, asked({ reason: "x" })],
    ]))
      assert.equal((await call(path, { ...request, ...stale })).status, 412);
    assert.equal(
      (await call(`${KEYS}?q=new&sort=-name&expires_before=2999-01-01T00:00:00Z`, { key: owner })).status,
      200,
    );
    assert.equal((await right(`${one}/extend-rotation`, asked({ overlap_seconds: 120 }))).status, 200);
    assert.equal((await call(`${one}/extend-rotation`, asked({ overlap_seconds: 60 }))).status, 400);
    assert.equal((await right(`${one}/finish-rotation`, asked({}))).status, 200);
    assert.equal((await call(`${one}/finish-rotation`, asked({ x: 1 }))).status, 400);
    assert.equal((await right(`${one}/revoke`, asked({ reason: "leaked" }))).status, 200);
    assert.equal((await call(`${one}/revoke`, asked({}))).status, 400);
    assert.equal((await call(one, json("PATCH", owner, { name: "newer" }))).status, 409);
    assert.equal((await call(`${one}/finish-rotation`, asked({}))).status, 409);
    assert.equal((await call(`${one}/extend-rotation`, asked({ overlap_seconds: 60 }))).status, 409);
    const absent = `${KEYS}/wafl_live_000000000000`;
    for (const [path, request] of [
      [absent, { key: owner }],
      [absent, json("PATCH", owner, { name: "x" })],
      [`${absent}/rotate`, asked({})],
      [`${absent}/finish-rotation`, asked({})],
      [`${absent}/extend-rotation`, asked({ overlap_seconds: 60 })],
      [`${absent}/revoke`, asked({ reason: "x" })],
      [`${absent}/exposures`, { key: owner }],
      [`${absent}/usage`, { key: owner }],
      [`${absent}/activity`, { key: owner }],
      [`${absent}/dismiss-exposure`, asked({ reason: "x" })],
      [`${absent}/release`, asked({ reason: "x" })],
    ]) {
      assert.equal((await call(path, request)).status, 404);
    }
    assert.equal((await call(`${KEYS}/${api_key}`, { key: owner })).json.code, "key_in_url");
  });

  test("exposures and quarantine", async () => {
    const { id, apiKey } = await gate.newKey();
    const one = `${KEYS}/${id}`;
    await gate.call(`/v1/contacts/7?k=${apiKey}`);
    const listed = async () => (await call(`${one}/exposures`, { key: owner })).json.items;
    await until("the exposure is recorded", async () => (await listed()).length === 1);
    assert.equal((await call(one, { key: owner })).json.status, "quarantined");
    assert.equal((await call(`${KEYS}?exposed=true&status=quarantined`, { key: owner })).json.items.length, 1);
    assert.equal((await call(`${KEYS}?exposed=1`, { key: owner })).status, 400);
    assert.equal((await call(one, json("PATCH", owner, { name: "newer" }))).status, 409);
    assert.equal((await right(`${one}/release`, asked({ reason: "a test page" }))).status, 200);
    assert.equal((await call(`${one}/release`, asked({ reason: "again" }))).status, 409);
    assert.equal((await right(`${one}/dismiss-exposure`, asked({ reason: "a test page" }))).status, 200);
    for (const operation of ["release", "dismiss-exposure"])
      assert.equal((await call(`${one}/${operation}`, asked({}))).status, 400);
    assert.equal((await call(`${one}/exposures?limit=0`, { key: owner })).status, 400);
    // With `keyward` in the log.
    await call("/_keyward/v1/audit?limit=200", { key: owner });
  });

  test("claims", async () => {
    const claims = "/_keyward/v1/claims";
    const linked = async () => {
      const { key, claim } = (await right(KEYS, asked(draft({ deliver: "claim", claim_hours: 1 })))).json;
      return { path: `${claims}/${key.id}`, secret: new URL(claim.url).hash.split(".")[1] };
    };
    const [used, withdrawn] = [await linked(), await linked()];
    const nonce = "a-nonce-of-this-test";
    const bare = (body) => ({ method: "POST", json: body });
    assert.equal((await call(claims, { key: owner })).json.items.length, 2);
    assert.equal((await call(`${claims}?limit=0`, { key: owner })).status, 400);
    assert.equal((await right(`${used.path}/lookup`, bare({ secret: used.secret }))).status, 200);
    assert.equal((await right(used.path, bare({ secret: used.secret, nonce }))).status, 201);
    assert.equal((await right(used.path, bare({ secret: used.secret, nonce: `${nonce}-2` }))).status, 409);
    assert.equal(
      (await call(`${withdrawn.path}/withdraw`, { ...asked({}), headers: { "if-match": '"1"' } })).status,
      412,
    );
    assert.equal((await right(`${withdrawn.path}/withdraw`, asked({}))).status, 200);
    assert.equal((await call(`${withdrawn.path}/withdraw`, asked({ x: 1 }))).status, 400);
    assert.equal((await call(`${claims}/wafl_live_000000000000/withdraw`, asked({}))).status, 404);
    assert.equal((await right(`${used.path}/withdraw`, asked({}))).status, 409);
    assert.equal((await right(`${used.path}/revoke`, bare({ secret: used.secret }))).status, 200);
    const publicly = ["", "/lookup", "/revoke"];
    for (const operation of publicly) {
      const path = `${used.path}${operation}`;
      const body = operation === "" ? { secret: "x", nonce } : { secret: "x" };
      assert.equal((await call(path, bare({}))).status, 400);
      assert.equal((await right(path, bare(body))).status, 404);
    }
    for (let at = 0; at < 10; at += 1) await call(`${used.path}/lookup`, bare({ secret: "x" }));
    for (const operation of publicly) {
      const body = operation === "" ? { secret: "x", nonce } : { secret: "x" };
      assert.equal((await right(`${used.path}${operation}`, bare(body))).status, 429);
    }
  });

  test("incidents", async () => {
    const incidents = "/_keyward/v1/incidents";
    const fields = (more) => ({ kind: "exposed", note: "Found in a build log", ...more });
    const { id } = await gate.newKey();
    const counted = await right(incidents, asked(fields({ key_ids: [id], dry_run: true })));
    assert.deepEqual([counted.status, counted.json.keys], [200, 1]);
    const retried = { headers: { "idempotency-key": "incident" } };
    const body = fields({ key_ids: [id], replace: "claim" });
    const opened = await right(incidents, { ...asked(body), ...retried });
    assert.equal(opened.status, 201);
    assert.equal((await right(incidents, { ...asked(fields({ key_ids: [id] })), ...retried })).status, 422);
    assert.equal((await call(incidents, asked(fields({})))).status, 400);
    assert.equal((await right(incidents, asked(fields({ key_ids: ["wafl_live_000000000000"] })))).status, 404);
    for (let made = 0; made < 21; made += 1)
      await gate.newKey({ owner: "many", name: `many-${made}`, integration: `many-${made}` });
    assert.equal((await right(incidents, asked(fields({ owner: "many" })))).status, 409);
    assert.equal((await call(`${incidents}?limit=1`, { key: owner })).json.items.length, 1);
    assert.equal((await call(`${incidents}?limit=0`, { key: owner })).status, 400);
    const one = `${incidents}/${opened.json.incident.id}`;
    assert.equal((await call(one, { key: owner })).status, 200);
    assert.equal((await call(`${one}?x=y`, { key: owner })).status, 400);
    assert.equal((await right(`${one}/close`, asked({}))).status, 409);
    assert.equal((await right(`${one}/review`, asked({ finding: "Only our own calls" }))).status, 200);
    assert.equal((await call(`${one}/review`, asked({}))).status, 400);
    assert.equal((await right(`${one}/close`, asked({}))).status, 200);
    assert.equal((await call(`${one}/close`, asked({ x: 1 }))).status, 400);
    const absent = `${incidents}/inc_0`;
    assert.equal((await call(absent, { key: owner })).status, 404);
    assert.equal((await right(`${absent}/review`, asked({ finding: "x" }))).status, 404);
    assert.equal((await right(`${absent}/close`, asked({}))).status, 404);
    const compromise = `${KEYS}/${(await gate.newKey()).id}/compromise`;
    assert.equal((await call(compromise, { ...asked(fields({})), headers: { "if-match": '"1"' } })).status, 412);
    assert.equal(
      (await right(compromise, { ...asked(fields({})), headers: { "idempotency-key": "one-key" } })).status,
      201,
    );
    assert.equal(
      (await right(compromise, { ...asked(fields({ note: "y" })), headers: { "idempotency-key": "one-key" } })).status,
      422,
    );
    assert.equal((await call(compromise, asked({}))).status, 400);
    assert.equal((await right(`${KEYS}/wafl_live_000000000000/compromise`, asked(fields({})))).status, 404);
  });

  test("posture", async () => {
    await gate.newKey();
    const posture = await call("/_keyward/v1/posture", { key: owner });
    const rules = posture.json.findings.map(({ rule }) => rule);
    assert.ok(rules.includes("no_limit") && rules.includes("claim_unused"), rules.join(" "));
    assert.ok(posture.json.score < 100);
    assert.equal((await call("/_keyward/v1/posture?x=y", { key: owner })).status, 400);
  });

  test("endpoints of events", async () => {
    const endpoints = "/_keyward/v1/endpoints";
    const deliveries = "/_keyward/v1/deliveries";
    const receiver = await startOrigin();
    try {
      const url = receiver.url.replace("127.0.0.1", "localhost");
      const made = await right(
        endpoints,
        asked({ url, description: "d", types: ["key.*"], signatures: ["v1a", "v1"] }),
      );
      assert.equal(made.status, 201);
      assert.equal((await call(endpoints, asked({ url: "https://evil.example/" }))).status, 400);
      const one = `${endpoints}/${made.json.endpoint.id}`;
      assert.equal((await right(one, json("PATCH", owner, { status: "enabled" }))).status, 409);
      assert.equal((await right(`${one}/test`, asked({}))).json.delivered, true);
      assert.equal((await call(`${one}/test`, asked({ x: 1 }))).status, 400);
      assert.equal((await right(one, json("PATCH", owner, { environments: ["live"], types: null }))).status, 200);
      assert.equal((await call(one, json("PATCH", owner, {}))).status, 400);
      assert.equal((await call(endpoints, { key: owner })).json.items.length, 1);
      for (const path of [endpoints, `${endpoints}/key`, one])
        assert.equal((await call(`${path}?x=y`, { key: owner })).status, 400);
      assert.equal((await call(one, { key: owner })).json.endpoint.status, "enabled");
      assert.equal((await call(`${endpoints}/key`, { key: owner })).status, 200);
      await gate.newKey();
      const listed = () => call(`${deliveries}?type=key.issued&status=delivered&limit=1`, { key: owner });
      await until("the delivery", async () => (await listed()).json.items.length === 1);
      const [delivery] = (await listed()).json.items;
      assert.equal((await call(`${deliveries}?status=lost`, { key: owner })).status, 400);
      assert.equal((await right(`${deliveries}/${delivery.id}/resend`, asked({}))).status, 202);
      assert.equal((await call(`${deliveries}/${delivery.id}/resend`, asked({ x: 1 }))).status, 400);
      assert.equal((await right(`${deliveries}/dlv_999999/resend`, asked({}))).status, 404);
      const range = { from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" };
      assert.equal((await right(`${one}/replay`, asked(range))).status, 202);
      assert.equal((await call(`${one}/replay`, asked({ from: range.to, to: range.from }))).status, 400);
      assert.equal((await right(`${one}/rotate-secret`, asked({}))).status, 200);
      assert.equal((await call(`${one}/rotate-secret`, asked({ x: 1 }))).status, 400);
      assert.equal((await right(one, json("PATCH", owner, { status: "disabled" }))).status, 200);
      assert.equal((await right(`${deliveries}/${delivery.id}/resend`, asked({}))).status, 409);
      assert.equal((await right(`${one}/replay`, asked(range))).status, 409);
      const stale = { headers: { "if-match": '"1"' } };
      for (const [path, request] of /** @type {[string, any][]} */ ([
        [one, json("PATCH", owner, { description: null })],
        [`${one}/rotate-secret`, asked({})],
        [one, json("DELETE", owner, {})],
      ]))
        assert.equal((await call(path, { ...request, ...stale })).status, 412);
      assert.equal((await call(one, json("DELETE", owner, { x: 1 }))).status, 400);
      assert.equal((await right(one, json("DELETE", owner, {}))).status, 204);
      for (const [path, request] of /** @type {[string, any][]} */ ([
        [one, { key: owner }],
        [one, json("PATCH", owner, { description: "x" })],
        [one, json("DELETE", owner, {})],
        [`${one}/test`, asked({})],
        [`${one}/rotate-secret`, asked({})],
        [`${one}/replay`, asked(range)],
      ]))
        assert.equal((await call(path, request)).status, 404);
      await call("/_keyward/v1/audit?limit=200", { key: owner });
    } finally {
      await receiver.close();
    }
  });

  test("usage and activity", async () => {
    const { id, apiKey } = await gate.newKey();
    const one = `${KEYS}/${id}`;
    await gate.call("/v1/contacts/7", { key: apiKey });
    const series = async () => (await call(`${one}/usage?step=minute`, { key: owner })).json.items;
    // The first use of a key in an hour is reported after a second.
    await until("the use is counted", async () => (await series()).length === 1);
    const activity = await call(`${one}/activity`, { key: owner });
    assert.equal(activity.json.items.filter((item) => item.route !== undefined).length, 1);
    assert.equal((await call("/_keyward/v1/usage?by=key", { key: owner })).json.items[0].name, id);
    assert.equal((await call("/_keyward/v1/usage?by=time", { key: owner })).json.items.length, 1);
    const routes = await call(`/_keyward/v1/usage?by=route&key=${id}`, { key: owner });
    assert.equal(routes.json.items[0].allowed, 1);
    assert.equal((await call("/_keyward/v1/usage?by=route&key=wafl_live_000000000000", { key: owner })).status, 404);
    const wrong = `/_keyward/v1/usage?by=code&key=${id}`;
    for (const path of [`${one}/usage?step=year`, `${one}/activity?limit=0`, "/_keyward/v1/usage", wrong])
      assert.equal((await call(path, { key: owner })).status, 400);
    assert.equal((await call(`${KEYS}?sort=last_used_at&idle_days=30`, { key: owner })).status, 200);
  });

  test("members", async () => {
    const fields = memberDraft({ role: "owner", environments: null });
    const { member } = (await right(MEMBERS, asked(fields))).json;
    assert.equal((await call(MEMBERS, asked(fields))).status, 409);
    assert.equal((await call(MEMBERS, asked({}))).status, 400);
    const retried = { headers: { "idempotency-key": "three" } };
    await call(MEMBERS, { ...asked(memberDraft({ environments: ["test"] })), ...retried });
    assert.equal((await call(MEMBERS, { ...asked(memberDraft()), ...retried })).status, 422);
    await call(`${MEMBERS}?limit=2`, { key: owner });
    assert.equal((await call(`${MEMBERS}?limit=x`, { key: owner })).status, 400);
    await call("/_keyward/v1/me", { key: owner });
    assert.equal((await call("/_keyward/v1/me?x=y", { key: owner })).status, 400);
    const one = `${MEMBERS}/${member.id}`;
    await call(one, { key: owner });
    assert.equal((await call(`${one}?x=y`, { key: owner })).status, 400);
    assert.equal((await right(one, json("PATCH", owner, { name: "Grace", environments: ["live"] }))).status, 200);
    assert.equal((await call(one, json("PATCH", owner, { role: "king" }))).status, 400);
    assert.equal((await call(one, json("PATCH", owner, { email: verifier.email }))).status, 409);
    assert.equal((await right(`${one}/rotate`, { ...asked({}), headers: { "idempotency-key": "four" } })).status, 201);
    assert.equal(
      (await call(`${one}/rotate`, { method: "POST", key: owner, headers: { "idempotency-key": "four" } })).status,
      422,
    );
    assert.equal((await call(`${one}/rotate`, asked({ x: 1 }))).status, 400);
    assert.equal((await call(`${one}/revoke`, asked({ x: 1 }))).status, 400);
    for (const [path, request] of /** @type {[string, any][]} */ ([
      [one, json("PATCH", owner, { name: "Mia" })],
      [`${one}/rotate`, asked({})],
      [`${one}/revoke`, asked({})],
    ]))
      assert.equal((await call(path, { ...request, headers: { "if-match": '"1"' } })).status, 412);
    assert.equal((await right(`${one}/revoke`, asked({}))).status, 200);
    assert.equal((await call(`${one}/rotate`, asked({}))).status, 409);
    await call(one, { key: owner });
    const myself = `${MEMBERS}/${(await call("/_keyward/v1/me", { key: owner })).json.id}`;
    assert.equal((await call(`${myself}/revoke`, asked({}))).json.code, "last_owner");
    const absent = `${MEMBERS}/wafl_admin_000000000000`;
    for (const [path, request] of [
      [absent, { key: owner }],
      [absent, json("PATCH", owner, { name: "x" })],
      [`${absent}/rotate`, asked({})],
      [`${absent}/revoke`, asked({})],
    ]) {
      assert.equal((await call(path, request)).status, 404);
    }
  });

  test("sessions and settings", async () => {
    const session = "/_keyward/v1/session";
    const begun = await right(session, asked({}));
    const [cookie] = begun.headers["set-cookie"][0].split(";");
    assert.equal((await call(session, { headers: { cookie } })).status, 200);
    assert.equal((await call(session, { key: owner })).status, 200);
    assert.equal((await call(`${session}?x=y`, { key: owner })).status, 400);
    assert.equal((await call(session, asked({ x: 1 }))).status, 400);
    assert.equal((await call(session, json("DELETE", owner, { x: 1 }))).status, 400);
    assert.equal((await call(session, json("DELETE", owner, {}))).status, 404);
    assert.equal(
      (await call("/_keyward/v1/me", { key: owner, headers: { cookie } })).json.code,
      "ambiguous_credentials",
    );
    const page = { cookie, "sec-fetch-site": "same-origin", "keyward-console": "1" };
    assert.equal((await call(session, { method: "DELETE", headers: { cookie } })).json.code, "cross_site");
    const confirm = await call(MEMBERS, { method: "POST", json: memberDraft(), headers: page });
    assert.equal(confirm.json.code, "confirmation_required");
    assert.equal((await call(session, { method: "DELETE", headers: page })).status, 204);
    assert.equal((await call("/_keyward/v1/me", { headers: { cookie } })).json.code, "session_ended");
    assert.equal((await call("/_keyward/v1/settings", { key: owner })).status, 200);
    assert.equal((await call("/_keyward/v1/settings?x=y", { key: owner })).status, 400);
    assert.equal((await call("/_keyward/v1/routes", { key: owner })).status, 200);
    assert.equal((await call("/_keyward/v1/routes?x=y", { key: owner })).status, 400);
    await call("/_keyward/claim");
  });

  test("the audit log", async () => {
    await call("/_keyward/v1/audit?after=1&limit=200", { key: owner });
    assert.ok(
      (await call("/_keyward/v1/audit", { key: owner, headers: { accept: "application/x-ndjson" } })).text.length >
        1000,
    );
    for (const path of [
      "/_keyward/v1/audit?after=x",
      "/_keyward/v1/audit/checkpoint?x=y",
      "/_keyward/v1/audit/key?x=y",
    ])
      assert.equal((await call(path, { key: owner })).status, 400);
    await call("/_keyward/v1/audit/checkpoint", { key: owner });
    await call("/_keyward/v1/audit/key", { key: owner });
  });

  test("verify, introspection and revocation", async () => {
    const { apiKey, id } = await gate.newKey();
    const verify = (question) => right("/_keyward/v1/verify", json("POST", verifier.key, question));
    const introspect = (form, key = verifier.key) => call("/_keyward/oauth/introspect", { method: "POST", key, form });
    const revoke = (form, request) => call("/_keyward/oauth/revoke", { method: "POST", form, ...request });
    for (const question of [
      { api_key: apiKey },
      { api_key: apiKey, method: "GET", path: "/v1/contacts", ip: "::1" },
      { api_key: "x" },
      { api_key: apiKey, scope: "events:read" },
      { api_key: apiKey, method: "GET", path: "//" },
      { api_key: apiKey, method: "GET", path: `/v1/contacts?k=${apiKey}` },
      { api_key: apiKey, method: "PURGE", path: "/v1/contacts" },
      { api_key: apiKey, method: "GET", path: `/${"x".repeat(8_192)}` },
      { api_key: apiKey, method: "GET", path: "/nowhere" },
    ]) {
      assert.equal((await verify(question)).status, 200);
    }
    assert.equal((await call("/_keyward/v1/verify", json("POST", verifier.key, {}))).status, 400);
    assert.equal((await introspect({ token: apiKey })).json.active, true);
    assert.equal((await introspect({ token: "x" })).json.active, false);
    assert.equal((await introspect({})).status, 400);
    assert.equal((await introspect({ token: "x" }, apiKey)).status, 401);
    assert.equal((await revoke({})).status, 400);
    assert.equal((await revoke({ token: apiKey })).status, 200);
    assert.equal((await verify({ api_key: apiKey })).json.code, "revoked_key");
    // With `holder` in the key and in the log.
    await call(`${KEYS}/${id}`, { key: owner });
    await call("/_keyward/v1/audit?limit=200", { key: owner });
    assert.equal((await revoke({ token: "x".repeat(66_000) })).status, 413);
    assert.equal((await introspect({ token: "x".repeat(66_000) })).status, 413);
    assert.equal((await revoke({ token: "x" }, { headers: { origin: "https://evil.example" } })).status, 403);
    const statuses = [];
    for (let asked = 0; asked < 25; asked += 1) statuses.push((await revoke({ token: apiKey })).status);
    assert.ok(statuses.includes(429), statuses.join(" "));
  });

  test("leak reports", async () => {
    const LEAKS = "/_keyward/v1/leaks";
    const { apiKey } = await gate.newKey();
    const from = (last) => ({ "cf-connecting-ip": `203.0.113.${last}` });
    const plain = { "content-type": "text/plain" };
    const large = "x".repeat(1_100_000);
    const report = { keys: [apiKey], note: "a paste", found_at: "2026-01-01T00:00:00Z" };
    assert.equal((await right(LEAKS, { method: "POST", json: report })).status, 202);
    await until("the report is kept", async () => (await gate.call(LEAKS, { key: owner })).json.items.length > 0);
    const [leak] = (await call(LEAKS, { key: owner })).json.items;
    await call(`${LEAKS}/${leak.id}`, { key: owner });
    await call("/_keyward/v1/audit?action=leak.report", { key: owner });
    assert.equal((await call(`${LEAKS}/leak_0000000000000000`, { key: owner })).status, 404);
    assert.equal((await call(`${LEAKS}/${leak.id}?x=y`, { key: owner })).status, 400);
    assert.equal((await call(`${LEAKS}?limit=0`, { key: owner })).status, 400);
    await call(`${LEAKS}/rules`);
    assert.equal((await call(`${LEAKS}/rules?k=${apiKey}`)).status, 400);
    for (const [status, request] of /** @type {[number, any][]} */ ([
      [400, { json: {} }],
      [413, { json: { keys: [large] } }],
      [415, { json: report, headers: plain }],
    ]))
      assert.equal((await call(LEAKS, { method: "POST", ...request })).status, status);
    const statuses = [];
    for (let asked = 0; asked < 25; asked += 1)
      statuses.push((await call(LEAKS, { method: "POST", json: { keys: ["x"] }, headers: from(1) })).status);
    assert.ok(statuses.includes(429), statuses.join(" "));
    assert.equal((await call(`${LEAKS}/github`, { method: "POST", json: [] })).status, 401);
    assert.equal((await call(`${LEAKS}/github`, { method: "POST", json: [], headers: plain })).status, 415);
    const types = `${LEAKS}/gitlab/v1/revocable_token_types`;
    const tokens = `${LEAKS}/gitlab/v1/revoke_tokens`;
    const headers = { authorization: GITLAB_TOKEN };
    assert.equal((await call(types, { headers })).status, 200);
    assert.equal((await call(types)).status, 401);
    assert.equal((await call(`${types}?k=${apiKey}`, { headers })).status, 400);
    for (const [status, request] of /** @type {[number, any][]} */ ([
      [204, { json: [], headers }],
      [400, { json: {}, headers }],
      [401, { json: [] }],
      [413, { json: [large], headers }],
      [415, { json: [], headers: { ...headers, ...plain } }],
    ]))
      assert.equal((await call(tokens, { method: "POST", ...request })).status, status, `${status}`);
  });

  test("forward auth", async () => {
    const { apiKey } = await gate.newKey();
    assert.equal((await call("/_keyward/jwks.json")).json.keys.length, 2);
    const original = (uri) => ({ "x-original-method": "GET", "x-original-uri": uri });
    for (const [uri, key, status] of [
      ["/v1/contacts", apiKey, 200],
      ["/v1/contacts", undefined, 401],
      ["/v1/events", apiKey, 403],
      ["/nowhere", apiKey, 403],
      ["/v1//contacts", apiKey, 403],
    ]) {
      assert.equal((await call("/_keyward/v1/authorize", { key, headers: original(uri) })).status, status, uri);
    }
    for (const [name, key, status] of [
      ["ping", apiKey, 200],
      ["ping", undefined, 401],
      ["contacts", apiKey, 403],
    ]) {
      assert.equal((await call(`/_keyward/v1/authorize/${name}`, { key })).status, status, name);
    }
  });

  test("metrics", async () => {
    const metrics = "/_keyward/metrics";
    assert.equal((await call(metrics, { key: owner })).status, 200);
    const headers = { accept: "application/openmetrics-text; version=1.0.0" };
    assert.equal((await call(metrics, { key: owner, headers })).status, 200);
    assert.equal((await call(`${metrics}?name=x`, { key: owner })).status, 400);
  });

  test("refusals common to many operations", async () => {
    const path = (template) =>
      template.replace("{id}", template.includes("members") ? "wafl_admin_000000000000" : "wafl_live_000000000000");
    for (const [template, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (
          operation.responses === undefined ||
          ["jwks", "authorize", "authorizePath"].includes(operation.operationId) ||
          (operation.tags.includes("Leaks") && operation.security.length === 0) ||
          template.includes("{code}")
        )
          continue;
        const form = operation.requestBody?.content["application/x-www-form-urlencoded"] && { token: "x" };
        const body = operation.requestBody && !form ? { json: {} } : { form };
        const ask = (request) => call(path(template), { method: method.toUpperCase(), ...body, ...request });
        const from = { "cf-connecting-ip": `198.51.100.${seen.size % 250}` };
        if (operation.responses[403])
          assert.equal((await ask({ key: owner, headers: { ...from, "sec-fetch-site": "cross-site" } })).status, 403);
        if (operation.responses[401]) assert.equal((await ask({ headers: from })).status, 401);
        if (operation.responses[413]) {
          const large = form ? { form: { token: "x".repeat(66_000) } } : { json: { x: "x".repeat(66_000) } };
          // Bootstrap has its own credential.
          const key = template.endsWith("bootstrap") ? SECRETS.BOOTSTRAP_TOKEN : owner;
          assert.equal((await ask({ key, headers: from, ...large })).status, 413, template);
        }
        if (operation.responses[415])
          assert.equal((await ask({ key: owner, headers: { ...from, "content-type": "text/plain" } })).status, 415);
        assert.equal((await ask({ key: owner, headers: { ...from, "x-long": "x".repeat(33_000) } })).status, 431);
      }
    }
  });

  test("an unreachable authority", async () => {
    const { apiKey } = await gate.newKey();
    await gate.order({ registry: "fail" });
    for (const [path, request] of [
      ["/_keyward/v1/me", { key: owner }],
      [KEYS, { key: owner }],
      [KEYS, asked(draft())],
      ["/_keyward/v1/verify", json("POST", owner, { api_key: apiKey })],
      ["/_keyward/oauth/introspect", { method: "POST", key: owner, form: { token: apiKey } }],
      [
        "/_keyward/oauth/revoke",
        { method: "POST", form: { token: apiKey }, headers: { "cf-connecting-ip": "203.0.113.9" } },
      ],
    ])
      assert.equal((await call(path, request)).status, 503);
    await gate.order({ registry: "work" });
  });

  test("every status of the document was tested or is listed as an exception", () => {
    const described = Object.values(document.paths)
      .flatMap((item) => Object.values(item).filter(({ responses }) => responses !== undefined))
      .flatMap(({ operationId, responses }) =>
        Object.keys(responses)
          .filter((status) => status !== "default")
          .map((status) => `${operationId} ${status}`),
      );
    assert.ok(described.length > 140, String(described.length));
    assert.deepEqual(
      described.filter((one) => !seen.has(one) && !UNSEEN.test(one)),
      [],
    );
  });
});
