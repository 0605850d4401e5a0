// Forward auth: a gateway asks the gate before it forwards a request. The decision is the same as the gate's, so every request here is
// also sent to the gate itself, and both answers must agree.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { wrongTag } from "./harness/keys.mjs";
import { newMember } from "./harness/members.mjs";
import { requestBytes } from "./harness/raw.mjs";
import { ROUTES } from "./harness/settings.mjs";

const AUTHORIZE = "/_keyward/v1/authorize";
const MAPPED = [400, 404, 405, 414, 421, 431];
const IDENTITY = [
  "keyward-key-id",
  "keyward-integration",
  "keyward-environment",
  "keyward-scopes",
  "keyward-assertion",
];

/** The auth request of each gateway. */
const GATEWAYS = {
  "Traefik, Caddy": (method, uri) => ({
    path: AUTHORIZE,
    headers: { "x-forwarded-method": method, "x-forwarded-uri": uri },
  }),
  nginx: (method, uri) => ({ path: AUTHORIZE, headers: { "x-original-method": method, "x-original-uri": uri } }),
  Envoy: (method, uri) => ({ path: `${AUTHORIZE}${uri}`, method, headers: {} }),
};

let origin;
let gate;
const keys = {};
const members = {};

before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    instrumented: true,
    vars: {
      ORIGIN_LIVE: origin.url,
      ROUTES: [...ROUTES, { match: "POST /v1/closed", scope: "contacts:read", on_outage: "closed" }],
      REVOCATION_BOUND_SECONDS: 60,
    },
  });
  await gate.bootstrap();
  keys.live = await gate.newKey({ integration: "crm-sync", scopes: ["contacts:read", "contacts:write"] });
  keys.test = await gate.newKey({ integration: "crm-sync", environment: "test" });
  keys.revoked = await gate.newKey();
  await gate.revoke(keys.revoked.id);
  keys.near = await gate.newKey({ integration: "near", allowed_cidrs: ["192.0.2.0/24"] });
  keys.nearTest = await gate.newKey({ integration: "near", environment: "test", allowed_cidrs: ["192.0.2.0/24"] });
  for (const role of ["verifier", "manager", "responder", "auditor"]) members[role] = await newMember(gate, { role });
  members.limited = await newMember(gate, { role: "verifier", environments: ["test"] });
  members.gone = await newMember(gate, { role: "verifier" });
  await gate.call(`/_keyward/v1/members/${members.gone.id}/revoke`, { method: "POST", key: gate.owner, json: {} });
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const names = ({ headers }) => IDENTITY.filter((name) => headers[name] !== undefined);

/**
 * Sends an auth request; nothing may reach the origin.
 * @param {{ path: string, method?: string, headers: object }} asking
 * @param {{ key?: string, headers?: object, body?: any, method?: string }} [request]
 */
async function ask({ path, method = "GET", headers }, { key, headers: more = {}, ...rest } = {}) {
  origin.take();
  const answer = await gate.call(path, { method, key, headers: { ...headers, ...more }, ...rest });
  assert.deepEqual(origin.take(), []);
  assert.ok(answer.headers["keyward-request-id"]);
  assert.equal(answer.headers["cache-control"], "no-store");
  return answer;
}

/** Sends an auth request as nginx does. */
const about = (line, request) => {
  const [method, uri] = line.split(" ");
  return ask(GATEWAYS.nginx(method, uri), request);
};

