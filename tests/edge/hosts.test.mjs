// Two hosts: the gate on one, the control plane on the other (docs/reference/hosts.md). With sign-in through Access, which
// the second host protects.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AUDIENCE, startTeam } from "./harness/access-team.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { KEYS, MEMBERS } from "./harness/members.mjs";

const CONTROL = "keys.acme.example";
const GATE = "api.acme.example";
const EVE = { name: "Eve", email: "eve@acme.example", role: "owner", environments: null };
let team;
let origin;
let gate;

before(async () => {
  team = await startTeam();
  origin = await startOrigin();
  gate = await startGate({
    vars: {
      ORIGIN_LIVE: origin.url,
      CONTROL_HOST: CONTROL,
      ACCESS_TEAM_DOMAIN: team.domain,
      ACCESS_AUDIENCE: AUDIENCE,
    },
  });
  assert.equal((await gate.bootstrap()).status, 201);
});
after(async () => {
  await gate?.stop();
  await origin?.close();
  await team?.close();
});

const on = (host, path, /** @type {any} */ { headers, ...request } = {}) =>
  gate.call(path, { ...request, headers: { ...headers, host } });
const audited = () => gate.sql("SELECT count(*) AS count FROM audit")[0].count;

describe("an Access sign-in", () => {
  const makeOwner = (host, headers) => on(host, MEMBERS, { method: "POST", json: EVE, headers });

  test("that an origin has seen grants nothing on a host of the gate, as header or as cookie", async () => {
    const token = team.token();
    const before = audited();
    for (const host of [GATE, new URL(gate.url).host, "keyward.acme.workers.dev"]) {
      for (const headers of [
        { "cf-access-jwt-assertion": token },
        { cookie: `CF_Authorization=${token}` },
        { "cf-access-jwt-assertion": token, cookie: `CF_Authorization=${token}; CF_AppSession=x` },
      ]) {
        assert.equal((await makeOwner(host, headers)).verdict, "404 no_route", host);
        assert.equal((await on(host, "/_keyward/v1/me", { headers })).verdict, "404 no_route", host);
      }
    }
    assert.equal(
      (await on(CONTROL, "/_keyward/v1/me", { headers: { cookie: `CF_Authorization=${token}` } })).status,
      401,
    );
    assert.equal(audited(), before);
  });

  test("cannot be used by a script on a page of the API", async () => {
    const token = { "cf-access-jwt-assertion": team.token() };
    const before = audited();
    const script = (site) => ({ ...token, origin: `http://${GATE}`, "sec-fetch-site": site });
    assert.equal((await makeOwner(GATE, script("same-origin"))).verdict, "404 no_route");
    for (const site of ["same-site", "cross-site"])
      assert.equal((await makeOwner(CONTROL, script(site))).verdict, "403 cross_site");
    // A browser that sends no Sec-Fetch-Site still sends Origin.
    assert.equal((await makeOwner(CONTROL, { ...token, origin: `http://${GATE}` })).verdict, "403 cross_site");
    assert.equal(audited(), before);
    const ownPage = { ...token, origin: `http://${CONTROL}`, "sec-fetch-site": "same-origin" };
    assert.equal((await makeOwner(CONTROL, ownPage)).status, 201);
  });

  test("never reaches a host that serves the API, because CONTROL_HOST serves none of it", async () => {
    const { apiKey } = await gate.newKey();
    origin.take();
    for (const host of [CONTROL, "KEYS.Acme.example", `${CONTROL}:80`, `${CONTROL}.`, `${CONTROL}:8443`])
      for (const path of ["/public/logo.png", "/v1/contacts"])
        assert.equal((await on(host, path, { key: apiKey })).verdict, "421 misdirected_request", `${host}${path}`);
    assert.equal((await on(CONTROL, "/favicon.ico")).verdict, "404 no_route");
    assert.deepEqual(origin.take(), []);
  });
});

describe("on a host of the gate", () => {
  test("keys work, and a member's credential grants no operation", async () => {
    const { apiKey } = await gate.newKey();
    assert.equal((await on(GATE, "/v1/contacts", { key: apiKey })).status, 200);
    for (const [method, path] of [
      ["GET", KEYS],
      ["GET", MEMBERS],
      ["GET", "/_keyward/v1/audit"],
      ["GET", "/_keyward/openapi.json"],
      ["DELETE", KEYS],
    ])
      assert.equal((await on(GATE, path, { method, key: gate.owner })).verdict, "404 no_route", path);
    const bootstrap = await on(GATE, "/_keyward/v1/bootstrap", { method: "POST", json: {}, key: gate.owner });
    assert.equal(bootstrap.verdict, "404 no_route");
  });

  test("the endpoints for origins, gateways and holders of keys work as on CONTROL_HOST", async () => {
    for (const host of [GATE, CONTROL]) {
      const { apiKey } = await gate.newKey();
      for (const path of ["health", "jwks.json", "problems/misdirected_request"])
        assert.equal((await on(host, `/_keyward/${path}`)).status, 200, `${host} ${path}`);
      const { json } = await on(host, "/.well-known/oauth-authorization-server/_keyward");
      assert.equal(json.introspection_endpoint, `http://${host}/_keyward/oauth/introspect`);
      const verified = await on(host, "/_keyward/v1/verify", {
        method: "POST",
        key: gate.owner,
        json: { api_key: apiKey },
      });
      assert.equal(verified.json.valid, true, host);
      assert.equal((await on(host, "/_keyward/v1/authorize/v1/contacts", { key: apiKey })).status, 200, host);
      const form = { token: apiKey };
      const introspected = await on(host, "/_keyward/oauth/introspect", { method: "POST", key: gate.owner, form });
      assert.equal(introspected.json.active, true, host);
      assert.equal((await on(host, "/_keyward/oauth/revoke", { method: "POST", form })).status, 200, host);
    }
  });
});
