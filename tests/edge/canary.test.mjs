// No secret is ever stored or logged where it does not belong. A key goes through its whole life cycle with every kind of fault. Then
// every store and log is searched byte by byte. To show that the search works, it must find a secret planted in each of them.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { secretOf, wrongTag } from "./harness/keys.mjs";
import { ahead, until } from "./harness/wait.mjs";
import { openWebSocket } from "./harness/websocket.mjs";

const CONTACTS = "/v1/contacts";
const KEYWARD_SECRET = randomBytes(32).toString("base64");
const BOOTSTRAP_TOKEN = randomBytes(24).toString("base64url");

/** Returns every encoding in which a secret could leak. */
const forms = (secret) => [
  Buffer.from(secret),
  Buffer.from(Buffer.from(secret).toString("hex")),
  Buffer.from(Buffer.from(secret).toString("base64").slice(0, -4)),
];

function needlesFor(credentials) {
  const needles = {
    BOOTSTRAP_TOKEN: forms(BOOTSTRAP_TOKEN),
    KEYWARD_SECRET: [
      ...forms(KEYWARD_SECRET),
      Buffer.from(KEYWARD_SECRET, "base64"),
      Buffer.from(Buffer.from(KEYWARD_SECRET, "base64").toString("hex")),
    ],
  };
  for (const [name, credential] of Object.entries(credentials)) {
    needles[name] = forms(credential);
    needles[`secret of ${name}`] = forms(secretOf(credential));
  }
  return needles;
}

/** Returns `needle in place` for each secret that is found. */
function found(needles, places) {
  const hits = [];
  for (const [place, bytes] of Object.entries(places)) {
    for (const [needle, variants] of Object.entries(needles))
      if (variants.some((variant) => bytes.includes(variant))) hits.push(`${needle} in ${place}`);
  }
  return hits;
}

function filesOf(folder) {
  const files = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) files[`file ${entry.name}`] = readFileSync(join(entry.parentPath, entry.name));
  }
  return files;
}

async function kvOf(gate) {
  const kv = await gate.kv();
  const { keys } = await kv.list();
  const values = await Promise.all(keys.map(({ name }) => kv.get(name)));
  return Buffer.from(JSON.stringify([keys, values]));
}

/** Collects everything that must not contain a secret. Stops the gate first, so that its files are complete. */
async function placesOf({ gate, origin, receiver, answers }) {
  const kv = await kvOf(gate);
  const live = filesOf(gate.state);
  await gate.stop({ keepState: true });
  const stopped = filesOf(gate.state);
  assert.ok(
    Object.keys(stopped).filter((name) => name.includes("sqlite")).length >= 2,
    "no SQLite files were searched",
  );
  return {
    logs: Buffer.from(gate.logs.join("\n")),
    kv,
    problems: Buffer.from(
      answers
        .filter(({ status }) => status >= 400)
        .map(({ text, rawHeaders }) => `${text}\n${rawHeaders}`)
        .join("\n"),
    ),
    "other answers": Buffer.from(
      answers
        .filter(({ status, json }) => status < 400 && !json?.api_key && !json?.claim?.url && !json?.secret)
        .map(({ text, rawHeaders }) => `${text}\n${rawHeaders}`)
        .join("\n"),
    ),
    "origin traffic": Buffer.from(JSON.stringify(origin.arrivals)),
    events: Buffer.from(JSON.stringify(receiver.arrivals)),
    ...Object.fromEntries(Object.entries(live).map(([name, bytes]) => [`live ${name}`, bytes])),
    ...stopped,
  };
}

async function newWorld() {
  const origin = await startOrigin();
  const receiver = await startOrigin();
  const vars = {
    ORIGIN_LIVE: origin.url,
    EVENT_HOSTS: ["localhost:*"],
    LEAK_GITHUB_KEYS_URL: "http://127.0.0.1:9/keys",
    KEYWARD_SECRET,
    BOOTSTRAP_TOKEN,
    REVOCATION_BOUND_SECONDS: 1,
    OUTAGE_GRACE_SECONDS: 0,
  };
  const gate = await startGate({ instrumented: true, vars });
  const answers = [];
  const call = async (path, request) => {
    const answer = await gate.call(path, request);
    answers.push({
      status: answer.status,
      text: answer.text,
      rawHeaders: answer.rawHeaders,
      json: answer.headers["content-type"] === "application/json" ? answer.json : null,
    });
    return answer;
  };
  const bootstrap = { method: "POST", key: BOOTSTRAP_TOKEN, json: { name: "Olive", email: "olive@acme.example" } };
  return { origin, receiver, gate, answers, call, bootstrap };
}

