// Many keys that one isolate needs for the first time at once: the authority is asked about all of them in a few lookups.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { SECRETS } from "./harness/settings.mjs";

const CONTACTS = "/v1/contacts";
let origin;

before(async () => (origin = await startOrigin()));
after(() => origin?.close());

async function gateWithKeys(t, count) {
  const gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url } });
  t.after(() => gate.stop());
  await gate.bootstrap();
  const keys = [];
  for (let number = 0; number < count; number += 1) keys.push((await gate.newKey()).apiKey);
  return { gate, keys };
}

async function useAll(gate, keys) {
  const answers = await Promise.all(keys.map((key) => gate.call(CONTACTS, { key })));
  const counts = {};
  for (const { verdict } of answers) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}

test("a hundred keys issued and used at once are all served", async (t) => {
  const { gate, keys } = await gateWithKeys(t, 100);
  await gate.order({ kvGet: "fail" });
  await gate.take();
  assert.deepEqual(await useAll(gate, keys), { 200: 100 });
  const { lookup } = await gate.take();
  assert.ok(lookup <= 5, `${lookup} lookups`);
});

test("after a change of the secret, every key that is used at once is served", async (t) => {
  const { gate, keys } = await gateWithKeys(t, 150);
  await gate.restart({
    vars: {
      ORIGIN_LIVE: origin.url,
      KEYWARD_SECRET: Buffer.alloc(32, 7).toString("base64"),
      KEYWARD_SECRET_PREVIOUS: SECRETS.KEYWARD_SECRET,
    },
  });
  assert.deepEqual(await useAll(gate, keys), { 200: 150 });
});
