// A credential without our tag costs no read, whoever sends it and however often: the rows of the table, and thousands of distinct
// ones. crates/gate/tests/garbage.rs sends a million natively.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { HOSTILE_ROUTES, hostileKeys, judge, perform } from "./harness/hostile.mjs";
import { withCheck } from "./harness/keys.mjs";
import { credentials } from "./hostile/credentials.mjs";

const NOTHING = { kvGet: 0, registry: 0 };
/** Rows that expose a key with a right tag for the first time: the isolate reports a key and kind of exposure once a minute. */
const REPORTED = new Set([
  "a key in the query",
  "a member's credential in the URL",
  "a revoked key in the URL",
  "a valid key from a page",
]);
const DISTINCT = 6_000;

let origin;
let gate;
let keys;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ instrumented: true, vars: { ORIGIN_LIVE: origin.url, ROUTES: HOSTILE_ROUTES } });
  keys = await hostileKeys(gate);
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

async function reads() {
  const { kvGet, registry } = await gate.take();
  return { kvGet, registry };
}

// The isolate has not queried the authority yet, so a row that needs it would show.
test("no row of the credentials table costs a read, except those with a key that the gate issued", async (t) => {
  const rows = credentials(keys).filter(({ known }) => !known);
  assert.ok(rows.length > 80, `only ${rows.length} rows`);
  for (const row of rows) {
    await t.test(row.what, async () => {
      await gate.take();
      judge(row, await perform(row, { gate, origin, keys }));
      const calls = await reads();
      const isReported = REPORTED.has(row.what);
      // The report is sent after the answer.
      while (isReported && calls.registry === 0) calls.registry = (await reads()).registry;
      assert.deepEqual(calls, isReported ? { ...NOTHING, registry: 1 } : NOTHING);
    });
  }
});

test(`${DISTINCT} distinct malformed keys cost no read and no memory`, async (t) => {
  const kinds = [
    (number) => `garbage-${number}`,
    (number) => `wafl_live_${String(number).padStart(12, "0")}_${"x".repeat(46)}`,
    // Correct except for the tag.
    (number) => withCheck(`wafl_live_${String(number).padStart(12, "0")}_${"x".repeat(40)}`),
  ];
  const send = async (from, to) => {
    for (let at = from; at < to; at += 50) {
      const batch = Array.from({ length: 50 }, (_, index) => kinds[(at + index) % kinds.length](at + index));
      const answers = await Promise.all(batch.map((key) => gate.call("/v1/x", { key })));
      for (const { verdict } of answers) assert.equal(verdict, "401 invalid_key");
    }
  };
  await send(0, 1_000);
  const { wasmBytes: before } = await gate.take();
  await send(1_000, DISTINCT);
  const { kvGet, registry, wasmBytes } = await gate.take();
  assert.deepEqual({ kvGet, registry }, NOTHING);
  t.diagnostic(`${wasmBytes} bytes of wasm memory`);
  // At most one page of wasm memory: the requests in flight at the same time vary.
  assert.ok(wasmBytes <= before + 65_536, `${before} bytes before`);
});

test("afterwards a valid key is accepted, and its first use is the first read", async () => {
  assert.equal((await gate.call("/v1/x", { key: keys.key })).verdict, "200");
  assert.ok((await gate.take()).registry > 0);
});