describe("an accepted request", () => {
  for (const [gateway, asking] of Object.entries(GATEWAYS)) {
    test(`${gateway}: is 200 with the identity and an assertion bound to this request`, async () => {
      const answer = await ask(asking("POST", "/v1/contacts/7?q=a"), { key: keys.live.apiKey });
      assert.deepEqual([answer.status, answer.text], [200, ""]);
      const { headers } = answer;
      assert.deepEqual(
        IDENTITY.slice(0, 4).map((name) => headers[name]),
        [keys.live.id, "crm-sync", "live", "contacts:read contacts:write"],
      );
      const jwks = createRemoteJWKSet(new URL(`${gate.url}/_keyward/jwks.json`));
      const { payload } = await jwtVerify(headers["keyward-assertion"], jwks, {
        issuer: `${gate.url}/_keyward`,
        audience: origin.url,
      });
      assert.deepEqual(
        [payload.htm, payload.htu, payload.jti],
        ["POST", `${origin.url}/v1/contacts/7`, headers["keyward-request-id"]],
      );
    });

    test(`${gateway}: is 200 without an identity on a public route`, async () => {
      const answer = await ask(asking("GET", "/public/logo"), {
        key: keys.live.apiKey,
        headers: { "keyward-key-id": "forged" },
      });
      assert.deepEqual([answer.status, names(answer)], [200, []]);
    });
  }

  test("may carry its key in X-API-Key, and HEAD counts as GET for both requests", async () => {
    for (const asking of [
      GATEWAYS.nginx("HEAD", "/v1/contacts"),
      GATEWAYS.Envoy("HEAD", "/v1/contacts"),
      { ...GATEWAYS.nginx("GET", "/v1/contacts"), method: "HEAD" },
    ]) {
      const answer = await ask(asking, { headers: { "x-api-key": keys.live.apiKey } });
      assert.deepEqual([answer.status, names(answer)], [200, IDENTITY]);
    }
  });

  test("is decided for an auth request of any method, and no body is read", async () => {
    const { headers } = GATEWAYS.nginx("GET", "/v1/contacts");
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      assert.equal(
        (await ask({ path: AUTHORIZE, method, headers }, { key: keys.live.apiKey, body: "x".repeat(100_000) })).status,
        200,
        method,
      );
    }
    // The gate does not wait for a body that never arrives.
    const lines = [
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      `X-API-Key: ${keys.live.apiKey}`,
      "Content-Length: 1000000",
    ];
    assert.equal(
      (await gate.raw(requestBytes(`POST ${AUTHORIZE}`, { headers: lines, host: "127.0.0.1" }))).status,
      200,
    );
  });

  test("with a retiring key gets the end of that key", async () => {
    const key = await gate.newKey();
    const rotated = await gate.call(`/_keyward/v1/keys/${key.id}/rotate`, {
      method: "POST",
      key: gate.owner,
      json: { overlap_seconds: 3600 },
    });
    const answer = await about("GET /v1/contacts", { key: key.apiKey });
    assert.deepEqual([answer.status, answer.headers["keyward-key-expires"]], [200, rotated.json.retiring.expires_at]);
  });
});

