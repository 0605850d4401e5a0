// On wasm a panic ends the instance. Nothing a client sends can cause one. If it happens anyway, the next request must
// get a new instance.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

test("after a panic the next request gets a new instance, and the one after it the fast path again", async () => {
  const key = await gate.newKey({ scopes: ["contacts:read"] });
  const call = () => gate.call("/v1/contacts", { key: key.apiKey });
  assert.equal((await call()).verdict, "200");
  await gate.breakInstance();
  await gate.take();
  assert.equal((await call()).verdict, "200");
  const asked = await gate.take();
  assert.ok(asked.kvGet >= 1, "the cache of the old instance is lost");
  assert.equal((await call()).verdict, "200");
  assert.equal((await gate.take()).kvGet, 0);
  assert.equal((await gate.issue()).status, 201);
});
