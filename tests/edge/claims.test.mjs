// Claims in the real worker: a link that mints a key, once, and opens nothing before.

import assert from "node:assert/strict";
import { createHmac, hkdfSync } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { mintKey } from "./harness/keys.mjs";
import { KEYS, lastEntry } from "./harness/members.mjs";
import { SECRETS } from "./harness/settings.mjs";
import { ahead, until } from "./harness/wait.mjs";

const CLAIMS = "/_keyward/v1/claims";
const NONCE = "a-nonce-of-this-test";

let origin;
let gate;

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: 1 } });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
});

/** Issues a key by claim. Returns the answer, and the id and the secret in the link. */
async function issue(integration, fields = {}) {
  const answer = await gate.call(KEYS, {
    method: "POST",
    key: gate.owner,
    json: {
      name: integration,
      integration,
      environment: "live",
      purpose: "a test",
      owner: "ops@acme.example",
      scopes: ["contacts:read"],
      deliver: "claim",
      ...fields,
    },
  });
  assert.equal(answer.status, 201, answer.text);
  return { answer, ...partsOf(answer.json.claim.url) };
}

function partsOf(url) {
  const { origin: base, pathname, hash } = new URL(url);
  assert.deepEqual([base, pathname], [gate.url, "/_keyward/claim"]);
  const [id, secret] = hash.slice(1).split(".");
  return { id, secret };
}

const post = (path, json) => gate.call(`${CLAIMS}/${path}`, { method: "POST", json });
const claim = ({ id, secret }, nonce = NONCE) => post(id, { secret, nonce });
const lookup = ({ id, secret }) => post(`${id}/lookup`, { secret });
const use = (key) => gate.call("/v1/contacts", { key });
const show = async (id) => (await gate.call(`${KEYS}/${id}`, { key: gate.owner })).json;

/** The body of a 404, without the request id. */
const bare = ({ status, json: { request_id: _, ...rest } }) => ({ status, code: rest.code, rest });