describe("a refused request", () => {
  const live = () => ({ key: keys.live.apiKey });
  /** Requests of every kind. The gate's own answer is the expected one. */
  const REQUESTS = /** @type {[string | (() => string), () => any][]} */ ([
    ["GET /v1/contacts", live],
    ["GET /v1/contacts", () => ({})],
    ["GET /v1/contacts", () => ({ key: "garbage" })],
    ["GET /v1/contacts", () => ({ key: wrongTag(keys.live.apiKey) })],
    ["GET /v1/contacts", () => ({ key: keys.revoked.apiKey })],
    ["GET /v1/contacts", () => ({ key: keys.test.apiKey })],
    ["GET /v1/contacts", () => ({ key: gate.owner })],
    ["GET /v1/contacts", () => ({ headers: { authorization: "Basic YTpi" } })],
    ["GET /v1/contacts", () => ({ ...live(), headers: { "x-api-key": keys.test.apiKey } })],
    ["GET /v1/contacts", () => ({ ...live(), headers: { origin: "https://page.example" } })],
    [
      "OPTIONS /v1/contacts",
      () => ({ headers: { origin: "https://page.example", "access-control-request-method": "GET" } }),
    ],
    ["GET /v1/events", live],
    ["DELETE /v1/contacts", live],
    ["PURGE /v1/contacts", live],
    ["GET /nowhere", live],
    ["GET /v1/Contacts", live],
    ["GET /_keyward/v1/me", live],
    ["GET /_KEYWARD/v1/me", live],
    ["GET /_keyward/health", live],
    ["GET /v1/../v1/contacts", live],
    ["GET /v1//contacts", live],
    ["GET /v1/%63ontacts", live],
    ["GET /v1/contacts%2f7", live],
    [`GET /v1/contacts/${"a".repeat(9_000)}`, live],
    [() => `GET /v1/contacts?k=${keys.live.apiKey}`, live],
    [() => `GET /public/x?k=${keys.live.apiKey.replaceAll("_", "%5F")}`, () => ({})],
    [() => `GET /v1/contacts/${keys.live.apiKey}`, live],
    ["GET /v1/contacts", () => ({ key: keys.near.apiKey })],
  ]);

  for (const [gateway, asking] of Object.entries(GATEWAYS)) {
    test(`${gateway}: is refused for the same reason, as 403 where nginx would turn the status into 500`, async () => {
      const seen = new Set();
      for (const [line, request] of REQUESTS) {
        const [method, ...rest] = (typeof line === "string" ? line : line()).split(" ");
        const uri = rest.join(" ");
        // The gate serves its own paths as the control plane; for a gateway they are not a route.
        const own = /^\/_keyward\//i.test(uri);
        const direct = own ? null : await gate.call(uri, { method, ...request() });
        const code = own ? "no_route" : direct.status === 200 ? undefined : direct.json.code;
        const status = own ? 403 : MAPPED.includes(direct.status) ? 403 : direct.status;
        const asked = await ask(asking(method, uri), request());
        assert.equal(asked.status, status, `${method} ${uri}: ${asked.text}`);
        assert.equal(asked.headers["keyward-refusal"], code);
        seen.add(`${direct?.status ?? 404} ${code}`);
        if (code === undefined) continue;
        assert.deepEqual(
          [asked.json.code, asked.json.status, asked.headers["content-type"]],
          [code, status, "application/problem+json"],
        );
        if (!own) assert.equal(asked.headers["www-authenticate"], direct.headers["www-authenticate"], code);
        assert.deepEqual(names(asked), []);
      }
      for (const expected of [
        "200 undefined",
        "400 bad_path",
        "400 key_in_url",
        "400 ambiguous_credentials",
        "401 missing_key",
        "401 invalid_key",
        "401 revoked_key",
        "403 insufficient_scope",
        "403 browser_exposed",
        "403 address_not_allowed",
        "404 no_route",
        "405 method_not_allowed",
        "414 target_too_long",
        "503 no_origin",
      ]) {
        assert.ok(seen.has(expected), `${expected} was not among ${[...seen].join(", ")}`);
      }
    });
  }

  test("a malformed auth request is refused in the same form", async () => {
    const many = Object.fromEntries(Array.from({ length: 110 }, (_, index) => [`x-${index}`, "1"]));
    for (const [code, path, request] of [
      ["headers_too_large", AUTHORIZE, { headers: many }],
      ["target_too_long", `${AUTHORIZE}/${"a".repeat(9_000)}`, {}],
      ["bad_path", `${AUTHORIZE}/a//b`, {}],
      ["unexpected_body", `${AUTHORIZE}/v1/contacts`, { body: "x", headers: { "content-length": "1" } }],
      ["key_in_url", `${AUTHORIZE}?k=${keys.live.apiKey}`, {}],
    ]) {
      const answer = await gate.call(path, request);
      assert.deepEqual(
        [answer.verdict, answer.headers["keyward-refusal"], answer.json.status],
        [`403 ${code}`, code, 403],
      );
    }
    // Other paths of Keyward do not answer in this form.
    assert.equal((await gate.call("/_keyward/v1/authorized//x")).verdict, "400 bad_path");
    assert.equal((await gate.call("/_keyward/v1/authorized")).verdict, "404 no_route");
  });

  test("a gateway with a wrong prefix gets 403, whatever it appends", async () => {
    const own = [
      "/_keyward/health",
      "/_keyward/openapi.json",
      "/_keyward/jwks.json",
      "/_keyward/problems/no_route",
      "/_keyward/v1/me",
      "/_keyward/nowhere",
      "/.well-known/oauth-authorization-server/_keyward",
    ];
    for (const path of own) {
      for (const headers of [
        { "keyward-verifier": "anything" },
        { "keyward-verifier": "" },
        { "keyward-client-address": "192.0.2.7" },
        { "x-original-method": "GET" },
        { "x-forwarded-method": "GET" },
      ]) {
        for (const method of ["GET", "HEAD", "POST"]) {
          const answer = await gate.call(path, { method, headers, key: gate.owner });
          assert.deepEqual(
            [answer.status, answer.headers["keyward-refusal"]],
            [403, "invalid_request"],
            `${method} ${path} ${JSON.stringify(headers)}`,
          );
        }
      }
    }
    for (const path of own.slice(0, 4))
      assert.equal(
        (await gate.call(path, { headers: { "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https" } })).status,
        200,
        path,
      );
  });

  test("an auth request to any other route is refused, so that the origin's 200 is never taken as permission", async () => {
    origin.take();
    for (const headers of [{ "keyward-verifier": "x" }, { "keyward-client-address": "192.0.2.7" }]) {
      for (const path of ["/public/logo", "/v1/contacts", "/nowhere"]) {
        const answer = await gate.call(path, { key: keys.live.apiKey, headers });
        assert.deepEqual([answer.status, answer.headers["keyward-refusal"]], [403, "invalid_request"], path);
      }
    }
    assert.deepEqual(origin.take(), []);
  });

  test("an auth request with an invalid Host is 403 too", async () => {
    for (const host of ["a,a", "u@a"]) {
      const answer = await gate.raw(
        requestBytes(`GET ${AUTHORIZE}`, { headers: ["X-Original-Method: GET", "X-Original-URI: /public/x"], host }),
      );
      assert.deepEqual([answer.verdict, answer.headers["keyward-refusal"]], ["403 wrong_host", "wrong_host"], host);
    }
  });

  test("an auth request that names its request not at all, incompletely or ambiguously is 403, whichever request is allowed", async () => {
    const open = { "x-forwarded-method": "GET", "x-forwarded-uri": "/public/x" };
    const closed = { "x-original-method": "GET", "x-original-uri": "/v1/contacts" };
    for (const [path, headers] of /** @type {[string, object][]} */ ([
      [AUTHORIZE, {}],
      [AUTHORIZE, { "x-original-uri": "/public/x" }],
      [AUTHORIZE, { "x-forwarded-uri": "/public/x", "x-original-method": "GET" }],
      [AUTHORIZE, { x_forwarded_method: "GET", x_forwarded_uri: "/public/x" }],
      [AUTHORIZE, { ...open, ...closed }],
      [AUTHORIZE, { ...open, "x-original-method": "POST", "x-original-uri": "/public/x" }],
      [`${AUTHORIZE}/`, open],
      [`${AUTHORIZE}/public/y`, open],
      [`${AUTHORIZE}/v1/contacts`, open],
    ])) {
      const answer = await ask({ path, headers }, { key: keys.live.apiKey });
      assert.equal(answer.verdict, "403 invalid_request", JSON.stringify([path, headers]));
    }
    for (const headers of [
      { ...open, "x-forwarded-uri": "https://evil.example/public/x" },
      { ...open, "x-forwarded-uri": "public/x" },
      { ...open, "x-forwarded-uri": "@evil.example/public/x" },
      { ...open, "x-forwarded-uri": "/public/caf\u00e9" },
      { ...open, "x-forwarded-uri": "/public/x#y" },
    ]) {
      assert.equal((await ask({ path: AUTHORIZE, headers })).verdict, "403 bad_path");
    }
  });

  test("a duplicate header is refused", async () => {
    for (const [code, lines] of /** @type {[string, string[]][]} */ ([
      ["bad_path", ["X-Original-Method: GET", "X-Original-URI: /public/x", "X-Original-URI: /public/x"]],
      ["method_not_allowed", ["X-Original-Method: GET", "X-Original-Method: GET", "X-Original-URI: /public/x"]],
      ["bad_path", ["X-Original-Method: GET", "X-Original-URI: /public/x", "X-Original-URI:"]],
    ])) {
      const answer = await gate.raw(requestBytes(`GET ${AUTHORIZE}`, { headers: lines }));
      assert.equal(answer.verdict, `403 ${code}`, lines.join(" | "));
    }
  });
});

