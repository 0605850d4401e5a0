// Presenting a key, row by row: the request, the answer and its cost. Requests to which several rows apply
// are in precedence.test.mjs.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { mintKey, otherSecret, withCheck, wrongTag } from "./harness/keys.mjs";
import { SECRETS, VECTORS } from "./harness/settings.mjs";
import { ahead, until } from "./harness/wait.mjs";

const BODIES = {
  missing_key:
    '{"type":"/_keyward/problems/missing_key","title":"No API key","status":401,"detail":"This request has no API key. Send one as `Authorization: Bearer <key>` or as `X-API-Key: <key>`.","code":"missing_key","request_id":"<request id>"}',
  ambiguous_credentials:
    '{"type":"/_keyward/problems/ambiguous_credentials","title":"More than one credential","status":400,"detail":"This request has more than one credential. Send exactly one: either `Authorization: Bearer <key>` or `X-API-Key: <key>`.","code":"ambiguous_credentials","request_id":"<request id>"}',
  key_in_url:
    '{"type":"/_keyward/problems/key_in_url","title":"API key in the URL","status":400,"detail":"The URL contains an API key, and logs record URLs. Treat the key as leaked: have it revoked, and send the new one in a header.","code":"key_in_url","request_id":"<request id>"}',
  invalid_key:
    '{"type":"/_keyward/problems/invalid_key","title":"Invalid API key","status":401,"detail":"This is not a valid key of this API. Check that you copied the whole key, and that this API issued it.","code":"invalid_key","request_id":"<request id>"}',
  expired_key:
    '{"type":"/_keyward/problems/expired_key","title":"Expired API key","status":401,"detail":"This API key has expired. Ask its owner for a new one.","code":"expired_key","request_id":"<request id>"}',
  revoked_key:
    '{"type":"/_keyward/problems/revoked_key","title":"Revoked API key","status":401,"detail":"This API key was revoked and will not work again. Ask its owner for a new one.","code":"revoked_key","request_id":"<request id>"}',
  insufficient_scope:
    '{"type":"/_keyward/problems/insufficient_scope","title":"Missing scope","status":403,"detail":"This API key lacks the scope that this request needs. Ask its owner to add the scope.","code":"insufficient_scope","request_id":"<request id>"}',
  address_not_allowed:
    '{"type":"/_keyward/problems/address_not_allowed","title":"Client address not allowed","status":403,"detail":"This API key may not be used from this client address. Call from a network that the key allows.","code":"address_not_allowed","request_id":"<request id>"}',
  address_not_known: `{"type":"/_keyward/problems/address_not_allowed","title":"Client address not allowed","status":403,"detail":"This API key may be used from certain networks only, and the client's address is not known here.","code":"address_not_allowed","request_id":"<request id>"}`,
  browser_exposed:
    '{"type":"/_keyward/problems/browser_exposed","title":"API key in a browser","status":403,"detail":"A browser page sent this request, and any visitor of a page can read its API key. Call this API from a server.","code":"browser_exposed","request_id":"<request id>"}',
  insecure_transport:
    '{"type":"/_keyward/problems/insecure_transport","title":"HTTPS required","status":403,"detail":"This API requires HTTPS. Use an `https://` URL, and consider a key that was sent over plain HTTP as possibly intercepted.","code":"insecure_transport","request_id":"<request id>"}',
  no_route:
    '{"type":"/_keyward/problems/no_route","title":"Unknown path","status":404,"detail":"No route of this API matches this path. Check the path and its letter case.","code":"no_route","request_id":"<request id>"}',
  authority_unavailable:
    '{"type":"/_keyward/problems/authority_unavailable","title":"Key check unavailable","status":503,"detail":"The service that knows the state of API keys is unreachable, so this request was neither accepted nor refused. Retry after the time in `Retry-After`. Before you repeat a change, check whether it was made.","code":"authority_unavailable","request_id":"<request id>"}',
  no_origin:
    '{"type":"/_keyward/problems/no_origin","title":"No origin for this environment","status":503,"detail":"This API has no origin for the environment of this API key. Ask its operator to set one.","code":"no_origin","request_id":"<request id>"}',
};

const CHALLENGES = {
  missing_key: 'Bearer realm="keyward"',
  invalid_key: 'Bearer realm="keyward", error="invalid_token"',
  expired_key: 'Bearer realm="keyward", error="invalid_token"',
  revoked_key: 'Bearer realm="keyward", error="invalid_token"',
  insufficient_scope: 'Bearer realm="keyward", error="insufficient_scope", scope="contacts:write"',
};