describe("a claim", () => {
  test("mints a key that works from then on, and shows it for ten minutes to the same nonce", async () => {
    const link = await issue("minted");
    assert.equal(link.answer.json.key.status, "pending");
    assert.equal(link.answer.json.api_key, undefined);
    const seen = await lookup(link);
    assert.deepEqual([seen.status, seen.json.claim.status, seen.json.key.integration], [200, "open", "minted"]);
    const claimed = await claim(link);
    assert.equal(claimed.status, 201, claimed.text);
    assert.equal((await use(claimed.json.api_key)).status, 200);
    assert.deepEqual((await claim(link)).json, claimed.json);
    const other = await claim(link, "another-nonce-of-this-test");
    assert.deepEqual([other.status, other.json.code], [409, "already_claimed"]);
    assert.ok(gate.logs.some((line) => line.includes('"event":"claim_used_again"')));
  });

  test("leaves nothing that opens the gate before it is used", async () => {
    const { id, answer } = await issue("nothing-yet");
    assert.equal(gate.sql("SELECT key_hash FROM keys WHERE id = ?", id)[0].key_hash, "");
    assert.equal(gate.sql("SELECT count(*) AS count FROM outbox WHERE id = ?", id)[0].count, 0);
    const kv = await gate.kv();
    assert.ok((await kv.list()).keys.every(({ name }) => !name.includes(id)));
    // Even a key of the right form, check and tag, which only a holder of KEYWARD_SECRET can make.
    const forged = mintKey({ identifier: id.split("_")[2], secret: "7".repeat(32) });
    const refused = await use(forged);
    assert.deepEqual([refused.status, refused.json.code], [401, "invalid_key"]);
    const text = JSON.stringify(gate.sql("SELECT * FROM claims WHERE id = ?", id));
    assert.ok(!text.includes(answer.json.claim.url.split(".").at(-1).slice(0, 22)));
  });

  test("has a secret whose hash and tag are HMAC-SHA-256 with a key of its own", async () => {
    const { id, secret } = await issue("vector");
    const key = Buffer.from(
      hkdfSync("sha256", Buffer.from(SECRETS.KEYWARD_SECRET, "base64"), "", "keyward/claim/v1", 32),
    );
    const mac = (...parts) => parts.reduce((hmac, part) => hmac.update(part), createHmac("sha256", key)).digest();
    const hash = mac("keyward/claim-hash/v1", id, secret.slice(0, 22));
    assert.equal(gate.sql("SELECT secret_hash FROM claims WHERE id = ?", id)[0].secret_hash, hash.toString("hex"));
    const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let tag = "";
    for (let rest = mac("keyward/claim-tag/v1", hash).readBigUInt64BE(); tag.length < 8; rest /= 62n)
      tag = alphabet[Number(rest % 62n)] + tag;
    assert.equal(secret.slice(22), tag);
  });

  test("is claimed by one of many who try at once", async () => {
    const link = await issue("raced");
    const nonces = Array.from({ length: 20 }, (_, at) => `racer-number-${at}-of-twenty`);
    const answers = await Promise.all(nonces.map((nonce) => claim(link, nonce)));
    const counts = Object.groupBy(answers, ({ status }) => String(status));
    assert.deepEqual([counts["201"]?.length, counts["409"]?.length], [1, 19]);
  });

  test("of a rotation retires the old key when it is used", async () => {
    const old = await gate.newKey({ integration: "rotated" });
    const made = await gate.call(`${KEYS}/${old.id}/rotate`, {
      method: "POST",
      key: gate.owner,
      json: { deliver: "claim", overlap_seconds: 3600 },
    });
    assert.equal(made.status, 201, made.text);
    assert.equal((await show(old.id)).status, "active");
    const claimed = await claim(partsOf(made.json.claim.url));
    assert.deepEqual([claimed.json.retiring.id, claimed.json.retiring.status], [old.id, "retiring"]);
    assert.equal((await show(old.id)).successor, made.json.key.id);
    await until("both keys work", async () => (await use(claimed.json.api_key)).status === 200);
    assert.equal((await use(old.apiKey)).status, 200);
  });

  test("that is unknown, withdrawn, or presented with a wrong secret gets one answer", async () => {
    const withdrawn = await issue("withdrawn");
    const answer = await gate.call(`${CLAIMS}/${withdrawn.id}/withdraw`, { method: "POST", key: gate.owner });
    assert.deepEqual([answer.status, answer.json.claim.status], [200, "withdrawn"]);
    assert.equal((await show(withdrawn.id)).status, "revoked");
    assert.equal((await lastEntry(gate)).action, "claim.withdraw");
    const open = await issue("open");
    const expected = bare(await lookup(withdrawn));
    assert.equal(expected.code, "not_found");
    for (const wrong of [
      { ...open, secret: withdrawn.secret },
      { ...open, secret: "" },
      { ...open, secret: `${open.secret.slice(0, -1)}${open.secret.endsWith("0") ? "1" : "0"}` },
      { ...open, id: "wafl_live_000000000000" },
      { ...open, id: "nonsense" },
    ]) {
      assert.deepEqual(bare(await lookup(wrong)), expected);
      assert.deepEqual(bare(await claim(wrong)), expected);
    }
    for (let at = 0; at < 10; at += 1) await lookup({ ...open, secret: "x" });
    const limited = await lookup({ ...open, secret: "x" });
    assert.deepEqual([limited.status, limited.json.code], [429, "rate_limited"]);
    assert.equal((await claim(open)).status, 201, "the right secret is not limited");
  });

  test("that ended unused revokes its key by alarm", async () => {
    // A claim never outlives its key.
    const { id } = await issue("ended", { expires_at: ahead(1_500) });
    assert.equal((await show(id)).status, "pending");
    await until("the alarm ends the claim", async () => (await show(id)).status === "revoked");
    const { revoked_by, revoke_reason } = await show(id);
    assert.deepEqual([revoked_by, revoke_reason], ["keyward", "Its claim ended unused"]);
  });

  test("lets whoever has the link revoke the key", async () => {
    const link = await issue("revoked-by-link");
    const { api_key: key } = (await claim(link)).json;
    assert.equal((await use(key)).status, 200);
    const revoked = await post(`${link.id}/revoke`, { secret: link.secret });
    assert.deepEqual([revoked.status, revoked.json.key.revoked_by], [200, "claimant"]);
    await until("the revocation holds", async () => (await use(key)).status === 401);
  });
});