describe("after the whole life cycle of a key", () => {
  let world;
  let places;
  let needles;

  before(async () => {
    world = await newWorld();
    const { gate, call, bootstrap } = world;
    await call("/_keyward/v1/bootstrap", { ...bootstrap, key: `${BOOTSTRAP_TOKEN}x` });
    const owner = (await call("/_keyward/v1/bootstrap", bootstrap)).json.api_key;
    await call("/_keyward/v1/bootstrap", bootstrap);
    gate.owner = owner;
    const draft = (fields) => ({
      method: "POST",
      key: owner,
      json: {
        name: "A",
        integration: "a",
        environment: "live",
        purpose: "p",
        owner: "o",
        scopes: ["contacts:read"],
        ...fields,
      },
    });
    const issue = async (fields) => (await call("/_keyward/v1/keys", draft(fields))).json;
    const {
      api_key: key,
      key: { id },
    } = await issue({});
    const { api_key: brief } = await issue({ name: "B", integration: "b", expires_at: ahead(300) });
    needles = needlesFor({ key, brief, owner, "wrong key": wrongTag(key) });

    // Events, to a receiver with a secret: from here on each change below is one.
    const hook = `${world.receiver.url.replace("127.0.0.1", "localhost")}/hook`;
    const signed = { url: hook, signatures: ["v1a", "v1"] };
    const made = (await call("/_keyward/v1/endpoints", { method: "POST", key: owner, json: signed })).json;
    const one = `/_keyward/v1/endpoints/${made.endpoint.id}`;
    await call(`${one}/test`, { method: "POST", key: owner, json: {} });
    const rotated = (await call(`${one}/rotate-secret`, { method: "POST", key: owner, json: {} })).json;
    for (const [name, { secret }] of Object.entries({ made, rotated }))
      needles[`event secret ${name}`] = [
        Buffer.from(secret.slice("whsec_".length)),
        Buffer.from(secret.slice("whsec_".length), "base64"),
        Buffer.from(Buffer.from(secret.slice("whsec_".length), "base64").toString("hex")),
      ];
    await call("/_keyward/v1/endpoints", { key: owner });
    for (const wrong of [{ url: key }, { url: `${hook}?k=${key}`, types: [key] }, { [key]: 1 }])
      await call("/_keyward/v1/endpoints", { method: "POST", key: owner, json: wrong });

    // At the gate: accepted and refused, in every header and place.
    const bearer = { key };
    for (const request of [
      bearer,
      { headers: { "x-api-key": key } },
      { ...bearer, method: "POST", body: "x" },
      { ...bearer, headers: { "x-api-key": key } },
      { headers: { authorization: `Basic ${key}` } },
      { headers: { authorization: key } },
      { key: `${key}, ${key}` },
      { key: wrongTag(key) },
      { key: key.slice(0, -1) },
      { key: owner },
      { key: BOOTSTRAP_TOKEN },
      { ...bearer, headers: { origin: "https://a.example", "user-agent": "Mozilla/5.0" } },
      { ...bearer, headers: { cookie: "a=b", x_api_key: key, "x.api.key": key } },
      // Copies, as proxies and SDKs make them.
      { ...bearer, headers: { apikey: key, "x-auth-token": key, "user-agent": `sdk/1 (${key})` } },
      { ...bearer, headers: { referer: `https://a.example/?k=${key.replaceAll("_", "%5F")}` } },
      { ...bearer, headers: { cookie: `a=b; session=${key}; c=d` } },
      { headers: { "x-api-key": key, authorization: `Basic ${Buffer.from(`x:${key}`).toString("base64")}` } },
      { ...bearer, headers: { "x-auth": `Basic ${Buffer.from(`${key}:`).toString("base64url")}` } },
    ]) {
      await call(CONTACTS, request);
    }
    for (const path of [
      `${CONTACTS}/${key}`,
      `${CONTACTS}?k=${key}`,
      `/public/x?k=${key}`,
      `/_keyward/v1/keys/${key}`,
      `/_keyward/v1/keys?owner=${key}`,
      `/_keyward/problems/${key}`,
      `/${owner}`,
      `${CONTACTS}?k=${key.replaceAll("_", "%5f")}`,
      `/v1//${key}`,
    ]) {
      await call(path, bearer);
    }
    await call("/public/x", { key, headers: { "x-api-key": owner } });
    await call("/public/x", { key, headers: { apikey: key, cookie: `session=${key}` } });
    (await openWebSocket(gate.url, `${CONTACTS}/live`, { authorization: `Bearer ${key}` })).drop?.();
    await until("the brief key expires", async () => (await call(CONTACTS, { key: brief })).status === 401);

    // At the control plane.
    await call("/_keyward/v1/me", { key: owner });
    await call("/_keyward/v1/me", bearer);
    await call("/_keyward/v1/me", { key: BOOTSTRAP_TOKEN });
    await call("/_keyward/v1/keys", { key: owner });
    await issue({});
    await issue({ name: "C", integration: "c", colour: "red" });
    await call(`/_keyward/v1/keys/${id}`, { key: owner });
    await call("/_keyward/v1/keys/wafl_live_000000000000", { key: owner });
    await call("/_keyward/v1/keys", {
      method: "POST",
      key: owner,
      body: "{",
      headers: { "content-type": "application/json" },
    });

    // Submitted by other services and by their holders, also in the wrong fields.
    const form = (path, body, request = {}) =>
      call(`/_keyward/oauth/${path}`, { method: "POST", form: body, ...request });
    const basic = (text) => ({ headers: { authorization: `Basic ${Buffer.from(text).toString("base64")}` } });
    for (const question of [
      { api_key: key },
      { api_key: wrongTag(key) },
      { api_key: key, scope: key },
      { api_key: key, ip: key },
      { api_key: key, method: "GET", path: `/v1/x?k=${key}` },
      { api_key: key, method: key, path: key },
      { [key]: 1 },
      { api_key: [key] },
    ]) {
      await call("/_keyward/v1/verify", { method: "POST", key: owner, json: question });
      await call("/_keyward/v1/verify", { method: "POST", key, json: question });
    }
    for (const body of /** @type {any[]} */ ([
      { token: key },
      { token: wrongTag(key) },
      { token: owner },
      { token_type_hint: key },
      [
        ["token", key],
        ["token", key],
      ],
      { client_id: key, client_secret: owner },
    ])) {
      for (const request of [{ key: owner }, { key }, basic(`${owner}:${key}`), basic(`${key}:${owner}`), basic(key)])
        await form("introspect", body, request);
      if (body.token !== key) await form("revoke", body, { key });
    }
    const { api_key: revokedByHolder } = await issue({ name: "S", integration: "s" });
    Object.assign(needles, needlesFor({ revokedByHolder }));

    // By claim: the link's secret, and the key that it mints, right and wrong, twice, and withdrawn.
    const pending = async (fields) => {
      const { claim } = await issue({ deliver: "claim", ...fields });
      const [claimId, secret] = new URL(claim.url).hash.slice(1).split(".");
      Object.assign(needles, {
        [`claim ${claimId}`]: forms(secret),
        [`start of claim ${claimId}`]: forms(secret.slice(0, 22)),
      });
      return { claimId, secret };
    };
    const claims = "/_keyward/v1/claims";
    const { claimId, secret } = await pending({ name: "Claimed", integration: "claimed" });
    for (const json of [
      { secret },
      { secret: secret.slice(1) },
      { secret, nonce: secret },
      { [secret]: 1 },
      { secret: [secret] },
    ])
      await call(`${claims}/${claimId}/lookup`, { method: "POST", json });
    const nonce = "a-nonce-of-the-canary";
    const { api_key: claimedKey } = (await call(`${claims}/${claimId}`, { method: "POST", json: { secret, nonce } }))
      .json;
    Object.assign(needles, needlesFor({ claimedKey }));
    await call(`${claims}/${claimId}`, { method: "POST", json: { secret, nonce } });
    await call(`${claims}/${claimId}`, { method: "POST", json: { secret, nonce: "another-nonce-of-the-canary" } });
    await call(CONTACTS, { key: claimedKey });
    await call(claims, { key: owner });
    await call(`${claims}/${claimId}/revoke`, { method: "POST", json: { secret } });
    const withdrawn = await pending({ name: "Withdrawn", integration: "withdrawn" });
    await call(`${claims}/${withdrawn.claimId}/withdraw`, { method: "POST", key: owner });
    await call(`${claims}/${withdrawn.claimId}`, { method: "POST", json: { secret: withdrawn.secret, nonce } });
    await pending({ name: "Open", integration: "open" });

    // Incidents: the links of their claims, in the first answer and its retry, and in no other.
    const { api_key: stolen, key: stolenKey } = await issue({ name: "Stolen", integration: "stolen" });
    Object.assign(needles, needlesFor({ stolen }));
    const incident = (fields) => ({
      method: "POST",
      key: owner,
      json: { key_ids: [stolenKey.id], kind: "exposed", note: "n", replace: "claim", ...fields },
      headers: { "idempotency-key": "canary-incident" },
    });
    for (const wrong of [{ key_ids: [stolen] }, { kind: stolen }, { [stolen]: 1 }, { dry_run: stolen }, { owner: 7 }])
      await call("/_keyward/v1/incidents", incident(wrong));
    const opened = await gate.call("/_keyward/v1/incidents", incident({}));
    const [stolenClaim, linkSecret] = new URL(opened.json.incident.keys[0].claim.url).hash.slice(1).split(".");
    Object.assign(needles, { "claim of an incident": forms(linkSecret) });
    assert.deepEqual((await gate.call("/_keyward/v1/incidents", incident({}))).json, opened.json);
    const { api_key: replacement } = (
      await call(`${claims}/${stolenClaim}`, { method: "POST", json: { secret: linkSecret, nonce } })
    ).json;
    Object.assign(needles, needlesFor({ replacement }));
    await call(CONTACTS, { key: stolen });
    await call(CONTACTS, { key: replacement });
    for (const path of [
      "/_keyward/v1/posture",
      "/_keyward/v1/incidents",
      `/_keyward/v1/incidents/${opened.json.incident.id}`,
    ])
      await call(path, { key: owner });
    await call(`/_keyward/v1/incidents/${opened.json.incident.id}/review`, {
      method: "POST",
      key: owner,
      json: { finding: "f" },
    });
    await form("revoke", { token: revokedByHolder }, { key: revokedByHolder });

    // Reported as leaked, in every field. Exposures were recorded above.
    const { api_key: leaked } = await issue({ name: "L", integration: "l" });
    Object.assign(needles, needlesFor({ leaked }));
    for (const json of /** @type {any[]} */ ([
      { keys: [wrongTag(key)], note: key },
      { keys: [`x=${leaked};`], note: `see https://a.example/?k=${leaked}` },
      { keys: [leaked], note: leaked.replaceAll("_", "%5F") },
      { keys: leaked },
      { [leaked]: 1 },
    ]))
      await call("/_keyward/v1/leaks", { method: "POST", json });
    await until("the report is kept", () => gate.sql("SELECT * FROM leaks").length > 0);
    await call("/_keyward/v1/leaks", { key: owner });
    await call("/_keyward/v1/leaks/github", { method: "POST", json: [{ token: key, url: key }] });
    // Without GitHub's list of keys it is kept until it can be verified.
    const githubs = { "github-public-key-identifier": "one", "github-public-key-signature": "MAYCAQECAQE=" };
    await call("/_keyward/v1/leaks/github", { method: "POST", headers: githubs, json: [{ token: key, url: key }] });
    await until("the report waits", () => gate.sql("SELECT * FROM pending_reports").length > 0);
    assert.ok(gate.sql("SELECT * FROM exposures").length > 0, "no exposure was recorded");

    // During faults of every store.
    for (const orders of [
      { kvGet: "fail", kvPut: "fail" },
      { registry: "fail" },
      { registry: "500" },
      { registry: "garbage" },
    ]) {
      await gate.order(orders);
      await call(CONTACTS, { key: wrongTag(key) });
      await until(
        "the memory of the key ages",
        async () => (await call(CONTACTS, bearer)).status === (orders.registry ? 503 : 200),
      );
      await call("/_keyward/v1/me", { key: owner });
      await call("/_keyward/v1/keys", draft({ name: "D", integration: "d" }));
      await call("/_keyward/v1/verify", { method: "POST", key: owner, json: { api_key: key } });
      await form("introspect", { token: key }, { key: owner });
      await form("revoke", { token: brief });
      await gate.order({ kvGet: "work", kvPut: "work", registry: "work" });
    }
    await until("the authority is asked again", async () => (await call(CONTACTS, bearer)).status === 200);
    await world.origin.close();
    await call(CONTACTS, bearer);
    await world.origin.listen();

    await call(`/_keyward/v1/keys/${id}/revoke`, { method: "POST", key: owner, json: { reason: "leaked" } });
    await until("the revocation holds", async () => (await call(CONTACTS, bearer)).status === 401);
    await until("the outbox is empty", () => gate.sql("SELECT count(*) AS count FROM outbox")[0].count === 0);
    places = await placesOf(world);
  });

  after(async () => {
    await world.gate.stop();
    await world.origin.close();
    await world.receiver.close();
    rmSync(world.gate.state, { recursive: true, force: true });
  });

  test("no secret is in logs, KV, SQL, answers or origin traffic", () => assert.deepEqual(found(needles, places), []));

  test("the search covers every kind of answer and store", () => {
    const statuses = new Set(world.answers.map(({ status }) => status));
    for (const status of [200, 201, 400, 401, 403, 404, 409, 502, 503])
      assert.ok(statuses.has(status), `no answer was ${status}`);
    assert.ok(world.origin.arrivals.length >= 5);
    for (const event of [
      "refused",
      "sign_in_refused",
      "operation_refused",
      "authority_query_failed",
      "key_revoked_by_holder",
      "kv_copy_failed",
      "origin_unreachable",
    ]) {
      assert.ok(
        world.gate.logs.some((line) => line.includes(`"event":"${event}"`)),
        `no ${event} was logged`,
      );
    }
    for (const place of ["logs", "kv", "problems", "other answers", "origin traffic", "events"])
      assert.ok(places[place].length > 300, place);
  });
});

