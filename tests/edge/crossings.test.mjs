// Cost of an answer: calls from wasm into JavaScript, reads of KV, calls of the object. Counted around the
// unchanged build, by the imports it was given.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { wrongTag } from "./harness/keys.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const EVENTS = "/v1/events";
const ROUTES = [
  { match: "GET /public/*", access: "public" },
  { match: "GET /v1/contacts", scope: "contacts:read" },
  { match: "POST /v1/contacts", scope: "contacts:write" },
  { match: "GET /v1/events", scope: "contacts:read", assertion: "request" },
];
let origin;
let gate;
let key;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    instrumented: true,
    vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 300, ROUTES },
  });
  await gate.bootstrap();
  key = await gate.newKey({ scopes: ["contacts:read", "contacts:write"] });
  // The first use of a key in an hour is reported after a second, and the second one begins the task that reports the rest.
  for (let use = 0; use < 3; use += 1) assert.equal((await gate.call(CONTACTS, { key: key.apiKey })).status, 200);
  // An exposure is reported once a minute for each key and kind.
  await gate.call(`${CONTACTS}?k=${key.apiKey}`);
  await gate.call(CONTACTS, { key: key.apiKey, headers: { "sec-fetch-site": "same-origin" } });
  await pause(2_000);
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

// Entropy for request ids is drawn in advance, for about sixty ids at a time.
const ENTROPY = "getRandomValues";

/** Returns the cost of one request: crossings by their names in glue.js, and store accesses. Without a signature it checks that there are at most three crossings. */
async function cost(path, request) {
  await gate.take();
  const { verdict } = await gate.call(path, request);
  const { crossings, kvGet, kvPut, registry } = await gate.take();
  const names = crossings.map((name) => name.replace(/^__wbg_(.+)_[0-9a-f]{16}$/, "$1"));
  // wasm-bindgen itself makes about a dozen for the promise of a signature.
  const hasPromise = ["sign", "keepAlive"].some((name) => names.includes(name));
  assert.ok(names.length <= (hasPromise ? 40 : 3), names.join(", "));
  return { verdict, crossings: names.filter((name) => name !== ENTROPY), stores: kvGet + kvPut + registry };
}

const FORWARDED = ["head", "forward"];
const REFUSED = ["head", "reply"];

test("counting adds nothing to the counts", async () => {
  await gate.take();
  assert.deepEqual((await gate.take()).crossings, []);
});

test("an accepted request with a cached record makes at most three crossings and reads no store", async (t) => {
  for (const request of [
    {},
    { method: "POST", json: { a: 1 } },
    { headers: { cookie: "a=1", "x-forwarded-for": "6.6.6.6", "keyward-key-id": "forged" } },
  ]) {
    let counted = await cost(CONTACTS, { key: key.apiKey, ...request });
    // Half a minute has passed, so its assertion was signed again, or a task that reports usage began.
    if (["sign", "keepAlive"].some((name) => counted.crossings.includes(name)))
      counted = await cost(CONTACTS, { key: key.apiKey, ...request });
    const { verdict, crossings, stores } = counted;
    t.diagnostic(`crossings: ${crossings.join(", ")}`);
    assert.equal(verdict, "200");
    assert.deepEqual(crossings, FORWARDED);
    assert.equal(stores, 0);
  }
});

test("an assertion bound to the request costs one signature and no read of a store", async () => {
  const { verdict, crossings, stores } = await cost(EVENTS, { key: key.apiKey });
  const ours = crossings.filter((name) => ["head", "keepAlive", "holdKey", "sign", "forward"].includes(name));
  assert.deepEqual({ verdict, ours, stores }, { verdict: "200", ours: ["head", "sign", "forward"], stores: 0 });
});

test("a public request makes at most three crossings", async () => {
  assert.deepEqual(await cost("/public/logo", {}), { verdict: "200", crossings: FORWARDED, stores: 0 });
});

test("an answer to a key is not stored in the edge cache; an answer of a public route may be", async () => {
  await gate.take();
  await gate.call(CONTACTS, { key: key.apiKey });
  await gate.call("/public/logo", { key: key.apiKey });
  assert.deepEqual((await gate.take()).departures, [
    { redirect: "manual", cf: { cacheTtl: -1 } },
    { redirect: "manual", cf: null },
  ]);
});

/** Exposes the key in a URL and from a page: the first answer of a minute has a report behind it. */
async function expose() {
  await gate.call(`${CONTACTS}?k=${key.apiKey}`, {});
  await gate.call(CONTACTS, { key: key.apiKey, headers: { "sec-fetch-site": "same-origin" } });
  await until("both are recorded", () => gate.sql("SELECT * FROM exposures").length === 2);
}

test("a malformed key makes crossings for its head and reply only, and reads no store", async () => {
  await expose();
  for (const [verdict, path, request] of [
    ["401 missing_key", CONTACTS, {}],
    ["401 invalid_key", CONTACTS, { key: "garbage" }],
    ["401 invalid_key", CONTACTS, { key: wrongTag(key.apiKey) }],
    ["400 ambiguous_credentials", CONTACTS, { key: "a, b" }],
    ["400 key_in_url", `${CONTACTS}?k=${key.apiKey}`, {}],
    ["404 no_route", "/nowhere", {}],
    ["400 bad_path", "/v1//contacts", {}],
    ["403 browser_exposed", CONTACTS, { key: key.apiKey, headers: { "sec-fetch-site": "same-origin" } }],
  ]) {
    assert.deepEqual(await cost(path, request), { verdict, crossings: REFUSED, stores: 0 });
  }
});

test("a thousand distinct malformed keys read no store", async () => {
  await gate.take();
  for (let batch = 0; batch < 20; batch += 1) {
    const answers = Array.from({ length: 50 }, (_, at) =>
      gate.call(CONTACTS, { key: `wafl_live_${"g".repeat(8)}${1_000 + batch * 50 + at}_${"x".repeat(46)}` }),
    );
    for (const { verdict } of await Promise.all(answers)) assert.equal(verdict, "401 invalid_key");
  }
  const { crossings, kvGet, registry } = await gate.take();
  assert.deepEqual({ kvGet, registry }, { kvGet: 0, registry: 0 });
  const drawn = crossings.filter((name) => name.includes(ENTROPY)).length;
  assert.ok(drawn <= 20, `${drawn} draws of entropy`);
  assert.equal(crossings.length, 2_000 + drawn);
});