const FREE = { kvGet: 0, lookup: 0 };
const LOOKED_UP = { kvGet: 1, lookup: 1 };
/** One read of KV: the copy shows that the secret differs. */
const BY_COPY = { kvGet: 1, lookup: 0 };

let origin;
let gate;
const keys = {};

before(async () => {
  origin = await startOrigin();
  // ORIGIN_TEST is missing, because one row of the table needs that.
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  keys.live = await gate.newKey();
  keys.test = await gate.newKey({ environment: "test" });
  keys.office = await gate.newKey({ allowed_cidrs: ["192.0.2.0/24", "2001:db8::/32"] });
  keys.revoked = await gate.newKey();
  await gate.revoke(keys.revoked.id);
  keys.expired = await gate.newKey({ expires_at: ahead(400) });
  await until(
    "the key expires",
    async () => (await gate.call("/v1/contacts", { key: keys.expired.apiKey })).status === 401,
  );
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/** Sends a request that must be refused with `code`. Compares the whole answer, and checks that nothing reached the origin. */
async function refused(code, path, request, cost) {
  origin.take();
  await gate.take();
  const answer = await gate.call(path, request);
  assert.equal(answer.pinned, BODIES[code]);
  assert.equal(answer.status, JSON.parse(BODIES[code]).status);
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.equal(answer.headers["cache-control"], "no-store");
  assert.equal(answer.headers["www-authenticate"], CHALLENGES[code]);
  assert.equal(answer.headers["retry-after"] !== undefined, code === "authority_unavailable");
  const corsHeaders = Object.keys(answer.headers).filter((name) => name.startsWith("access-control-"));
  assert.deepEqual(corsHeaders, []);
  assert.deepEqual(origin.take(), []);
  if (cost) {
    const { kvGet, lookup } = await gate.take();
    assert.deepEqual({ kvGet, lookup }, cost);
  }
}

const CONTACTS = "/v1/contacts";
const headers = (all) => ({ headers: all });
const unknown = (letter, environment = "live") =>
  mintKey({ environment, identifier: letter.repeat(12), secret: "A".repeat(32) });

describe("refusals without a lookup", () => {
  const rows = () => [
    ["nothing", "missing_key", CONTACTS, {}],
    ["an empty Authorization", "missing_key", CONTACTS, headers({ authorization: "" })],
    ["an empty X-API-Key", "missing_key", CONTACTS, headers({ "x-api-key": " " })],
    ["both of them empty", "missing_key", CONTACTS, headers({ authorization: "", "x-api-key": "" })],
    [
      "the key in both headers",
      "ambiguous_credentials",
      CONTACTS,
      { key: keys.live.apiKey, headers: { "x-api-key": keys.live.apiKey } },
    ],
    [
      "X-API-Key twice",
      "ambiguous_credentials",
      CONTACTS,
      headers({ "x-api-key": [keys.live.apiKey, keys.live.apiKey] }),
    ],
    [
      "X-API-Key beside another scheme with a key of ours",
      "ambiguous_credentials",
      CONTACTS,
      headers({ "x-api-key": keys.live.apiKey, authorization: "Basic wafl_x" }),
    ],
    [
      "X-API-Key beside a bare key of ours",
      "ambiguous_credentials",
      CONTACTS,
      headers({ "x-api-key": "x", authorization: keys.live.apiKey }),
    ],
    ["a comma in Authorization", "ambiguous_credentials", CONTACTS, { key: `${keys.live.apiKey}, Basic x` }],
    ["a key in the path", "key_in_url", `/v1/contacts/${keys.live.apiKey}`, {}],
    ["a key in the query", "key_in_url", `/v1/contacts?a=b&key=${keys.live.apiKey}`, { key: keys.live.apiKey }],
    ["an encoded key in the query", "key_in_url", `/v1/contacts?key=${keys.live.apiKey.replaceAll("_", "%5F")}`, {}],
    [
      "every letter of it encoded",
      "key_in_url",
      `/v1/contacts?${[...keys.live.apiKey].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("")}`,
      {},
    ],
    ["a member's credential in the URL", "key_in_url", `/v1/contacts?k=${gate.owner}`, {}],
    ["a well-formed key in the URL that was never issued", "key_in_url", `/v1/contacts?k=x${unknown("9")}`, {}],
    ["a key in the URL of a public route", "key_in_url", `/public/logo?k=${keys.live.apiKey}`, {}],
    [
      "a key in the URL of the control plane",
      "key_in_url",
      `/_keyward/v1/keys?cursor=${keys.live.apiKey}`,
      { key: keys.live.apiKey },
    ],
    ["another scheme", "invalid_key", CONTACTS, headers({ authorization: "Basic b3BzOnNlY3JldA==" })],
    ["a bare key in Authorization", "invalid_key", CONTACTS, headers({ authorization: keys.live.apiKey })],
    ["Bearer with nothing", "invalid_key", CONTACTS, headers({ authorization: "Bearer" })],
    ["a malformed key", "invalid_key", CONTACTS, { key: "garbage" }],
    ["a malformed key in X-API-Key", "invalid_key", CONTACTS, headers({ "x-api-key": "garbage" })],
    ["a malformed key of 8 KB", "invalid_key", CONTACTS, { key: `wafl_live_${"a".repeat(8_192)}` }],
    ["a key with another after it", "invalid_key", CONTACTS, { key: `${keys.live.apiKey} ${keys.live.apiKey}` }],
    ["a wrong check", "invalid_key", CONTACTS, { key: `${keys.live.apiKey.slice(0, -1)}!` }],
    ["a valid check and a wrong tag", "invalid_key", CONTACTS, { key: wrongTag(keys.live.apiKey) }],
    [
      "another environment on the same secret",
      "invalid_key",
      CONTACTS,
      { key: withCheck(keys.live.apiKey.replace("live", "test").slice(0, -6)) },
    ],
    [
      "another prefix",
      "invalid_key",
      CONTACTS,
      { key: mintKey({ prefix: "acme", identifier: "a".repeat(12), secret: "A".repeat(32) }) },
    ],
    ["a key of another KEYWARD_SECRET", "invalid_key", CONTACTS, { key: VECTORS.valid[3].key }],
    ["a member's credential at the gate", "invalid_key", CONTACTS, { key: gate.owner }],
    ["the bootstrap token at the gate", "invalid_key", CONTACTS, { key: SECRETS.BOOTSTRAP_TOKEN }],
    ["an Origin", "browser_exposed", CONTACTS, { key: keys.live.apiKey, headers: { origin: "https://acme.example" } }],
    [
      "Sec-Fetch-Site",
      "browser_exposed",
      CONTACTS,
      { key: keys.live.apiKey, headers: { "sec-fetch-site": "same-origin" } },
    ],
    [
      "a CORS preflight for a key route",
      "browser_exposed",
      CONTACTS,
      { method: "OPTIONS", headers: { origin: "https://acme.example", "access-control-request-method": "GET" } },
    ],
    ["OPTIONS without a preflight's headers, and no key", "missing_key", "/v1/events", { method: "OPTIONS" }],
    ["no route, no key", "no_route", "/v1/nothing", {}],
    ["no route, a valid key", "no_route", "/v1/nothing", { key: keys.live.apiKey }],
    ["no route, an invalid key", "no_route", "/", { key: "garbage" }],
  ];
  // The rows need keys that exist only when the tests run, but the names of the tests are needed earlier.
  test("each row costs no read of KV and no call of the object", async (t) => {
    for (const [what, code, path, request] of rows())
      await t.test(`${what}: ${code}`, () => refused(code, path, request, FREE));
  });
});

describe("refusals after a lookup", () => {
  test("an unknown id is looked up once, then answered from the negative cache", async () => {
    const key = unknown("u");
    await refused("invalid_key", CONTACTS, { key }, LOOKED_UP);
    await refused("invalid_key", CONTACTS, { key }, FREE);
  });

  test("a wrong secret with a valid id is refused with the same body", () =>
    refused("invalid_key", CONTACTS, { key: otherSecret(keys.office.apiKey) }, BY_COPY));

  test("an expired key is refused as expired", () => refused("expired_key", CONTACTS, { key: keys.expired.apiKey }));

  test("a revoked key is refused as revoked, by the authority or by the copy in KV", () =>
    refused("revoked_key", CONTACTS, { key: keys.revoked.apiKey }));

  test("a missing scope is named", () =>
    refused("insufficient_scope", CONTACTS, { method: "POST", key: keys.live.apiKey, body: "" }));

  test("an address outside allowed_cidrs is refused, and so is a request without an address", async (t) => {
    const unknown = [undefined, "nonsense", "192.0.2.1, 192.0.2.1"];
    for (const address of ["192.0.3.1", "203.0.113.9", "2001:db9::1", "::1", ...unknown]) {
      const sent = address === undefined ? {} : { "cf-connecting-ip": address };
      const pinned = unknown.includes(address) ? "address_not_known" : "address_not_allowed";
      await t.test(`${address}`, () => refused(pinned, CONTACTS, { key: keys.office.apiKey, headers: sent }));
    }
  });

  test("a test key without ORIGIN_TEST never reaches the live origin", () =>
    refused("no_origin", CONTACTS, { key: keys.test.apiKey }));

  test("a key that cannot be looked up is 503, never 401", async (t) => {
    const { apiKey } = await gate.newKey();
    // Restores the authority for the tests after this one, even if this one fails.
    t.after(async () => {
      await gate.order({ registry: "work" });
      await until(
        "the authority is queried again",
        async () => (await gate.call(CONTACTS, { key: apiKey })).status === 200,
      );
    });
    await gate.order({ registry: "fail" });
    await refused("authority_unavailable", CONTACTS, { key: apiKey });
  });
});

test("over plain HTTP, if HTTPS is required, a valid key is refused without a lookup", async () => {
  const strict = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url, REQUIRE_HTTPS: true } });
  try {
    const answer = await strict.call(CONTACTS, { key: keys.live.apiKey });
    assert.equal(answer.status, 403);
    assert.equal(answer.pinned, BODIES.insecure_transport);
    assert.equal(answer.headers["cache-control"], "no-store");
    const { kvGet, lookup } = await strict.take();
    assert.deepEqual({ kvGet, lookup }, FREE);
  } finally {
    await strict.stop();
  }
});

