// The role table: every route of the product, with every role, over HTTP. The routes are read
// from the source, so that a route without a row here fails.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startGate } from "./harness/gate.mjs";
import { newMember } from "./harness/members.mjs";
import { ROOT } from "./harness/settings.mjs";

const ROLES = ["owner", "manager", "responder", "auditor", "verifier"];
const ALL = ROLES;

/** The documented table: the roles of each route, and a valid body. */
const TABLE = /** @type {Record<string, [string[], any?]>} */ ({
  "GET v1/me": [ALL],
  "POST v1/keys": [["owner", "manager"], { name: 1 }],
  "GET v1/keys": [["owner", "manager", "responder", "auditor"]],
  "GET v1/keys/*": [["owner", "manager", "responder", "auditor"]],
  "PATCH v1/keys/*": [["owner", "manager"], { name: "x" }],
  "POST v1/keys/*/rotate": [["owner", "manager"], {}],
  "POST v1/keys/*/finish-rotation": [["owner", "manager"], {}],
  "POST v1/keys/*/extend-rotation": [["owner", "manager"], { overlap_seconds: 60 }],
  "POST v1/keys/*/revoke": [["owner", "manager", "responder"], { reason: "x" }],
  "GET v1/keys/*/exposures": [["owner", "manager", "responder", "auditor"]],
  "POST v1/keys/*/dismiss-exposure": [["owner", "responder"], { reason: "x" }],
  "POST v1/keys/*/release": [["owner", "responder"], { reason: "x" }],
  "GET v1/keys/*/usage": [["owner", "manager", "responder", "auditor"]],
  "GET v1/keys/*/activity": [["owner", "responder", "auditor"]],
  "GET v1/usage": [["owner", "manager", "responder", "auditor"]],
  "GET v1/posture": [["owner", "manager", "responder", "auditor"]],
  "GET v1/leaks": [["owner", "manager", "responder", "auditor"]],
  "GET v1/leaks/*": [["owner", "manager", "responder", "auditor"]],
  "POST v1/members": [["owner"], { name: 1 }],
  "GET v1/members": [["owner"]],
  "GET v1/members/*": [["owner"]],
  "PATCH v1/members/*": [["owner"], { name: "x" }],
  "POST v1/members/*/revoke": [["owner"], {}],
  "POST v1/members/*/rotate": [["owner"], {}],
  "GET v1/audit": [["owner", "responder", "auditor"]],
  "GET v1/audit/checkpoint": [["owner", "responder", "auditor"]],
  "GET v1/routes": [["owner", "manager", "responder", "auditor"]],
  "GET v1/audit/key": [["owner", "responder", "auditor"]],
  "POST v1/verify": [["owner", "verifier"], { api_key: "x" }],
  "POST v1/session": [ALL, { nonsense: 1 }],
  "GET v1/session": [ALL],
  "DELETE v1/session": [ALL, {}],
  "GET v1/settings": [["owner", "auditor"]],
  "GET metrics": [["owner", "auditor"]],
  "GET v1/claims": [["owner", "manager"]],
  "POST v1/claims/*/withdraw": [["owner", "manager"], {}],
  "POST v1/incidents": [["owner", "manager", "responder"], { nonsense: 1 }],
  "GET v1/incidents": [["owner", "manager", "responder", "auditor"]],
  "GET v1/incidents/*": [["owner", "manager", "responder", "auditor"]],
  "POST v1/incidents/*/review": [["owner", "responder"], { finding: "x" }],
  "POST v1/incidents/*/close": [["owner", "responder"], {}],
  "GET v1/endpoints": [["owner"]],
  "POST v1/endpoints": [["owner"], { nonsense: 1 }],
  "GET v1/endpoints/key": [["owner"]],
  "GET v1/endpoints/*": [["owner"]],
  "PATCH v1/endpoints/*": [["owner"], { status: "disabled" }],
  "DELETE v1/endpoints/*": [["owner"], {}],
  "POST v1/endpoints/*/test": [["owner"], {}],
  "POST v1/endpoints/*/rotate-secret": [["owner"], {}],
  "POST v1/endpoints/*/replay": [["owner"], { from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z" }],
  "GET v1/deliveries": [["owner"]],
  "POST v1/deliveries/*/resend": [["owner"], {}],
  "POST v1/keys/*/compromise": [["owner", "manager", "responder"], { kind: "other", note: "x" }],
});
/** Routes without roles: health, pages, documents and public keys are for anyone, bootstrap needs its token, forward auth and revocation need a key. */
const NO_ROLE = [
  "GET health",
  "GET problems/*",
  "GET jwks.json",
  "GET openapi.json",
  "GET claim",
  "ANY v1/authorize",
  "ANY v1/authorize/**",
  "POST v1/bootstrap",
  "POST oauth/revoke",
  // Whoever has the claim's link.
  "POST v1/claims/*",
  "POST v1/claims/*/lookup",
  "POST v1/claims/*/revoke",
  "POST v1/leaks",
  "GET v1/leaks/rules",
  "POST v1/leaks/github",
  "GET v1/leaks/gitlab/v1/revocable_token_types",
  "POST v1/leaks/gitlab/v1/revoke_tokens",
];
/** Routes with roles, but with the forms and errors of OAuth: see below and oauth.test.mjs. */
const FORMS = { "POST oauth/introspect": ["owner", "verifier"] };

// Generated from the rows of the routes; a test of crates/control compares them.
const { paths } = JSON.parse(readFileSync(join(ROOT, "crates", "control", "src", "openapi.json"), "utf8"));
const routes = Object.entries(paths)
  .filter(([path]) => path.startsWith("/_keyward/"))
  .flatMap(([path, item]) => Object.keys(item).map((method) => [method.toUpperCase(), path.slice("/_keyward/".length)]))
  .map(([method, path]) =>
    [path.startsWith("v1/authorize") ? "ANY" : method, path.replace("{path}", "**").replace(/\{\w+\}/, "*")].join(" "),
  );

let gate;
const members = {};
before(async () => {
  // Sessions and the console need a control host.
  gate = await startGate({ vars: { ORIGIN_LIVE: "http://127.0.0.1:1", CONTROL_HOST: "keys.acme.example" } });
  await gate.bootstrap();
  for (const role of ROLES) members[role] = await newMember(gate, { role });
  for (const role of ROLES) members[`${role} of test`] = await newMember(gate, { role, environments: ["test"] });
});
after(() => gate?.stop());

const absent = (path) =>
  path.replace("*", path.includes("members") ? "wafl_admin_000000000000" : "wafl_live_000000000000");
const ask = (route, key, request = {}) => {
  const [method, path] = route.split(" ");
  return gate.call(`/_keyward/${absent(path)}`, {
    method,
    key,
    json: method === "GET" ? undefined : (TABLE[route]?.[1] ?? {}),
    ...request,
  });
};
const revision = () => gate.sql("SELECT value FROM meta WHERE name = 'revision'")[0].value;

test("every route has a row, and every row a route", () => {
  assert.ok(routes.length >= 19);
  assert.deepEqual([...routes].sort(), [...Object.keys(TABLE), ...Object.keys(FORMS), ...NO_ROLE].sort());
});

describe("every route by every role", () => {
  for (const [route, [allowed]] of Object.entries(TABLE)) {
    for (const role of ROLES) {
      const may = allowed.includes(role);
      test(`${route}: ${role} ${may ? "may" : "may not"}`, async () => {
        const before = revision();
        const answer = await ask(route, members[role].key);
        if (may) assert.ok([200, 400, 404].includes(answer.status), answer.verdict);
        else assert.equal(answer.verdict, "403 forbidden");
        // A forbidden caller learns nothing about errors in the body, the query or the id.
        if (!may && !route.startsWith("GET"))
          assert.equal((await ask(route, members[role].key, { json: { nonsense: 1 } })).verdict, "403 forbidden");
        if (!may)
          assert.equal(
            (
              await gate.call(`/_keyward/${absent(route.split(" ")[1])}?nonsense=1`, {
                key: members[role].key,
                method: route.split(" ")[0],
                json: route.startsWith("GET") ? undefined : {},
              })
            ).verdict,
            "403 forbidden",
          );
        assert.equal(revision(), before);
      });
    }

    test(`${route}: refused without a credential, with a data key or from another site`, async () => {
      const { apiKey } = await gate.newKey();
      assert.equal((await ask(route)).verdict, "401 missing_key");
      assert.equal((await ask(route, apiKey)).verdict, "401 invalid_key");
      assert.equal(
        (await ask(route, members.owner.key, { headers: { origin: "https://evil.example" } })).verdict,
        "403 cross_site",
      );
      if (!route.startsWith("GET")) {
        assert.equal(
          (await ask(route, members.owner.key, { headers: { "content-type": "text/plain" } })).verdict,
          "415 unsupported_media_type",
        );
        assert.equal(
          (
            await ask(route, members.owner.key, {
              json: undefined,
              body: `{"x":"${"x".repeat(66_000)}"}`,
              headers: { "content-type": "application/json" },
            })
          ).verdict,
          "413 body_too_large",
        );
      }
    });
  }
});

describe("every route that takes a form, by every role", () => {
  for (const [route, allowed] of Object.entries(FORMS)) {
    for (const role of ROLES) {
      const may = allowed.includes(role);
      test(`${route}: ${role} ${may ? "may" : "may not"}`, async () => {
        const post = (form) =>
          gate.call(`/_keyward/${route.split(" ")[1]}`, { method: "POST", key: members[role].key, form });
        assert.equal((await post({ token: "x" })).verdict, may ? "200" : "403 forbidden");
        assert.equal((await post({ nonsense: "1" })).verdict, may ? "400" : "403 forbidden");
      });
    }
  }
});

describe("a member who is limited to an environment", () => {
  test("cannot distinguish a key of another environment from an unknown one, by status, body, headers or audit log", async () => {
    const { id } = await gate.newKey({ environment: "live" });
    const before = gate.sql("SELECT count(*) AS count FROM audit")[0].count;
    for (const role of ["owner", "manager", "responder", "auditor"]) {
      const { key } = members[`${role} of test`];
      for (const [method, path, json] of [
        ["GET", "", undefined],
        ["PATCH", "", { name: "x" }],
        ["PATCH", "", { nonsense: 1 }],
        ["POST", "/rotate", {}],
        ["POST", "/finish-rotation", {}],
        ["POST", "/extend-rotation", { overlap_seconds: 60 }],
        ["POST", "/revoke", { reason: "x" }],
        ["POST", "/revoke", {}],
      ]) {
        const there = await gate.call(`/_keyward/v1/keys/${id}${path}`, { method, key, json });
        const nowhere = await gate.call(`/_keyward/v1/keys/wafl_live_000000000000${path}`, { method, key, json });
        const shown = ({ pinned, headers }) => [pinned, Object.keys(headers).sort()];
        assert.deepEqual(shown(there), shown(nowhere), `${role} ${method} ${path}`);
        assert.notEqual(there.status, 200);
      }
      const list = await gate.call("/_keyward/v1/keys?environment=live", { key });
      assert.deepEqual(list.json.items, []);
    }
    assert.equal(gate.sql("SELECT count(*) AS count FROM audit")[0].count, before);
  });

  test("cannot issue a key in another environment", async () => {
    const { key } = members["manager of test"];
    const json = {
      name: "x",
      integration: "x",
      environment: "live",
      purpose: "x",
      owner: "x",
      scopes: ["contacts:read"],
    };
    assert.equal((await gate.call("/_keyward/v1/keys", { method: "POST", key, json })).verdict, "403 forbidden");
    assert.equal(
      (await gate.call("/_keyward/v1/keys", { method: "POST", key, json: { ...json, environment: "test" } })).status,
      201,
    );
  });

  test("cannot grant more than its own limit", async () => {
    const { key } = members["owner of test"];
    const create = (environments) =>
      gate.call("/_keyward/v1/members", {
        method: "POST",
        key,
        json: { name: "x", email: `x${Math.random()}@acme.example`, role: "manager", environments },
      });
    for (const environments of [null, ["live"], ["live", "test"]])
      assert.equal((await create(environments)).verdict, "403 forbidden", JSON.stringify(environments));
    const made = await create(["test"]);
    assert.equal(made.status, 201);
    const widened = await gate.call(`/_keyward/v1/members/${made.json.member.id}`, {
      method: "PATCH",
      key,
      json: { environments: null },
    });
    assert.equal(widened.verdict, "403 forbidden");
  });
});
