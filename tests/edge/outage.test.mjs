// Guarantees while the authority is unreachable: bound, grace, then 503; never 401, and never 200 after the grace.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { startTraffic } from "./harness/traffic.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const UNAVAILABLE = "503 authority_unavailable";
const BOUND = 1_000;
const GRACE = 1_000;
/** Time for the gate to notice the end of an outage, and for a test to see it. */
const SLACK = 600;
let origin;

before(async () => (origin = await startOrigin()));
after(() => origin?.close());

async function newGate() {
  const gate = await startGate({
    instrumented: true,
    vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: BOUND / 1_000, OUTAGE_GRACE_SECONDS: GRACE / 1_000 },
  });
  await gate.bootstrap();
  return gate;
}

describe("an outage", { concurrency: true }, () => {
  describe("of an authority that fails", { concurrency: 1 }, failing);

  test("of an authority that hangs: the query times out, and the client gets a 503", async (t) => {
    const gate = await newGate();
    t.after(() => gate.stop());
    const { apiKey } = await gate.newKey();
    await gate.order({ registry: "hang" });
    const began = Date.now();
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).verdict, UNAVAILABLE);
    t.diagnostic(`answered after ${Date.now() - began} ms`);
    assert.ok(Date.now() - began < 8_000);
  });
});

