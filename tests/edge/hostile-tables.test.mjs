// docs/internals/hostile.md, row by row, as bytes on a socket of plain workerd: the answer, who sends it, and the request at the origin.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { HOSTILE_ROUTES, hostileKeys, judge, outcome, perform } from "./harness/hostile.mjs";
import { startPlainGate } from "./harness/plain-gate.mjs";
import { control } from "./hostile/control.mjs";
import { credentials } from "./hostile/credentials.mjs";
import { headers } from "./hostile/headers.mjs";
import { hosts } from "./hostile/hosts.mjs";
import { methods } from "./hostile/methods.mjs";
import { oauth } from "./hostile/oauth.mjs";
import { paths } from "./hostile/paths.mjs";

/** @type {Record<string, (keys: any) => any[]>} */
const TABLES = { paths, hosts, credentials, headers, methods, control, oauth };
const vars = (origin) => ({ ORIGIN_LIVE: origin.url, ROUTES: HOSTILE_ROUTES });
/** @type {any} */
const plain = {};

before(async () => {
  plain.origin = await startOrigin();
  plain.gate = await startPlainGate({ vars: vars(plain.origin) });
  plain.keys = await hostileKeys(plain.gate);
});

after(async () => {
  await plain.gate?.stop();
  await plain.origin?.close();
});

for (const [name, table] of Object.entries(TABLES)) {
  test(name, async (t) => {
    for (const row of table(plain.keys)) await t.test(row.what, async () => judge(row, await perform(row, plain)));
  });
}

test("there are more than 200 cases", () => {
  const counts = Object.entries(TABLES).map(([name, table]) => ({ name, count: table(plain.keys).length }));
  console.log(`hostile cases: ${counts.map(({ name, count }) => `${name} ${count}`).join(", ")}`);
  assert.ok(counts.reduce((sum, { count }) => sum + count, 0) >= 200);
});

test("no hostile request changed anything: the keys are as they were before", async () => {
  const { items } = (await plain.gate.call("/_keyward/v1/keys", { key: plain.keys.member })).json;
  assert.deepEqual(
    items.map(({ name, status }) => `${name} ${status}`),
    ["test active", "revoked revoked", "other active", "hostile active"],
  );
});

test("after all these requests the gate serves, and nothing panicked", async () => {
  assert.equal((await plain.gate.call("/v1/x", { key: plain.keys.key })).status, 200);
  assert.deepEqual(
    plain.gate.logs.filter((line) => /panic|RuntimeError|Critical|Reinitializ|head_failed|internal_error/.test(line)),
    [],
  );
});

describe("the runtime of the other tests", () => {
  test("answers every row as plain workerd does, and forwards the same requests", async () => {
    const { origin } = plain;
    const gate = await startGate({ vars: vars(origin) });
    try {
      const keys = await hostileKeys(gate);
      for (const [name, table] of Object.entries(TABLES)) {
        const there = table(keys);
        for (const [index, row] of table(plain.keys).entries()) {
          const [one, other] = [await perform(row, plain), await perform(there[index], { gate, origin, keys })];
          assert.deepEqual(outcome(other), outcome(one), `${name}: ${row.what}`);
        }
      }
    } finally {
      await gate.stop();
    }
  });
});
