// All kinds of traffic at once, from 64 connections: valid, invalid and hostile requests, keys issued and revoked, KV and the registry
// failing and recovering. KEYWARD_LOAD_SECONDS is the duration (8 by default; 30 in `npm run load`).

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { firstBreak } from "./harness/audit-chain.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { HOSTILE_ROUTES, perform } from "./harness/hostile.mjs";
import { mintKey, withCheck } from "./harness/keys.mjs";
import { workerdMemory } from "./harness/memory.mjs";
import { headers } from "./hostile/headers.mjs";
import { hosts } from "./hostile/hosts.mjs";
import { methods } from "./hostile/methods.mjs";
import { paths } from "./hostile/paths.mjs";

const SECONDS = Number(process.env.KEYWARD_LOAD_SECONDS ?? 8);
const CONNECTIONS = 64;
const BOUND = 1;
const GRACE = 6;
/** The caches may take 14 MB, in a memory that grows by doubling. */
const WASM_MB = 32;
/** V8 collects garbage late: workerd grows to about 250 MB in 25,000 requests of any kind, to 550 MB in 60,000, and no further up to 85,000. */
const WORKERD_MB = 750;

let origin;
let gate;
let keys;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({
    instrumented: true,
    vars: {
      ORIGIN_LIVE: origin.url,
      ROUTES: HOSTILE_ROUTES,
      REVOCATION_BOUND_SECONDS: BOUND,
      OUTAGE_GRACE_SECONDS: GRACE,
    },
  });
  await gate.bootstrap();
  keys = [];
  for (let made = 0; made < 20; made += 1) keys.push(await gate.newKey());
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

const counts = new Map();
const wrong = [];

/** Counts an answer, and reports one that is not expected. */
function note(kind, verdict, expected) {
  const name = `${kind}: ${verdict}`;
  counts.set(name, (counts.get(name) ?? 0) + 1);
  if (!expected.includes(verdict)) wrong.push(name);
}

const any = (list) => list[Math.floor(Math.random() * list.length)];
const letters = (length) =>
  randomBytes(length * 2)
    .toString("base64")
    .replace(/[^0-9A-Za-z]/g, "")
    .slice(0, length)
    .padEnd(length, "0");
const get = (key, path = "/v1/x") => gate.call(path, { key });

const KINDS = {
  good: async () => note("good", (await get(any(keys).apiKey)).verdict, ["200"]),
  "good, writing": async () =>
    note(
      "good, writing",
      (await gate.call("/v1/write", { method: "POST", key: any(keys).apiKey, body: letters(2_000) })).verdict,
      ["200"],
    ),
  public: async () => note("public", (await gate.call("/public/x")).verdict, ["200"]),
  "no scope": async () =>
    note("no scope", (await get(any(keys).apiKey, "/v1/admin/x")).verdict, ["403 insufficient_scope"]),
  "no key": async () => note("no key", (await gate.call("/v1/x")).verdict, ["401 missing_key"]),
  garbage: async () =>
    note("garbage", (await get(withCheck(`wafl_live_${letters(12)}_${letters(40)}`))).verdict, ["401 invalid_key"]),
  // Only these need the authority, so only these may be answered 503.
  "never issued": async () =>
    note("never issued", (await get(mintKey({ identifier: letters(12), secret: letters(32) }))).verdict, [
      "401 invalid_key",
      "503 authority_unavailable",
    ]),
};
const WEIGHTS = [
  "good",
  "good",
  "good",
  "good",
  "good",
  "good, writing",
  "public",
  "no scope",
  "no key",
  "garbage",
  "garbage",
  "never issued",
  "hostile",
  "hostile",
  "hostile",
];

/** Rows that never reach the origin, because the connections share one origin. */
function hostileRows() {
  const there = { key: keys[0].apiKey, id: keys[0].id };
  return [paths, hosts, headers, methods].flatMap((table) => table(there)).filter((row) => row.arrives === undefined);
}