describe("the client's address", () => {
  const GATEWAY = { "cf-connecting-ip": "203.0.113.1" };
  const askFrom = (headers, key = keys.near.apiKey) =>
    about("GET /v1/contacts", { key, headers: { ...GATEWAY, ...headers } });
  const from = (address, verifier, key) =>
    askFrom({ "keyward-client-address": address, ...(verifier && { "keyward-verifier": verifier }) }, key);
  const askWithVerifier = (headers, key) => askFrom({ "keyward-verifier": members.verifier.key, ...headers }, key);

  test("is taken from a gateway only with the credential of a verifier", async () => {
    assert.equal((await from("192.0.2.7")).verdict, "403 address_not_allowed");
    assert.equal((await from("192.0.2.7", members.verifier.key)).verdict, "200");
    assert.equal((await from("198.51.100.7", members.verifier.key)).verdict, "403 address_not_allowed");
  });

  test("is unknown without a credential: a key with networks is refused, even if the gateway's address is in them, and other keys pass", async () => {
    const inside = { "cf-connecting-ip": "192.0.2.1" };
    for (const more of [
      {},
      { "keyward-verifier": "" },
      { "keyward-client-address": "192.0.2.7" },
      { "x-forwarded-for": "192.0.2.7" },
      { "x-real-ip": "192.0.2.7" },
      { connection: "Keyward-Verifier" },
    ]) {
      for (const [gateway, asking] of Object.entries(GATEWAYS)) {
        const refused = await ask(asking("GET", "/v1/contacts"), {
          key: keys.near.apiKey,
          headers: { ...inside, ...more },
        });
        assert.equal(refused.verdict, "403 address_not_allowed", `${gateway} ${JSON.stringify(more)}`);
        assert.match(refused.json.detail, /not known/);
        assert.equal(
          (await ask(asking("GET", "/v1/contacts"), { key: keys.live.apiKey, headers: { ...inside, ...more } }))
            .verdict,
          "200",
        );
      }
    }
    // Also with a credential, if the gateway sends no address or only the edge did.
    for (const more of [{}, { "x-forwarded-for": "192.0.2.1" }, { "x-real-ip": "192.0.2.7" }]) {
      assert.equal(
        (await askWithVerifier({ ...inside, ...more })).verdict,
        "403 address_not_allowed",
        JSON.stringify(more),
      );
      assert.equal((await askWithVerifier({ ...inside, ...more }, keys.live.apiKey)).verdict, "200");
    }
  });

  test("is Keyward-Client-Address, whatever other headers contain", async () => {
    const others = {
      "x-forwarded-for": "6.6.6.6, 7.7.7.7",
      "x-real-ip": "6.6.6.6",
      forwarded: "for=6.6.6.6",
      keyward_client_address: "6.6.6.6",
    };
    assert.equal((await askWithVerifier({ ...others, "keyward-client-address": "192.0.2.7" })).verdict, "200");
    const near = Object.fromEntries(Object.keys(others).map((name) => [name, "192.0.2.7"]));
    assert.equal(
      (await askWithVerifier({ ...near, "keyward-client-address": "198.51.100.7" })).verdict,
      "403 address_not_allowed",
    );
  });

  test("that is malformed or duplicated is refused, and no other header replaces it", async () => {
    for (const none of [
      "nonsense",
      "192.0.2.7, 192.0.2.7",
      "198.51.100.7, 192.0.2.7",
      "192.0.2.7:80",
      "192.0.2.0/24",
      "unix:",
    ]) {
      const answer = await askWithVerifier({ "keyward-client-address": none, "x-forwarded-for": "192.0.2.7" });
      assert.equal(answer.verdict, "403 invalid_request", none);
      assert.match(answer.json.detail, /Keyward-Client-Address/);
    }
    const lines = [
      "X-Original-Method: GET",
      "X-Original-URI: /v1/contacts",
      `X-API-Key: ${keys.near.apiKey}`,
      `Keyward-Verifier: ${members.verifier.key}`,
      "Keyward-Client-Address: 192.0.2.7",
    ];
    assert.equal(
      (await gate.raw(requestBytes(`GET ${AUTHORIZE}`, { headers: lines, host: "127.0.0.1" }))).verdict,
      "200",
    );
    assert.equal(
      (
        await gate.raw(
          requestBytes(`GET ${AUTHORIZE}`, {
            headers: [...lines, "Keyward-Client-Address: 192.0.2.7"],
            host: "127.0.0.1",
          }),
        )
      ).verdict,
      "403 invalid_request",
    );
  });

  test("is otherwise the only address in X-Forwarded-For besides the edge's own, and unknown if two are left", async () => {
    for (const [list, verdict] of [
      ["192.0.2.7", "200"],
      ["192.0.2.7, 203.0.113.1", "200"],
      ["198.51.100.7, 203.0.113.1", "403 address_not_allowed"],
      ["203.0.113.1", "403 address_not_allowed"],
      ["203.0.113.1, 203.0.113.1", "403 address_not_allowed"],
      // Client and gateway share an address, and the client wrote the first entry.
      ["192.0.2.7, 203.0.113.1, 203.0.113.1", "403 invalid_request"],
      ["192.0.2.7, 198.51.100.7", "403 invalid_request"],
      ["6.6.6.6, 192.0.2.7", "403 invalid_request"],
      ["nonsense", "403 invalid_request"],
    ]) {
      assert.equal((await askWithVerifier({ "x-forwarded-for": list })).verdict, verdict, list);
    }
  });

  test("a credential that is not accepted refuses the request, without an error about the client's key", async () => {
    const bad = [
      ...["manager", "responder", "auditor", "gone", "limited"].map((name) => members[name].key),
      gate.owner,
      keys.live.apiKey,
      "garbage",
      `${members.verifier.key}, ${members.verifier.key}`,
      `Bearer ${members.verifier.key}`,
      wrongTag(members.verifier.key),
    ];
    for (const credential of bad) {
      const answer = await from("192.0.2.7", credential);
      assert.deepEqual(
        [answer.verdict, answer.headers["www-authenticate"]],
        ["403 forbidden", undefined],
        credential.slice(0, 20),
      );
      assert.match(answer.json.detail, /operator/);
    }
    await gate.logged((line) => line.includes('"event":"verifier_refused"'));
  });

  test("a verifier limited to an environment is accepted for that environment only", async () => {
    const other = await startGate({ vars: { ORIGIN_LIVE: origin.url, ORIGIN_TEST: origin.url } });
    try {
      await other.bootstrap();
      const limited = await newMember(other, { role: "verifier", environments: ["test"] });
      for (const [environment, verdict] of [
        ["test", "200"],
        ["live", "403 forbidden"],
      ]) {
        const { apiKey } = await other.newKey({ environment, allowed_cidrs: ["192.0.2.0/24"] });
        const headers = {
          ...GATEWAYS.nginx("GET", "/v1/contacts").headers,
          "keyward-client-address": "192.0.2.7",
          "keyward-verifier": limited.key,
        };
        assert.equal((await other.call(AUTHORIZE, { key: apiKey, headers })).verdict, verdict);
      }
    } finally {
      await other.stop();
    }
  });

  test("the credential is checked once in the bound, and not for garbage", async () => {
    const headers = { "keyward-verifier": (await newMember(gate, { role: "verifier" })).key };
    await about("GET /v1/contacts", { key: keys.live.apiKey });
    await gate.take();
    for (const [calls, line, key] of [
      [0, "GET /v1/contacts", "garbage"],
      [0, "GET /v1/contacts", wrongTag(keys.live.apiKey)],
      [0, "GET /nowhere", keys.live.apiKey],
      [0, "GET /public/x", keys.live.apiKey],
      [1, "GET /v1/contacts", keys.live.apiKey],
      [0, "GET /v1/contacts", keys.live.apiKey],
    ]) {
      await about(line, { key, headers });
      const { registry, kvGet } = await gate.take();
      assert.deepEqual([registry, kvGet], [calls, 0], `${line} ${key.slice(0, 9)}`);
    }
    await about("GET /v1/contacts", { key: "garbage", headers: { "keyward-verifier": "garbage" } });
    assert.equal((await gate.take()).registry, 0);
  });
});