test("the search finds a secret planted in each place", async () => {
  const world = await newWorld();
  const { gate, origin, call, bootstrap } = world;
  const owner = (await call("/_keyward/v1/bootstrap", bootstrap)).json.api_key;
  gate.owner = owner;
  const planted = secretOf(owner);
  await gate.say(`oh no: ${BOOTSTRAP_TOKEN}`);
  await gate.newKey({ name: `SQL ${planted}` });
  await (await gate.kv()).put("planted", `KV ${planted}`);
  await call(`/public/x?q=${planted}`);
  // A name of a parameter is shown up to 24 characters.
  const start = planted.slice(0, 22);
  await call(`/_keyward/v1/keys?${start}=x`, { key: owner });
  const needles = { ...needlesFor({ owner }), "start of the secret of owner": forms(start) };
  const hits = found(needles, await placesOf(world));
  await gate.stop();
  await origin.close();
  await world.receiver.close();
  rmSync(gate.state, { recursive: true, force: true });
  for (const hit of [
    "BOOTSTRAP_TOKEN in logs",
    "secret of owner in kv",
    "secret of owner in origin traffic",
    "start of the secret of owner in problems",
  ])
    assert.ok(hits.includes(hit), `${hit} was not found`);
  assert.ok(
    hits.some((hit) => /^secret of owner in file [0-9a-f]{64}\.sqlite/.test(hit)),
    "nothing was found in SQL",
  );
});
