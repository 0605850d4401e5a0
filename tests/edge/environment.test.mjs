// A deployment that changes only variables or secrets may leave isolates running: the platform gives them another `env`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { keyOf } from "./harness/assertions.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { SECRETS } from "./harness/settings.mjs";

const OLD = SECRETS.KEYWARD_SECRET;
const NEW = Buffer.alloc(32, 7).toString("base64");
let origin;
let gate;
let key;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  key = await gate.newKey({ scopes: ["contacts:read"] });
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const call = () => gate.call("/v1/contacts", { key: key.apiKey });
/** The keys of assertions, which come first: the key set has as many of events. */
const kids = async () => {
  const { keys } = (await gate.call("/_keyward/jwks.json")).json;
  return keys.slice(0, keys.length / 2).map(({ kid }) => kid);
};
const kidOf = (secret) => keyOf(secret).jwk.kid;

test("a changed variable applies from the next request on, and cached data is read again once", async () => {
  const fresh = await gate.newKey({ scopes: ["contacts:read"], integration: "another" });
  const accepted = () => gate.call("/v1/contacts", { key: fresh.apiKey });
  assert.equal((await accepted()).verdict, "200");
  await gate.take();
  assert.equal((await accepted()).verdict, "200");
  assert.equal((await gate.take()).kvGet, 0, "the isolate keeps its cache while nothing changes");
  await gate.changeVariables({ REQUIRE_HTTPS: true });
  assert.equal((await accepted()).verdict, "403 insecure_transport");
  await gate.changeVariables({ REQUIRE_HTTPS: false });
  assert.equal((await accepted()).verdict, "200");
});

test("a secret rotated under a running isolate signs, and the old one is refused once it is removed", async () => {
  assert.equal((await call()).verdict, "200");
  assert.deepEqual(await kids(), [kidOf(OLD)]);

  await gate.changeVariables({ KEYWARD_SECRET: NEW, KEYWARD_SECRET_PREVIOUS: OLD });
  const answer = await call();
  assert.equal(answer.verdict, "200");
  const assertion = answer.json.headers.find(([name]) => name.toLowerCase() === "keyward-assertion")[1];
  assert.equal(JSON.parse(Buffer.from(assertion.split(".")[0], "base64url").toString()).kid, kidOf(NEW));
  assert.deepEqual(await kids(), [kidOf(NEW), kidOf(OLD)]);

  await gate.changeVariables({ KEYWARD_SECRET_PREVIOUS: "" });
  assert.equal((await call()).verdict, "401 invalid_key");
  assert.deepEqual(await kids(), [kidOf(NEW)]);
});
