// Time from a revocation's answer to the last accepted request, in eight isolates with one registry, under traffic.
// KEYWARD_REVOCATIONS is the number of revoked keys (10 by default; `npm run revocations` revokes 50 and prints the distribution).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { until } from "./harness/wait.mjs";

const KEYS = Number(process.env.KEYWARD_REVOCATIONS ?? 10);
const EDGES = 7;
const AT_ONCE = 5;
const BOUND = 5_000;
/** Milliseconds between two requests with one key at one isolate. */
const EVERY = 40;
const CONTACTS = "/v1/contacts";

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url }, edges: EDGES });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

test(`${KEYS} revocations under traffic in ${EDGES + 1} isolates: each takes effect within the bound everywhere`, async (t) => {
  const spread = [];
  for (let made = 0; made < KEYS; made += AT_ONCE) {
    spread.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, KEYS - made) }, revokeUnderTraffic))));
  }
  spread.sort((one, other) => one - other);
  const at = (part) => spread[Math.min(spread.length - 1, Math.floor(part * spread.length))];
  t.diagnostic(
    `last 200 after the revocation's answer, ms, over ${spread.length} revocations and ${EDGES + 1} isolates: least ${at(0)}, quarter ${at(0.25)}, median ${at(0.5)}, three quarters ${at(0.75)}, 95 % ${at(0.95)}, most ${at(1)}; bound ${BOUND}`,
  );
  t.diagnostic(`all: ${spread.join(" ")}`);
});

/** Returns the milliseconds from the answer until the last accepted request was sent, in any isolate. */
async function revokeUnderTraffic() {
  const { id, apiKey } = await gate.newKey();
  const urls = [gate.url, ...gate.edges];
  const last = { accepted: 0 };
  const refused = new Set();
  let going = true;
  const users = urls.map(async (url) => {
    while (going) {
      const sent = Date.now();
      const { verdict } = await gate.at(url, CONTACTS, { key: apiKey });
      if (verdict === "200") last.accepted = Math.max(last.accepted, sent);
      else if (verdict === "401 revoked_key") refused.add(url);
      else assert.fail(verdict);
      await pause(EVERY);
    }
  });
  await pause(300 + Math.random() * 3_000);
  const { json } = await gate.revoke(id);
  const revoked = Date.now();
  await until("every isolate refuses it", () => refused.size === urls.length, { within: 15_000 });
  going = false;
  await Promise.all(users);
  assert.ok(
    last.accepted < Date.parse(json.effective_by),
    `accepted ${last.accepted - Date.parse(json.effective_by)} ms after effective_by`,
  );
  return last.accepted - revoked;
}