test(`${SECONDS} seconds of valid, invalid and hostile traffic with faults: no valid request is refused, every answer is a documented one`, async (t) => {
  const rows = hostileRows();
  KINDS.hostile = async () => {
    const row = any(rows);
    const { answer } = await perform(row, { gate, origin: { take: () => [] }, keys: { key: keys[0].apiKey } });
    note("hostile", answer.verdict === row.verdict ? "as in its row" : `${row.what}: ${answer.verdict}`, [
      "as in its row",
    ]);
  };
  for (const { apiKey } of keys) assert.equal((await get(apiKey)).status, 200);

  const began = Date.now();
  const end = began + SECONDS * 1_000;
  const going = () => Date.now() < end;
  const memory = [];
  const loops = Array.from({ length: CONNECTIONS }, async () => {
    while (going()) await KINDS[any(WEIGHTS)]();
  });
  const changes = { done: [], unknown: [] };
  await Promise.all([...loops, misbehave(going), change(going, changes), watch(going, memory)]);
  await gate.order({ kvGet: "work", kvPut: "work", registry: "work" });
  await pause(1_200);

  // Valid keys are still accepted; revoked keys stay revoked.
  for (const { apiKey } of keys) assert.equal((await get(apiKey)).status, 200);
  for (const { apiKey, revoked } of changes.done)
    assert.equal((await get(apiKey)).verdict, revoked ? "401 revoked_key" : "200");

  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  t.diagnostic(`${total} requests in ${SECONDS} s, ${origin.take().length} reached the origin`);
  for (const [name, count] of [...counts].sort()) t.diagnostic(`${name}: ${count}`);
  t.diagnostic(
    `changes: ${changes.done.length} keys issued, ${changes.done.filter(({ revoked }) => revoked).length} revoked, ${changes.unknown.length} with unknown outcome`,
  );
  t.diagnostic(`memory of the wasm, MB, each second: ${memory.map(({ wasm }) => wasm).join(" ")}`);
  t.diagnostic(`memory of workerd, MB, each second: ${memory.map(({ workerd }) => workerd).join(" ")}`);
  assert.deepEqual(wrong, []);

  // The audit log has each confirmed change once and no other entry, and its chain is complete.
  const audit = gate.sql("SELECT * FROM audit ORDER BY seq");
  assert.equal(firstBreak(audit), null);
  const entries = audit.map(({ action, subject }) => `${action} ${subject}`);
  for (const { id, revoked } of changes.done) {
    assert.equal(entries.filter((entry) => entry === `key.issue ${id}`).length, 1);
    assert.equal(entries.filter((entry) => entry === `key.revoke ${id}`).length, revoked ? 1 : 0);
  }
  const confirmed = 1 + keys.length + changes.done.length + changes.done.filter(({ revoked }) => revoked).length;
  assert.ok(
    audit.length >= confirmed && audit.length <= confirmed + changes.unknown.length,
    `${audit.length} rows for ${confirmed} changes`,
  );
  t.diagnostic(`audit: ${audit.length} rows, ${confirmed} confirmed changes, the chain is whole`);

  assert.deepEqual(
    gate.logs.filter((line) => /panic|RuntimeError|Critical|Reinitializ|internal_error/.test(line)),
    [],
  );
  assert.ok(memory.length > 2);
  for (const { wasm, workerd } of memory)
    assert.ok(wasm <= WASM_MB && workerd <= WORKERD_MB, `${wasm} MB, ${workerd} MB`);
});

/** Switches the faults of the stores continuously. The registry is never unreachable for longer than the grace. */
async function misbehave(going) {
  while (going()) {
    await gate.order({
      kvGet: any(["work", "fail", "slow", "garbage"]),
      kvPut: any(["work", "fail", "slow"]),
      registry: any(["fail", "slow", 500, "garbage", "fail once"]),
    });
    await pause(700);
    await gate.order({ kvGet: "work", kvPut: "work", registry: "work" });
    await pause(700);
  }
}

/** Issues a key, uses it, revokes it, and checks that it is refused once the bound and the grace have passed. */
async function change(going, changes) {
  const later = [];
  while (going()) {
    const issued = await gate.issue();
    if (issued.status !== 201) {
      changes.unknown.push(issued.verdict);
      note("issue", issued.verdict, ["503 authority_unavailable"]);
      continue;
    }
    const made = { id: issued.json.key.id, apiKey: issued.json.api_key, revoked: false };
    note("issue", "201", ["201"]);
    note("just issued", (await get(made.apiKey)).verdict, ["200", "503 authority_unavailable"]);
    // Repeated until it is confirmed: revocation is idempotent.
    for (let tries = 0; !made.revoked && tries < 40; tries += 1) {
      const answer = await gate.revoke(made.id);
      note("revoke", answer.verdict, ["200", "503 authority_unavailable"]);
      made.revoked = answer.status === 200;
      if (!made.revoked) await pause(100);
    }
    changes.done.push(made);
    const off = Date.now() + (BOUND + GRACE) * 1_000;
    later.push(
      pause(off - Date.now() + 50).then(async () =>
        note("revoked, past the guarantee", (await get(made.apiKey)).verdict, [
          "401 revoked_key",
          "503 authority_unavailable",
        ]),
      ),
    );
  }
  await Promise.all(later);
}

async function watch(going, memory) {
  while (going()) {
    await pause(1_000);
    // The counts of the instrumented worker must not count as the product's memory.
    const { wasmBytes } = await gate.take();
    memory.push({ wasm: Math.round((wasmBytes / 2 ** 20) * 10) / 10, workerd: workerdMemory() ?? 0 });
  }
}
