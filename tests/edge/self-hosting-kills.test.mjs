// kill -9 of a self-hosted deployment in the middle of changes and requests: every change that was acknowledged is there afterwards, holds
// at the gate, and has its one entry in an unbroken audit log. KEYWARD_KILLS sets the number of kills.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { firstBreak } from "./harness/audit-chain.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startSelfHosted } from "./harness/self-hosted.mjs";
import { until } from "./harness/wait.mjs";

const KILLS = Number(process.env.KEYWARD_KILLS ?? 4);
const WRITERS = 4;
const USERS = 4;
const CONTACTS = "/v1/contacts";
const AUDIT = "SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit ORDER BY seq";

let origin;
let deployment;
/** Number of requests at the gate that were answered. */
let requests = 0;

before(async () => {
  origin = await startOrigin();
  deployment = await startSelfHosted({ vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1 } });
  await deployment.bootstrap();
});
after(async () => {
  await deployment?.stop();
  await origin?.close();
});

/** State of each key that was acknowledged, by id. A change without an answer may have been made or not. */
const known = new Map();

/** Whether the process was killed in this round. */
let isKilled = false;

/** Returns the answer to a request; `undefined` if there is none: the process was killed, or a busy disk holds it up for too long. */
async function answered(ask) {
  const answer = await ask().catch(() => undefined);
  return answer?.status === 503 ? undefined : answer;
}

/** Returns the answer of a change; `undefined` if there is none. Waits if the rate of the credential is used up. */
async function change(ask) {
  for (;;) {
    const answer = await answered(ask);
    if (answer?.status !== 429) return answer;
    await pause(1_000 * Number(answer.headers["retry-after"]));
  }
}

/** Issues, narrows and revokes keys, until the process has ended. */
async function write() {
  const one = (id, path, method, json) =>
    change(() => deployment.call(`/_keyward/v1/keys/${id}${path}`, { method, key: deployment.owner, json }));
  for (let turn = 0; !isKilled; turn += 1) {
    const issued = await change(() => deployment.issue());
    if (issued === undefined) continue;
    assert.equal(issued.status, 201, issued.text);
    const state = { apiKey: issued.json.api_key, purpose: undefined, status: "active", tried: [] };
    known.set(issued.json.key.id, state);
    if (turn % 2 === 0) {
      state.tried.push("purpose");
      const changed = await one(issued.json.key.id, "", "PATCH", { purpose: `turn ${turn}` });
      if (changed === undefined) continue;
      assert.equal(changed.status, 200, changed.text);
      state.purpose = `turn ${turn}`;
    }
    if (turn % 3 === 0) {
      state.tried.push("revoke");
      const revoked = await one(issued.json.key.id, "/revoke", "POST", { reason: "kill test" });
      if (revoked === undefined) continue;
      assert.equal(revoked.status, 200, revoked.text);
      state.status = "revoked";
    }
  }
}

/** Uses a key at the gate, until the process has ended. */
async function use(apiKey) {
  while (!isKilled) {
    const answer = await answered(() => deployment.call(CONTACTS, { key: apiKey }));
    if (answer === undefined) continue;
    assert.equal(answer.verdict, "200");
    requests += 1;
  }
}

async function listed() {
  const items = new Map();
  for (let cursor = ""; cursor !== null; ) {
    const path = `/_keyward/v1/keys?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`;
    const page = await change(() => deployment.call(path, { key: deployment.owner }));
    assert.equal(page?.status, 200, page?.text);
    for (const item of page.json.items) items.set(item.id, item);
    cursor = page.json.next_cursor;
  }
  return items;
}

test("a kill -9 in the middle of changes loses none that was acknowledged", async () => {
  const used = await deployment.newKey();
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const writers = Promise.all(Array.from({ length: WRITERS }, write));
    const users = Promise.all(Array.from({ length: USERS }, () => use(used.apiKey)));
    // In the middle of everything, at another moment each time.
    const begun = { keys: known.size, requests };
    const isLoaded = until("there is load", () => known.size >= begun.keys + 5 && requests >= begun.requests + 5, {
      within: 120_000,
    });
    await Promise.race([isLoaded, writers, users]);
    await pause((kill * 173) % 400);
    isKilled = true;
    await deployment.end("SIGKILL");
    await writers;
    await users;
    await deployment.start();
    isKilled = false;

    const items = await listed();
    for (const [id, { purpose, status, tried }] of known) {
      const item = items.get(id);
      assert.ok(item, `kill ${kill}: the key ${id} is lost`);
      if (status === "revoked" || !tried.includes("revoke")) assert.equal(item.status, status, `kill ${kill}: ${id}`);
      if (purpose !== undefined) assert.equal(item.purpose, purpose, `kill ${kill}: ${id}`);
    }
    const audit = deployment.sql(AUDIT);
    assert.equal(firstBreak(audit), null, `kill ${kill}: the audit log is broken`);
    for (const [action, isDone] of Object.entries({
      "key.issue": () => true,
      "key.update": ({ purpose }) => purpose !== undefined,
      "key.revoke": ({ status }) => status === "revoked",
    })) {
      const entries = audit.filter((entry) => entry.action === action).map(({ subject }) => subject);
      assert.equal(new Set(entries).size, entries.length, "one entry for each change");
      for (const [id, state] of known)
        if (isDone(state)) assert.ok(entries.includes(id), `kill ${kill}: ${action} ${id}`);
    }
  }
  // What the table says holds at the gate, from its copies in KV and from the authority.
  const sample = [...known.values()].filter(({ status, tried }) => status === "revoked" || !tried.includes("revoke"));
  for (const { apiKey, status } of sample.slice(-60)) {
    const expected = status === "active" ? "200" : "401 revoked_key";
    await until(
      `the gate answers ${expected}`,
      async () => (await deployment.call(CONTACTS, { key: apiKey })).verdict === expected,
    );
  }
  const changes = [...known.values()].reduce(
    (sum, { purpose, status }) => sum + 1 + Number(purpose !== undefined) + Number(status === "revoked"),
    0,
  );
  console.log(
    `${KILLS} kills: ${changes} acknowledged changes of ${known.size} keys, none lost; ${requests} requests meanwhile`,
  );
  assert.ok(changes > 20 && requests > 20);
});
