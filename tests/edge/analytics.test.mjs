// The optional dataset of Analytics Engine: points as docs/guides/analytics.md documents them, and requests that never notice it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { until } from "./harness/wait.mjs";

const CLIENT = { "cf-connecting-ip": "192.0.2.7", "user-agent": "curl/8.5.0" };
let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1 } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const requests = (points) => points.reduce((sum, { doubles }) => sum + doubles[0], 0);

/** Waits until the usage object has counted the one request of a key. The points of its report are written before. */
const isCounted = (gate, key) =>
  until(
    "the use is counted",
    async () => {
      const { json } = await gate.call(`/_keyward/v1/keys/${key.id}/usage`, { key: gate.owner });
      return json.items?.[0]?.allowed === 1;
    },
    { within: 60_000, every: 500 },
  );

test("each request with a genuine key is in one point, with what the guide lists and nothing else", async () => {
  const key = await gate.newKey({ integration: "crm-sync", scopes: ["contacts:read"] });
  const call = (path) => gate.call(path, { key: key.apiKey, headers: CLIENT });
  for (let number = 0; number < 5; number += 1) assert.equal((await call("/v1/contacts")).status, 200);
  assert.equal((await call("/v1/events")).verdict, "403 insufficient_scope");
  const points = [];
  await until(
    "6 requests are in points",
    async () => {
      points.push(...(await gate.take()).points);
      return requests(points) >= 6;
    },
    { within: 60_000, every: 500 },
  );
  assert.equal(requests(points), 6);
  for (const { indexes, blobs, doubles } of points) {
    assert.deepEqual(indexes, ["crm-sync"]);
    assert.deepEqual([blobs.length, blobs[3], blobs[6], doubles.length], [7, "live", key.id, 1]);
  }
  const told = new Set(points.map(({ blobs }) => blobs.slice(0, 3).join("|")));
  assert.deepEqual([...told].sort(), ["allowed||GET /v1/contacts", "refused|insufficient_scope|GET /v1/events"]);
  const text = JSON.stringify(points);
  assert.ok(!text.includes(key.apiKey) && !text.includes("192.0.2") && !text.includes("curl"), text);
});

test("the dataset of the runtime takes the points", async () => {
  const bindings = { ANALYTICS: { type: "analytics-engine-dataset", name: "keyward" } };
  const other = await startGate({ bindings, vars: { ORIGIN_LIVE: origin.url } });
  try {
    await other.bootstrap();
    const key = await other.newKey({ scopes: ["contacts:read"] });
    assert.equal((await other.call("/v1/contacts", { key: key.apiKey })).status, 200);
    await isCounted(other, key);
    assert.deepEqual(
      other.logs.filter((line) => line.includes("analytics")),
      [],
    );
  } finally {
    await other.stop();
  }
});

test("a dataset that fails costs a line of the log, and no request and no count", async () => {
  await gate.order({ analytics: "fail" });
  const key = await gate.newKey({ scopes: ["contacts:read"] });
  assert.equal((await gate.call("/v1/contacts", { key: key.apiKey })).status, 200);
  await gate.logged((line) => line.includes('"analytics_failed"'), { within: 60_000 });
  await isCounted(gate, key);
});
