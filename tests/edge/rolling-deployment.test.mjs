// A rolling deployment: two versions of the worker run at the same time over one registry, one KV namespace and one cache. The next
// version is this one with an added field in every stored and transmitted form (Cargo feature `next-version`).

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { BUILD_DIR, NEXT_BUILD_DIR } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const VERSIONS = { "this version": BUILD_DIR, "the next version": NEXT_BUILD_DIR };
let origin;

before(async () => (origin = await startOrigin()));
after(() => origin?.close());

for (const [[ours, build], [theirs, edgeBuild]] of [Object.entries(VERSIONS), Object.entries(VERSIONS).reverse()]) {
  describe(`with the registry of ${ours} and isolates of both`, () => {
    let gate;
    let keys;

    before(async () => {
      gate = await startGate({
        build,
        edgeBuild,
        edges: 1,
        vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1 },
      });
      await gate.bootstrap();
      keys = [];
      for (let number = 0; number < 20; number += 1) keys.push(await gate.newKey());
    });
    after(() => gate?.stop());

    const everywhere = (key) =>
      Promise.all([gate.call(CONTACTS, { key }), gate.at(gate.edges[0], CONTACTS, { key })]).then((answers) =>
        answers.map(({ verdict }) => verdict),
      );

    test("each key is accepted in both, before and after its copy is in KV", async () => {
      for (const { apiKey } of keys) assert.deepEqual(await everywhere(apiKey), ["200", "200"]);
      await until("KV is filled", () => gate.sql("SELECT count(*) AS count FROM outbox")[0].count === 0);
      const added = gate.sql("SELECT id FROM keys LIMIT 1")[0].id;
      const copy = await (await gate.kv()).get(`key:${added}`);
      assert.equal(
        copy.includes('"trial"'),
        build === NEXT_BUILD_DIR,
        "the added field is in the copies of one version",
      );
      await gate.restart();
      for (const { apiKey } of keys) assert.deepEqual(await everywhere(apiKey), ["200", "200"]);
    });

    test(`a member works on the control plane through an isolate of ${theirs}`, async () => {
      const me = await gate.at(gate.edges[0], "/_keyward/v1/me", { key: gate.owner });
      assert.equal(me.status, 200, me.text);
      const list = await gate.at(gate.edges[0], "/_keyward/v1/keys?limit=5", { key: gate.owner });
      assert.equal(list.json.items.length, 5);
    });

    test("a revocation reaches both", async () => {
      const [{ id, apiKey }] = keys;
      assert.equal((await gate.revoke(id)).status, 200);
      await until("both refuse the key", async () =>
        (await everywhere(apiKey)).every((verdict) => verdict === "401 revoked_key"),
      );
      for (const { apiKey: other } of keys.slice(1)) assert.deepEqual(await everywhere(other), ["200", "200"]);
    });
  });
}
