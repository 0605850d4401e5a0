// Forward auth: what a gateway is told that asks before it forwards. The decision is the gate's own, so every request here is
// also sent to the gate itself, and the two must agree.

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

/** How each gateway asks about a request. */
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

/** Asks about a request; nothing may reach the origin. */
async function ask({ path, method = "GET", headers }, { key, headers: more = {}, ...rest } = {}) {
  origin.take();
  const answer = await gate.call(path, { method, key, headers: { ...headers, ...more }, ...rest });
  assert.deepEqual(origin.take(), []);
  assert.ok(answer.headers["keyward-request-id"]);
  assert.equal(answer.headers["cache-control"], "no-store");
  return answer;
}

/** Asks in nginx's way. */
const about = (line, request) => ask(GATEWAYS.nginx(...line.split(" ")), request);

describe("what the gate accepts", () => {
  for (const [gateway, asking] of Object.entries(GATEWAYS)) {
    test(`${gateway}: is 200 with the identity and an assertion of this one request`, async () => {
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

    test(`${gateway}: a public route is 200 and nobody`, async () => {
      const answer = await ask(asking("GET", "/public/logo"), {
        key: keys.live.apiKey,
        headers: { "keyward-key-id": "forged" },
      });
      assert.deepEqual([answer.status, names(answer)], [200, []]);
    });
  }

  test("in X-API-Key as in Authorization, and HEAD as GET, whichever of the two is a HEAD", async () => {
    for (const asking of [
      GATEWAYS.nginx("HEAD", "/v1/contacts"),
      GATEWAYS.Envoy("HEAD", "/v1/contacts"),
      { ...GATEWAYS.nginx("GET", "/v1/contacts"), method: "HEAD" },
    ]) {
      const answer = await ask(asking, { headers: { "x-api-key": keys.live.apiKey } });
      assert.deepEqual([answer.status, names(answer)], [200, IDENTITY]);
    }
  });

  test("asked for by any method, and a body is never read", async () => {
    const { headers } = GATEWAYS.nginx("GET", "/v1/contacts");
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
      assert.equal(
        (await ask({ path: AUTHORIZE, method, headers }, { key: keys.live.apiKey, body: "x".repeat(100_000) })).status,
        200,
        method,
      );
    }
    // A body that never comes is not waited for.
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

  test("a retiring key's holder is told until when it goes on", async () => {
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

describe("what the gate refuses", () => {
  const live = () => ({ key: keys.live.apiKey });
  /** Requests of every kind; what the gate says of them is asked of the gate. */
  const REQUESTS = [
    ["GET /v1/contacts", live],
    ["GET /v1/contacts", () => ({})],
    ["GET /v1/contacts", () => ({ key: "garbage" })],
    ["GET /v1/contacts", () => ({ key: wrongTag(keys.live.apiKey) })],
    ["GET /v1/contacts", () => ({ key: keys.revoked.apiKey })],
    ["GET /v1/contacts", () => ({ key: keys.test.apiKey })],
    ["GET /v1/contacts", () => ({ key: gate.owner })],
    ["GET /v1/contacts", () => ({ headers: { authorization: "Basic YTpi" } })],
    ["GET /v1/contacts", () => ({ ...live(), headers: { "x-api-key": keys.test.apiKey } })],
    [
      "GET /v1/contacts",
      () => ({ ...live(), headers: { origin: "https://page.example", "user-agent": "Mozilla/5.0" } }),
    ],
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
  ];

  for (const [gateway, asking] of Object.entries(GATEWAYS)) {
    test(`${gateway}: is refused for the same reason, as 403 where nginx would make a 500 of it`, async () => {
      const seen = new Set();
      for (const [line, request] of REQUESTS) {
        const [method, ...rest] = (typeof line === "string" ? line : line()).split(" ");
        const uri = rest.join(" ");
        // The gate judges its own paths as the control plane; asked about by a gateway they are no route.
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

  test("a form of the asking itself that is refused is told in the same way", async () => {
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
    // Elsewhere on Keyward's own paths nothing is told so.
    assert.equal((await gate.call("/_keyward/v1/authorized//x")).verdict, "400 bad_path");
    assert.equal((await gate.call("/_keyward/v1/authorized")).verdict, "404 no_route");
  });

  test("only here is a gateway told yes: with a wrong prefix, whatever it appends, it gets 403", async () => {
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

  test("nor does the origin's 200 count as a yes: what only a gateway says is refused on every route", async () => {
    origin.take();
    for (const headers of [{ "keyward-verifier": "x" }, { "keyward-client-address": "192.0.2.7" }]) {
      for (const path of ["/public/logo", "/v1/contacts", "/nowhere"]) {
        const answer = await gate.call(path, { key: keys.live.apiKey, headers });
        assert.deepEqual([answer.status, answer.headers["keyward-refusal"]], [403, "invalid_request"], path);
      }
    }
    assert.deepEqual(origin.take(), []);
  });

  test("an asking by a Host that is none is 403 too", async () => {
    for (const host of ["a,a", "u@a"]) {
      const answer = await gate.raw(
        requestBytes(`GET ${AUTHORIZE}`, { headers: ["X-Original-Method: GET", "X-Original-URI: /public/x"], host }),
      );
      assert.deepEqual([answer.verdict, answer.headers["keyward-refusal"]], ["403 wrong_host", "wrong_host"], host);
    }
  });

  test("a request that is named in no way, by halves or in two ways is 403, whichever of them is allowed", async () => {
    const open = { "x-forwarded-method": "GET", "x-forwarded-uri": "/public/x" };
    const closed = { "x-original-method": "GET", "x-original-uri": "/v1/contacts" };
    for (const [path, headers] of [
      [AUTHORIZE, {}],
      [AUTHORIZE, { "x-original-uri": "/public/x" }],
      [AUTHORIZE, { "x-forwarded-uri": "/public/x", "x-original-method": "GET" }],
      [AUTHORIZE, { x_forwarded_method: "GET", x_forwarded_uri: "/public/x" }],
      [AUTHORIZE, { ...open, ...closed }],
      [AUTHORIZE, { ...open, "x-original-method": "POST", "x-original-uri": "/public/x" }],
      [`${AUTHORIZE}/`, open],
      [`${AUTHORIZE}/public/y`, open],
      [`${AUTHORIZE}/v1/contacts`, open],
    ]) {
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

  test("what was sent twice is refused", async () => {
    for (const [code, lines] of [
      ["bad_path", ["X-Original-Method: GET", "X-Original-URI: /public/x", "X-Original-URI: /public/x"]],
      ["method_not_allowed", ["X-Original-Method: GET", "X-Original-Method: GET", "X-Original-URI: /public/x"]],
      ["bad_path", ["X-Original-Method: GET", "X-Original-URI: /public/x", "X-Original-URI:"]],
    ]) {
      const answer = await gate.raw(requestBytes(`GET ${AUTHORIZE}`, { headers: lines }));
      assert.equal(answer.verdict, `403 ${code}`, lines.join(" | "));
    }
  });
});

describe("the client's address", () => {
  const GATEWAY = { "cf-connecting-ip": "203.0.113.1" };
  const said = (headers, key = keys.near.apiKey) =>
    about("GET /v1/contacts", { key, headers: { ...GATEWAY, ...headers } });
  const from = (address, verifier, key) =>
    said({ "keyward-client-address": address, ...(verifier && { "keyward-verifier": verifier }) }, key);
  const vouched = (headers, key) => said({ "keyward-verifier": members.verifier.key, ...headers }, key);

  test("counts as a gateway says it only with a verifier's or an owner's credential", async () => {
    assert.equal((await from("192.0.2.7")).verdict, "403 address_not_allowed");
    for (const credential of [members.verifier.key, gate.owner]) {
      assert.equal((await from("192.0.2.7", credential)).verdict, "200");
      assert.equal((await from("198.51.100.7", credential)).verdict, "403 address_not_allowed");
    }
  });

  test("is not known without one: a key with networks is refused, even where the gateway's own address is in them, and others pass", async () => {
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
    // With a credential too, where no address is said, or the edge alone said one.
    for (const more of [{}, { "x-forwarded-for": "192.0.2.1" }, { "x-real-ip": "192.0.2.7" }]) {
      assert.equal((await vouched({ ...inside, ...more })).verdict, "403 address_not_allowed", JSON.stringify(more));
      assert.equal((await vouched({ ...inside, ...more }, keys.live.apiKey)).verdict, "200");
    }
  });

  test("is Keyward-Client-Address, whatever other headers say", async () => {
    const others = {
      "x-forwarded-for": "6.6.6.6, 7.7.7.7",
      "x-real-ip": "6.6.6.6",
      forwarded: "for=6.6.6.6",
      keyward_client_address: "6.6.6.6",
    };
    assert.equal((await vouched({ ...others, "keyward-client-address": "192.0.2.7" })).verdict, "200");
    const near = Object.fromEntries(Object.keys(others).map((name) => [name, "192.0.2.7"]));
    assert.equal(
      (await vouched({ ...near, "keyward-client-address": "198.51.100.7" })).verdict,
      "403 address_not_allowed",
    );
  });

  test("that is none, or is sent twice, is refused and not looked for elsewhere", async () => {
    for (const none of [
      "nonsense",
      "192.0.2.7, 192.0.2.7",
      "198.51.100.7, 192.0.2.7",
      "192.0.2.7:80",
      "192.0.2.0/24",
      "unix:",
    ]) {
      const answer = await vouched({ "keyward-client-address": none, "x-forwarded-for": "192.0.2.7" });
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

  test("is without it the one in X-Forwarded-For that is not the edge's own, and of two that are left neither", async () => {
    for (const [list, verdict] of [
      ["192.0.2.7", "200"],
      ["192.0.2.7, 203.0.113.1", "200"],
      ["198.51.100.7, 203.0.113.1", "403 address_not_allowed"],
      ["203.0.113.1", "403 address_not_allowed"],
      ["203.0.113.1, 203.0.113.1", "403 address_not_allowed"],
      // Client and gateway share an address, and the client wrote the first.
      ["192.0.2.7, 203.0.113.1, 203.0.113.1", "403 invalid_request"],
      ["192.0.2.7, 198.51.100.7", "403 invalid_request"],
      ["6.6.6.6, 192.0.2.7", "403 invalid_request"],
      ["nonsense", "403 invalid_request"],
    ]) {
      assert.equal((await vouched({ "x-forwarded-for": list })).verdict, verdict, list);
    }
  });

  test("a credential that does not vouch refuses the request, and does not blame the client's key", async () => {
    const bad = [
      ...["manager", "responder", "auditor", "gone", "limited"].map((name) => members[name].key),
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

  test("a verifier that is limited to an environment vouches there alone", async () => {
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

  test("the credential is asked about each time, but only for what would pass", async () => {
    const headers = { "keyward-verifier": members.verifier.key };
    await about("GET /v1/contacts", { key: keys.live.apiKey, headers });
    await gate.take();
    for (const [calls, line, key] of [
      [1, "GET /v1/contacts", keys.live.apiKey],
      [1, "GET /v1/contacts", keys.live.apiKey],
      [0, "GET /v1/contacts", "garbage"],
      [0, "GET /v1/contacts", wrongTag(keys.live.apiKey)],
      [0, "GET /nowhere", keys.live.apiKey],
      [0, "GET /public/x", keys.live.apiKey],
    ]) {
      await about(line, { key, headers });
      const { registry, kvGet } = await gate.take();
      assert.deepEqual([registry, kvGet], [calls, 0], `${line} ${key.slice(0, 9)}`);
    }
    await about("GET /v1/contacts", { key: "garbage", headers: { "keyward-verifier": "garbage" } });
    assert.equal((await gate.take()).registry, 0);
  });
});

describe("while the authority is silent", () => {
  after(() => gate.order({ registry: "work" }));

  test("what is not known is 503 with Retry-After, and never 401, 403 or 200", async () => {
    const unseen = await gate.newKey();
    await gate.order({ registry: "fail" });
    const asked = await about("GET /v1/contacts", { key: unseen.apiKey });
    assert.deepEqual(
      [asked.verdict, asked.headers["retry-after"], asked.headers["keyward-refusal"]],
      ["503 authority_unavailable", "5", "authority_unavailable"],
    );
    // A gateway that can't be confirmed is not believed, and not taken for a liar either.
    const vouched = await about("GET /v1/contacts", {
      key: keys.live.apiKey,
      headers: { "keyward-verifier": members.verifier.key },
    });
    assert.equal(vouched.verdict, "503 authority_unavailable");
    assert.equal((await about("GET /v1/contacts", { key: keys.live.apiKey })).verdict, "200", "what is known goes on");
  });
});

test("a gate that is misconfigured says 500, as everywhere", async () => {
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