function failing() {
  let gate;
  before(async () => (gate = await newGate()));
  after(() => gate?.stop());

  // Each test starts with an authority that answers and a gate with fresh data.
  afterEach(async () => {
    await gate.order({ registry: "work" });
    const { apiKey } = await gate.newKey();
    await until(
      "the authority is queried again",
      async () => (await gate.call(CONTACTS, { key: apiKey })).status === 200,
    );
  });

  for (const failure of ["fail", "500", "garbage", "overloaded"]) {
    test(`a cached key is accepted for bound and grace, then 503, then accepted again after recovery (authority: ${failure})`, async (t) => {
      const { apiKey } = await gate.newKey();
      const traffic = startTraffic(gate, apiKey, { connections: 2 });
      await traffic.reaches("200");
      await gate.order({ registry: failure });
      const began = Date.now();
      await traffic.reaches(UNAVAILABLE);
      await gate.order({ registry: "work" });
      const repaired = Date.now();
      await until("the key works again", () => traffic.last("200").sent > repaired);
      const recovered = Date.now();
      await traffic.stop();

      assert.deepEqual(traffic.verdicts(), ["200", UNAVAILABLE]);
      const refusedAfter = traffic.first(UNAVAILABLE).got - began;
      t.diagnostic(
        `503 from ${refusedAfter} ms on (bound + grace ${BOUND + GRACE}); recovered ${recovered - repaired} ms after the end`,
      );
      // The last refresh was up to one bound before the outage began.
      assert.ok(refusedAfter >= GRACE - 50, "refused before the grace was over");
      assert.ok(refusedAfter <= BOUND + GRACE + SLACK, "served past bound and grace");
      assert.ok(recovered - repaired <= 1_000 + SLACK, `recovered only after ${recovered - repaired} ms`);
    });
  }

  test('a route with on_outage = "closed" has the bound and no grace', async () => {
    const { apiKey } = await gate.newKey();
    const open = startTraffic(gate, apiKey, { connections: 1 });
    const closed = startTraffic(gate, apiKey, { connections: 1, path: "/v1/closed" });
    await open.reaches("200");
    await closed.reaches("200");
    await gate.order({ registry: "fail" });
    const began = Date.now();
    await closed.reaches(UNAVAILABLE, 3);
    await Promise.all([open.stop(), closed.stop()]);
    assert.ok(closed.first(UNAVAILABLE).got - began <= BOUND + SLACK, "closed too late");
    assert.deepEqual(open.verdicts(), ["200"]);
  });

  test("a revocation takes effect by guaranteed_by whatever fails, and afterwards the key is refused as revoked", async () => {
    const { id, apiKey } = await gate.newKey();
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    const answer = await gate.revoke(id);
    await gate.order({ registry: "fail" });
    const traffic = startTraffic(gate, apiKey, { connections: 2 });
    await traffic.reaches(UNAVAILABLE);
    await gate.order({ registry: "work" });
    await traffic.reaches("401 revoked_key");
    await traffic.stop();
    assert.deepEqual(traffic.verdicts(), ["200", "401 revoked_key", UNAVAILABLE]);
    assert.ok(traffic.last("200").sent < Date.parse(answer.json.guaranteed_by), "accepted after guaranteed_by");
  });

  test("an uncached key is 503 with Retry-After; the query is retried once, and then not for a second", async () => {
    const [one, other] = [await gate.newKey(), await gate.newKey()];
    await gate.order({ registry: "fail" });
    await gate.take();
    const answer = await gate.call(CONTACTS, { key: one.apiKey });
    assert.equal(answer.verdict, UNAVAILABLE);
    assert.match(answer.headers["retry-after"], /^[1-9]\d*$/);
    assert.equal((await gate.take()).registry, 2);
    assert.equal((await gate.call(CONTACTS, { key: other.apiKey })).verdict, UNAVAILABLE);
    assert.equal((await gate.take()).registry, 0);
    const line = await gate.logged(
      (line) => line.includes("authority_query_failed") && line.includes(answer.headers["keyward-request-id"]),
    );
    assert.match(line, /^warn: \{"/);
  });

  for (const [failure, reads] of [
    ["overloaded", 1],
    ["restarting", 2],
  ]) {
    test(`an object that is ${failure}: a read is sent ${reads} times, a change once, and each is 503`, async () => {
      const { apiKey } = await gate.newKey();
      await gate.order({ registry: failure });
      await gate.take();
      const answer = await gate.call(CONTACTS, { key: apiKey });
      assert.equal(answer.verdict, UNAVAILABLE);
      assert.match(answer.headers["retry-after"], /^[1-9]\d*$/);
      assert.equal((await gate.take()).registry, reads);
      // The control plane retries a read as well: the backoff of the gate does not apply to it.
      assert.equal((await gate.call("/_keyward/v1/me", { key: gate.owner })).verdict, UNAVAILABLE);
      assert.equal((await gate.take()).registry, reads);
      const name = `Not made while ${failure}`;
      assert.equal((await gate.issue({ name })).verdict, UNAVAILABLE);
      assert.equal((await gate.take()).registry, 1);
      assert.equal(gate.sql("SELECT count(*) AS count FROM keys WHERE name = ?", name)[0].count, 0);
      await gate.logged(
        (line) =>
          line.includes("authority_query_failed") &&
          line.includes(failure === "overloaded" ? "is overloaded" : "code was updated"),
      );
    });
  }

  test("the retry hides a single failure from clients", async () => {
    const { apiKey } = await gate.newKey();
    await gate.order({ registry: "fail once" });
    await gate.take();
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    assert.equal((await gate.take()).registry, 2);
  });

  test("malformed keys and public requests are answered as usual", async () => {
    await gate.order({ registry: "fail", kvGet: "fail" });
    assert.equal((await gate.call(CONTACTS, { key: "garbage" })).verdict, "401 invalid_key");
    assert.equal((await gate.call("/public/logo")).verdict, "200");
    assert.equal((await gate.call("/_keyward/health")).verdict, "200");
    await gate.order({ kvGet: "work" });
  });

  test("the control plane answers 503 after one attempt: a change is never repeated", async () => {
    await gate.order({ registry: "fail after" });
    await gate.take();
    const answer = await gate.issue({ name: "Made or not" });
    assert.equal(answer.verdict, UNAVAILABLE);
    assert.ok(!answer.text.includes("wafl_live_"));
    assert.equal((await gate.take()).registry, 1);
    assert.equal(gate.sql("SELECT count(*) AS count FROM keys WHERE name = 'Made or not'")[0].count, 1);
    assert.equal((await gate.call("/_keyward/v1/me", { key: gate.owner })).verdict, UNAVAILABLE);
    assert.equal((await gate.call("/_keyward/v1/me", { key: "garbage" })).verdict, "401 invalid_key");
  });
}