describe("while the authority is unreachable", () => {
  after(() => gate.order({ registry: "work" }));

  test("an unknown key is 503 with Retry-After, and never 401, 403 or 200", async () => {
    const unseen = await gate.newKey();
    const unconfirmed = await newMember(gate, { role: "verifier" });
    await gate.order({ registry: "fail" });
    const asked = await about("GET /v1/contacts", { key: unseen.apiKey });
    assert.deepEqual(
      [asked.verdict, asked.headers["retry-after"], asked.headers["keyward-refusal"]],
      ["503 authority_unavailable", "5", "authority_unavailable"],
    );
    // A gateway whose credential can't be checked is neither accepted nor refused as untrusted.
    const askWithVerifier = await about("GET /v1/contacts", {
      key: keys.live.apiKey,
      headers: { "keyward-verifier": unconfirmed.key },
    });
    assert.equal(askWithVerifier.verdict, "503 authority_unavailable");
    assert.equal(
      (await about("GET /v1/contacts", { key: keys.live.apiKey })).verdict,
      "200",
      "a cached key is still accepted",
    );
  });
});

test("a misconfigured gate answers 500, as everywhere", async () => {
  const broken = await startGate({ vars: { ORIGIN_LIVE: undefined } });
  try {
    assert.equal(
      (await broken.call(AUTHORIZE, { headers: GATEWAYS.nginx("GET", "/public/x").headers })).verdict,
      "500 misconfigured",
    );
  } finally {
    await broken.stop();
  }
});
