// Receivers of leak reports against the real worker: GitHub's signature by WebCrypto, GitLab's token, and anyone.

import assert from "node:assert/strict";
import { createSign, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { mintKey } from "./harness/keys.mjs";
import { newMember } from "./harness/members.mjs";
import { portOf } from "./harness/ports.mjs";
import { until } from "./harness/wait.mjs";

const CONTACTS = "/v1/contacts";
const LEAKS = "/_keyward/v1/leaks";
const TOKEN = "a-token-of-gitlab-of-a-test";
const SAMPLES = JSON.parse(
  readFileSync(new URL("../vectors/github_secret_scanning.json", import.meta.url), "utf8"),
).samples;

/** Starts a server of GitHub's list of keys, which answers conditional requests. */
async function startList(publicKeys) {
  const requests = [];
  const text = JSON.stringify({ public_keys: publicKeys });
  const list = { requests, status: 200 };
  const server = createServer((request, response) => {
    requests.push(request.headers["if-none-match"] ?? null);
    if (list.status !== 200) response.writeHead(list.status).end();
    else if (request.headers["if-none-match"] === '"1"') response.writeHead(304).end();
    else response.writeHead(200, { etag: '"1"' }).end(text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
  const close = () => new Promise((resolve) => server.close(resolve));
  return Object.assign(list, { url: `http://127.0.0.1:${portOf(server)}/keys`, close });
}

describe("leak reports", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  let origin;
  let list;
  let gate;

  before(async () => {
    origin = await startOrigin();
    list = await startList([
      { key_identifier: "ours", key: publicKey.export({ type: "spki", format: "pem" }), is_current: true },
      ...SAMPLES.map(({ public_key_pem: key }, at) => ({ key_identifier: `sample${at}`, key, is_current: false })),
    ]);
    gate = await startGate({
      vars: { ORIGIN_LIVE: origin.url, LEAK_GITHUB_KEYS_URL: list.url, LEAK_GITLAB_TOKEN: TOKEN },
    });
    await gate.bootstrap();
  });

  after(async () => {
    await gate?.stop();
    await list?.close();
    await origin?.close();
  });

  const signed = (body, { identifier = "ours", signature = "" } = {}) =>
    gate.call(`${LEAKS}/github`, {
      method: "POST",
      body,
      headers: {
        "content-type": "application/json",
        "github-public-key-identifier": identifier,
        "github-public-key-signature": signature || createSign("SHA256").update(body).sign(privateKey, "base64"),
      },
    });
  const isRevoked = (apiKey) =>
    until("the key is revoked", async () => (await gate.call(CONTACTS, { key: apiKey })).verdict === "401 revoked_key");
  const reports = async () => (await gate.call(LEAKS, { key: gate.owner })).json.items;

  test("of GitHub are verified with WebCrypto, and revoke the key", async () => {
    const { id, apiKey } = await gate.newKey();
    const url = `https://github.example/a?k=${apiKey}`;
    const answer = await signed(JSON.stringify([{ token: apiKey, type: "wafl", url }, { token: "x" }]));
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, [
      { token_raw: apiKey, token_type: "wafl", label: "true_positive" },
      { token_raw: "x", token_type: "", label: "false_positive" },
    ]);
    await isRevoked(apiKey);
    const [report] = await reports();
    assert.deepEqual(
      [report.source, report.place, report.items[0].key_id, report.items[0].was_active],
      ["github", "https://github.example/a?k=[key]", id, true],
    );
    assert.ok(Date.parse(report.items[0].guaranteed_by) > Date.now() - 10_000);
    const shown = await gate.call(`${LEAKS}/${report.id}`, { key: gate.owner });
    assert.deepEqual(shown.json, report);
    // Signatures have integers of different lengths.
    for (let at = 0; at < 40; at += 1) assert.equal((await signed(JSON.stringify([{ token: `${at}` }]))).status, 200);
  });

  test("of GitHub's own samples are verified", async () => {
    for (const [at, { body, signature_base64_der: signature }] of SAMPLES.entries()) {
      assert.equal((await signed(body, { identifier: `sample${at}`, signature })).status, 200);
      assert.equal(
        (await signed(`${body} `, { identifier: `sample${at}`, signature })).verdict,
        "401 invalid_signature",
      );
      assert.equal((await signed(body, { signature })).verdict, "401 invalid_signature");
    }
  });

  test("with an unknown identifier cause at most one request for the list a minute", async () => {
    const before = list.requests.length;
    const answers = await Promise.all(Array.from({ length: 30 }, () => signed("[]", { identifier: "other" })));
    // A receiver reads eight reports at once.
    const verdicts = new Set(answers.map(({ verdict }) => verdict));
    assert.ok(verdicts.has("401 invalid_signature"), [...verdicts].join());
    verdicts.delete("401 invalid_signature");
    assert.ok(
      [...verdicts].every((verdict) => verdict === "429 rate_limited"),
      [...verdicts].join(),
    );
    assert.ok(list.requests.length <= before + 1, `${list.requests.length - before} requests`);
  });

  test("of GitLab need its token", async () => {
    const { apiKey } = await gate.newKey();
    const gitlab = (path, token, json) =>
      gate.call(`${LEAKS}/gitlab/v1/${path}`, {
        method: json ? "POST" : "GET",
        json,
        headers: { authorization: token },
      });
    assert.deepEqual((await gitlab("revocable_token_types", TOKEN)).json, { types: ["gitleaks_rule_id_keyward-wafl"] });
    const body = [{ type: "gitleaks_rule_id_keyward-wafl", token: apiKey, location: "https://gitlab.example/b" }];
    assert.equal((await gitlab("revoke_tokens", `${TOKEN}x`, body)).verdict, "401 invalid_key");
    assert.equal((await gate.call(CONTACTS, { key: apiKey })).status, 200);
    assert.equal((await gitlab("revoke_tokens", TOKEN, body)).status, 204);
    await isRevoked(apiKey);
  });

  test("of anyone have one answer", async () => {
    const { apiKey } = await gate.newKey();
    const { key: credential } = await newMember(gate, { role: "manager" });
    const answers = [];
    for (const keys of [["x"], [mintKey({ identifier: "n".repeat(12), secret: "A".repeat(32) })], [apiKey], [apiKey]]) {
      answers.push((await gate.call(LEAKS, { method: "POST", json: { keys } })).text);
    }
    assert.deepEqual(new Set(answers), new Set(['{"status":"accepted"}']));
    await isRevoked(apiKey);
    assert.equal((await gate.call(LEAKS, { method: "POST", json: { keys: [credential] } })).status, 202);
    await until("the member is revoked", async () => {
      const { verdict } = await gate.call("/_keyward/v1/me", { key: credential });
      return verdict === "401 invalid_key";
    });
    assert.ok(!JSON.stringify(gate.sql("SELECT * FROM leaks, leak_items")).includes(apiKey.slice(-46)));
  });

  test("the expressions find a key of this deployment", async () => {
    const { json } = await gate.call(`${LEAKS}/rules`);
    assert.match((await gate.newKey()).apiKey, new RegExp(`^${json.github}$`));
  });
});

test("a report that came without GitHub's list is judged once the list is back", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = publicKey.export({ type: "spki", format: "pem" });
  const list = await startList([{ key_identifier: "ours", key, is_current: true }]);
  const gate = await startGate({ vars: { ORIGIN_LIVE: "http://127.0.0.1:9", LEAK_GITHUB_KEYS_URL: list.url } });
  try {
    await gate.bootstrap();
    const { id, apiKey } = await gate.newKey();
    // As large as a report may be.
    const filler = { token: "x".repeat(1_048_000) };
    const body = JSON.stringify([{ token: apiKey, url: "https://github.example/a" }, filler]);
    list.status = 500;
    const answer = await gate.call(`${LEAKS}/github`, {
      method: "POST",
      body,
      headers: {
        "content-type": "application/json",
        "github-public-key-identifier": "ours",
        "github-public-key-signature": createSign("SHA256").update(body).sign(privateKey, "base64"),
      },
    });
    // The object's first request for the list is a second after the report.
    list.status = 200;
    assert.equal(answer.verdict, "503 authority_unavailable");
    const report = await until("the report is judged", async () => {
      const { json } = await gate.call(LEAKS, { key: gate.owner });
      return json.items[0];
    });
    assert.deepEqual(
      [report.source, report.place, report.items[0].key_id, report.items[0].was_active],
      ["github", "https://github.example/a", id, true],
    );
    assert.equal(list.requests.length, 2);
    await until("the report is deleted", () => gate.sql("SELECT * FROM pending_reports").length === 0);
  } finally {
    await gate.stop();
    await list.close();
  }
});

test("without GitHub's list a report is answered 503", async () => {
  const list = await startList([]);
  list.status = 500;
  const gate = await startGate({ vars: { ORIGIN_LIVE: "http://127.0.0.1:9", LEAK_GITHUB_KEYS_URL: list.url } });
  try {
    const answer = () =>
      gate.call(`${LEAKS}/github`, {
        method: "POST",
        json: [],
        headers: { "github-public-key-identifier": "ours", "github-public-key-signature": "MAYCAQECAQE=" },
      });
    for (let at = 0; at < 5; at += 1) assert.equal((await answer()).verdict, "503 authority_unavailable");
    assert.equal(list.requests.length, 1);
    const types = await gate.call(`${LEAKS}/gitlab/v1/revocable_token_types`, { headers: { authorization: TOKEN } });
    assert.equal(types.verdict, "404 no_route");
  } finally {
    await gate.stop();
    await list.close();
  }
});
