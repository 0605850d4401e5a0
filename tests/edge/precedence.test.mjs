// Precedence: if several refusals apply, the first in the documented order wins. Each test is a request to which two
// neighbours of that order apply.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { mintKey, otherSecret } from "./harness/keys.mjs";
import { ahead, until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const BROWSER = { origin: "https://acme.example", "user-agent": "Mozilla/5.0" };
const keys = {};
let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  keys.live = await gate.newKey();
  keys.test = await gate.newKey({ environment: "test" });
  keys.office = await gate.newKey({ allowed_cidrs: ["192.0.2.0/24"] });
  keys.revoked = await gate.newKey();
  await gate.revoke(keys.revoked.id);
  const soon = ahead(600);
  keys.expired = await gate.newKey({ expires_at: soon });
  keys.expiredOffice = await gate.newKey({ expires_at: soon, allowed_cidrs: ["192.0.2.0/24"] });
  keys.expiredRevoked = await gate.newKey({ expires_at: soon });
  keys.revokedOffice = await gate.newKey({ allowed_cidrs: ["192.0.2.0/24"] });
  await gate.revoke(keys.revokedOffice.id);
  const isExpired = async () => (await gate.call(CONTACTS, { key: keys.expired.apiKey })).verdict === "401 expired_key";
  await until("the keys expire", isExpired);
  await gate.revoke(keys.expiredRevoked.id);
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const unknown = mintKey({ identifier: "n".repeat(12), secret: "A".repeat(32) });

const ROWS = /** @type {[string, string, () => Promise<any>][]} */ ([
  ["form before key_in_url", "400 bad_path", () => gate.call(`/v1//contacts?k=${keys.live.apiKey}`)],
  ["key_in_url before no_route", "400 key_in_url", () => gate.call(`/nowhere?k=${keys.live.apiKey}`)],
  ["key_in_url before missing_key", "400 key_in_url", () => gate.call(`${CONTACTS}?k=${keys.live.apiKey}`)],
  ["no_route before missing_key", "404 no_route", () => gate.call("/nowhere")],
  ["no_route before ambiguous_credentials", "404 no_route", () => gate.call("/nowhere", { key: "a, b" })],
  [
    "no_route before browser_exposed",
    "404 no_route",
    () => gate.call("/nowhere", { key: keys.live.apiKey, headers: BROWSER }),
  ],
  [
    "no_route before browser_exposed, for a preflight too",
    "404 no_route",
    () => gate.call("/nowhere", { method: "OPTIONS", headers: { ...BROWSER, "access-control-request-method": "GET" } }),
  ],
  ["missing_key before browser_exposed", "401 missing_key", () => gate.call(CONTACTS, { headers: BROWSER })],
  [
    "ambiguous_credentials before invalid_key",
    "400 ambiguous_credentials",
    () => gate.call(CONTACTS, { key: "garbage, garbage" }),
  ],
  [
    "ambiguous_credentials before browser_exposed",
    "400 ambiguous_credentials",
    () => gate.call(CONTACTS, { key: "a, b", headers: BROWSER }),
  ],
  [
    "invalid_key by form before browser_exposed",
    "401 invalid_key",
    () => gate.call(CONTACTS, { key: "garbage", headers: BROWSER }),
  ],
  [
    "browser_exposed before invalid_key by id",
    "403 browser_exposed",
    () => gate.call(CONTACTS, { key: unknown, headers: BROWSER }),
  ],
  [
    "browser_exposed before revoked_key",
    "403 browser_exposed",
    () => gate.call(CONTACTS, { key: keys.revoked.apiKey, headers: BROWSER }),
  ],
  [
    "invalid_key by secret before revoked_key",
    "401 invalid_key",
    () => gate.call(CONTACTS, { key: otherSecret(keys.revoked.apiKey) }),
  ],
  [
    "invalid_key by secret before expired_key",
    "401 invalid_key",
    () => gate.call(CONTACTS, { key: otherSecret(keys.expired.apiKey) }),
  ],
  ["revoked_key before expired_key", "401 revoked_key", () => gate.call(CONTACTS, { key: keys.expiredRevoked.apiKey })],
  [
    "revoked_key before address_not_allowed",
    "401 revoked_key",
    () => gate.call(CONTACTS, { key: keys.revokedOffice.apiKey }),
  ],
  [
    "expired_key before address_not_allowed",
    "401 expired_key",
    () => gate.call(CONTACTS, { key: keys.expiredOffice.apiKey }),
  ],
  [
    "address_not_allowed before insufficient_scope",
    "403 address_not_allowed",
    () => gate.call(CONTACTS, { method: "POST", key: keys.office.apiKey, body: "" }),
  ],
  [
    "insufficient_scope before no_origin",
    "403 insufficient_scope",
    () => gate.call(CONTACTS, { method: "POST", key: keys.test.apiKey, body: "" }),
  ],
]);

for (const [name, verdict, request] of ROWS) {
  test(name, async () => {
    origin.take();
    assert.equal((await request()).verdict, verdict);
    assert.deepEqual(origin.take(), []);
  });
}

test("browser_exposed comes before authority_unavailable, which comes before invalid_key by id", async (t) => {
  t.after(() => gate.order({ registry: "work" }));
  await gate.order({ registry: "fail" });
  const key = mintKey({ identifier: "o".repeat(12), secret: "A".repeat(32) });
  assert.equal((await gate.call(CONTACTS, { key, headers: BROWSER })).verdict, "403 browser_exposed");
  assert.equal((await gate.call(CONTACTS, { key })).verdict, "503 authority_unavailable");
});

test("over plain HTTP, insecure_transport comes between invalid_key by form and browser_exposed", async () => {
  const strict = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url, REQUIRE_HTTPS: "true" } });
  try {
    for (const [verdict, request] of /** @type {[string, any][]} */ ([
      ["404 no_route", { path: "/nowhere", key: unknown }],
      ["401 missing_key", {}],
      ["400 ambiguous_credentials", { key: "a, b" }],
      ["401 invalid_key", { key: "garbage" }],
      ["403 insecure_transport", { key: unknown }],
      ["403 insecure_transport", { key: unknown, headers: BROWSER }],
      ["403 insecure_transport", { path: "/_keyward/v1/me", key: "garbage" }],
      ["200", { path: "/public/logo" }],
      ["200", { path: "/_keyward/health" }],
    ])) {
      const { path = CONTACTS, ...rest } = request;
      assert.equal((await strict.call(path, rest)).verdict, verdict, JSON.stringify(request));
    }
    // The exposed key is reported once, in the background.
    const { kvGet, registry } = await strict.take();
    assert.equal(kvGet, 0);
    assert.ok(registry <= 1, `${registry} calls of the registry`);
  } finally {
    await strict.stop();
  }
});
