// Counts of requests while workerd is killed in the middle of the load: what was reported stays and counts once, and only what the dead
// isolate had not reported is lost.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startPlainGate } from "./harness/plain-gate.mjs";
import { until } from "./harness/wait.mjs";

const KILLS = 3;
const CLIENTS = 8;
const ROUND = 400;

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startPlainGate({ vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/** Returns the number of requests of a key that usage has counted, and that the metrics have. */
async function counted(id) {
  const usage = await gate.call(`/_keyward/v1/keys/${id}/usage?step=hour`, { key: gate.owner });
  assert.equal(usage.status, 200, usage.text);
  const metrics = await gate.call("/_keyward/metrics", { key: gate.owner });
  const lines = metrics.text.split("\n").filter((line) => line.startsWith("keyward_requests_total{"));
  return {
    usage: usage.json.items.reduce((sum, { allowed }) => sum + allowed, 0),
    metrics: lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0),
  };
}

/** Sends requests by some clients at the same time, until `isOver`. Returns how many were sent, and how many were answered. */
async function load(apiKey, isOver) {
  const total = { sent: 0, answered: 0 };
  const client = async () => {
    while (!isOver(total)) {
      total.sent += 1;
      const answer = await gate.call("/v1/contacts", { key: apiKey }).catch(() => undefined);
      if (answer === undefined) return;
      assert.equal(answer.status, 200, answer.text);
      total.answered += 1;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return total;
}

test("counts are exact across kills of workerd, except for what the dead isolate had not reported", async () => {
  const key = await gate.newKey({ integration: "crm-sync" });
  let base = 0;
  for (let kill = 1; kill <= KILLS; kill += 1) {
    // A round that is reported completely.
    const { answered } = await load(key.apiKey, ({ sent }) => sent >= ROUND);
    const expected = base + answered;
    await until("the round is counted", async () => (await counted(key.id)).usage === expected, {
      within: 60_000,
      every: 500,
    });
    assert.deepEqual(await counted(key.id), { usage: expected, metrics: expected }, `round ${kill}`);
    // A round in whose middle workerd ends. Clients see broken connections and stop.
    let isKilled = false;
    const rest = load(key.apiKey, () => isKilled);
    await pause(300 * kill);
    isKilled = true;
    await gate.kill();
    const cut = await rest;
    assert.ok(cut.answered > 0, "requests were answered before the kill");
    await gate.start();
    const left = await counted(key.id);
    assert.ok(left.usage >= expected, `kill ${kill}: ${left.usage} of the ${expected} that were reported`);
    assert.ok(left.usage <= expected + cut.sent, `kill ${kill}: more than were sent`);
    assert.equal(left.metrics, left.usage, "metrics and usage are one transaction");
    base = left.usage;
  }
});