describe("accepted requests", () => {
  const rows = () =>
    /** @type {[string, object][]} */ ([
      ["Bearer", { key: keys.live.apiKey }],
      ["the scheme in any case", headers({ authorization: `bEaReR ${keys.live.apiKey}` })],
      ["X-API-Key", headers({ "x-api-key": keys.live.apiKey })],
      ["X-API-Key with an empty Authorization", headers({ "x-api-key": keys.live.apiKey, authorization: "" })],
      [
        "X-API-Key with the origin's own Authorization",
        headers({ "x-api-key": keys.live.apiKey, authorization: "Basic b3Bz" }),
      ],
      [
        "Sec-Fetch-Mode alone, as Node's fetch sends it",
        { key: keys.live.apiKey, headers: { "sec-fetch-mode": "cors" } },
      ],
      ["an address inside allowed_cidrs", { key: keys.office.apiKey, headers: { "cf-connecting-ip": "192.0.2.77" } }],
      ["the same written as IPv6", { key: keys.office.apiKey, headers: { "cf-connecting-ip": "::ffff:192.0.2.77" } }],
      ["an IPv6 address inside", { key: keys.office.apiKey, headers: { "cf-connecting-ip": "2001:db8:1::5" } }],
    ]);
  test("each form of presenting a valid key reaches the origin once", async (t) => {
    for (const [what, request] of rows()) {
      await t.test(what, async () => {
        origin.take();
        const answer = await gate.call(CONTACTS, request);
        assert.equal(answer.verdict, "200");
        assert.equal(origin.take().length, 1);
      });
    }
  });
});

describe("the golden vectors, through the real wasm", () => {
  const ofFirst = VECTORS.valid.filter(({ keyward_secret }) => keyward_secret === SECRETS.KEYWARD_SECRET);

  for (const { key, environment, key_id: id } of ofFirst) {
    test(`${id} is recognised`, () =>
      refused("invalid_key", CONTACTS, { key }, environment === "admin" ? FREE : LOOKED_UP));
  }

  for (const { why, text } of VECTORS.invalid) {
    test(`refused before any lookup: ${why}`, async () => {
      await gate.take();
      // As UTF-8 bytes, as a client would send these characters.
      const line = Buffer.from(`Authorization: Bearer ${text}`).toString("latin1");
      const answer = await gate.raw(`GET /v1/contacts HTTP/1.1\r\nHost: h\r\n${line}\r\nConnection: close\r\n\r\n`);
      const { kvGet, lookup } = await gate.take();
      // A header cannot contain these two: the runtime refuses one, and the other ends the header.
      if (text.includes("\0")) assert.equal(answer.status, 400);
      else if (!text.endsWith("\n")) assert.equal(answer.verdict, "401 invalid_key");
      if (!text.endsWith("\n")) assert.deepEqual({ kvGet, lookup }, FREE);
    });
  }
});
