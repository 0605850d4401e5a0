// Callers in bulk cannot overload the authority: a client with a revoked credential, and a valid key behind a gateway with a
// credential. A revocation meanwhile takes effect within the bound.

import assert from "node:assert/strict";
import { Agent } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { send } from "./harness/client.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { newMember } from "./harness/members.mjs";

const CONNECTIONS = 200;
const BOUND_SECONDS = 5;
const ME = "/_keyward/v1/me";
const AUTHORIZE = "/_keyward/v1/authorize/v1/contacts";

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    instrumented: true,
    vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: BOUND_SECONDS },
  });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

beforeEach(() => gate.take());

/** Sends requests over several connections until `end` resolves. Returns the number of answers by status. */
async function flood(path, headers, end) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const statuses = {};
  let going = true;
  const loop = async () => {
    while (going) {
      const { status } = await send(gate.url, path, { agent, headers });
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
  };
  const loops = Array.from({ length: CONNECTIONS }, loop);
  try {
    return { ended: await end(), statuses };
  } finally {
    going = false;
    await Promise.all(loops);
    agent.destroy();
  }
}

/** Revokes a key that is in use, and returns how long it was accepted after its revocation, in milliseconds. */
async function revokeInUse() {
  const { id, apiKey } = await gate.newKey();
  assert.equal((await gate.call("/v1/contacts", { key: apiKey })).status, 200);
  const revoked = await gate.revoke(id);
  assert.equal(revoked.status, 200, revoked.text);
  const at = performance.now();
  for (;;) {
    const sent = performance.now();
    const { status } = await gate.call("/v1/contacts", { key: apiKey });
    if (status === 401) return Math.round(sent - at);
    assert.equal(status, 200);
  }
}

const total = (statuses) => Object.values(statuses).reduce((sum, count) => sum + count, 0);

test("a revoked credential over 200 connections costs one query, and a revocation meanwhile takes effect within the bound", async (t) => {
  const dead = await newMember(gate, { role: "auditor" });
  await gate.call(`/_keyward/v1/members/${dead.id}/revoke`, { method: "POST", key: gate.owner, json: {} });
  await gate.take();
  const { ended, statuses } = await flood(ME, { authorization: `Bearer ${dead.key}` }, revokeInUse);
  const { registry, changes, lookup } = await gate.take();
  // Besides the feed: the issue, its lookup, the revocation, and the one refusal.
  t.diagnostic(
    `${total(statuses)} requests, ${JSON.stringify(statuses)}; ${registry - changes} queries, last use ${ended} ms after`,
  );
  assert.deepEqual(Object.keys(statuses).sort(), ["401", "429"]);
  assert.ok(registry - changes - lookup <= 3, `${registry} ${changes} ${lookup}`);
  assert.ok(ended <= BOUND_SECONDS * 1_000, `${ended}`);
});

test("a valid key behind a gateway with a credential costs one confirmation in each bound, and its revocation takes effect", async (t) => {
  const gateway = await newMember(gate, { role: "verifier" });
  const used = await gate.newKey();
  await gate.take();
  const started = performance.now();
  const headers = { authorization: `Bearer ${used.apiKey}`, "keyward-verifier": gateway.key };
  const { ended, statuses } = await flood(AUTHORIZE, headers, async () => {
    const within = await revokeInUse();
    await gate.revoke(used.id);
    return within;
  });
  const { registry, changes, lookup } = await gate.take();
  const bounds = Math.ceil((performance.now() - started) / (BOUND_SECONDS * 1_000));
  t.diagnostic(
    `${total(statuses)} requests, ${JSON.stringify(statuses)}; ${registry - changes} queries, last use ${ended} ms after`,
  );
  // The issue, and two revocations.
  assert.ok(registry - changes - lookup <= 3 + bounds, `${registry} ${changes} ${lookup} ${bounds}`);
  assert.ok(lookup <= 2, `${lookup}`);
  assert.ok(statuses[200] > 100, JSON.stringify(statuses));
  assert.ok(ended <= BOUND_SECONDS * 1_000, `${ended}`);
});
