// Events: endpoints, signed deliveries to a real receiver, retries, and what members send again.

import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { startReceiver } from "./harness/receiver.mjs";
import { until } from "./harness/wait.mjs";

let origin;
let gate;
let receiver;

before(async () => {
  origin = await startOrigin();
  receiver = await startReceiver();
  gate = await startGate({
    vars: {
      ORIGIN_LIVE: origin.url,
      EVENT_HOSTS: ["hooks.example.com", "localhost:*"],
      ISSUER: "https://gate.example/_keyward",
    },
  });
  await gate.bootstrap();
});

after(async () => {
  await gate?.stop();
  await origin?.close();
  receiver?.close();
});

const call = (method, path, json) => gate.call(`/_keyward/v1/${path}`, { method, key: gate.owner, json });
const read = (path) => gate.call(`/_keyward/v1/${path}`, { key: gate.owner });

/** Adds an endpoint at a path of the receiver, and enables it by a test. */
async function endpoint(path, fields = {}) {
  const made = await call("POST", "endpoints", { url: `${receiver.url}${path}`, ...fields });
  assert.equal(made.status, 201, made.text);
  const tested = await call("POST", `endpoints/${made.json.endpoint.id}/test`, {});
  assert.equal(tested.json.delivered, true, tested.text);
  return { id: made.json.endpoint.id, secret: made.json.secret };
}

const arrived = (path, type) => receiver.at(path, type);
const arrival = async (path, type) => {
  await until(`${type} at ${path}`, async () => arrived(path, type).length > 0);
  return arrived(path, type)[0];
};

async function publicKey() {
  const { json } = await read("endpoints/key");
  return { ...json, key: createPublicKey({ key: json.jwk, format: "jwk" }) };
}

/** Verifies `v1a`: Ed25519 over id, time and body. */
async function verifies({ headers, body }) {
  const { key } = await publicKey();
  const text = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const signatures = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
  assert.equal(signatures.length, 1);
  return verify(null, Buffer.from(text), key, Buffer.from(signatures[0].slice(4), "base64"));
}

test("an endpoint is pending until a test succeeds, and then receives what happens, signed with the deployment's key", async () => {
  receiver.answerWith(500);
  const made = await call("POST", "endpoints", { url: `${receiver.url}/first` });
  assert.equal(made.status, 201, made.text);
  const { endpoint: created, secret } = made.json;
  assert.deepEqual([created.status, secret, created.signatures], ["pending", null, ["v1a"]]);
  assert.equal(
    (await call("PATCH", `endpoints/${created.id}`, { status: "enabled" })).verdict,
    "409 endpoint_not_tested",
  );
  const failed = await call("POST", `endpoints/${created.id}/test`, {});
  assert.deepEqual([failed.status, failed.json.delivered, failed.json.delivery.attempts[0].status], [200, false, 500]);
  await gate.newKey();
  receiver.answerWith();
  assert.equal((await call("POST", `endpoints/${created.id}/test`, {})).json.delivered, true);
  assert.equal((await read(`endpoints/${created.id}`)).json.endpoint.status, "enabled");

  const key = await gate.newKey({ integration: "first-crm" });
  const issued = await arrival("/first", "key.issued");
  assert.equal(issued.json.data.key_id, key.id, "nothing from before it was enabled");
  assert.ok(await verifies(issued));
  assert.equal(issued.headers["content-type"], "application/json");
  assert.equal(issued.headers["webhook-id"], issued.json.id);
  const { specversion, source, type, data } = issued.json;
  assert.deepEqual([specversion, source, type], ["1.0", "https://gate.example/_keyward", "key.issued"]);
  assert.equal(data.integration, "first-crm");
  const entry = (await read(`audit?after=${data.audit_seq - 1}&limit=1`)).json.items[0];
  assert.deepEqual([entry.action, entry.subject], ["key.issue", key.id]);
  assert.ok(issued.json.id === `evt_${entry.hash.slice(0, 24)}`);

  await gate.revoke(key.id, "leaked in a log");
  const revoked = await arrival("/first", "key.revoked");
  assert.deepEqual([revoked.json.data.reason, revoked.json.data.status], ["leaked in a log", "revoked"]);
  assert.ok(revoked.json.data.guaranteed_by > revoked.json.data.effective_by);
});

test("an HMAC endpoint verifies with the official library, with the old and the new secret for a day", async () => {
  const { id, secret } = await endpoint("/hmac", { signatures: ["v1a", "v1"] });
  assert.match(secret, /^whsec_/);
  await gate.newKey();
  const first = await arrival("/hmac", "key.issued");
  assert.equal(/** @type {any} */ (new Webhook(secret).verify(first.body, first.headers)).type, "key.issued");
  assert.throws(() => new Webhook(secret).verify(`${first.body} `, first.headers));
  const rotated = await call("POST", `endpoints/${id}/rotate-secret`, {});
  assert.equal(rotated.status, 200, rotated.text);
  assert.notEqual(rotated.json.secret, secret);
  const until = Date.parse(rotated.json.endpoint.previous_secret_until) - Date.now();
  assert.ok(until > 86_300_000 && until <= 86_400_000);
  const key = await gate.newKey();
  await gate.revoke(key.id);
  const later = await arrival("/hmac", "key.revoked");
  for (const one of [secret, rotated.json.secret]) new Webhook(one).verify(later.body, later.headers);
  assert.equal((await read(`endpoints/${id}`)).text.includes("whsec_"), false);
});

test("the key set has the key of events, and it is the one at endpoints/key", async () => {
  const { jwk, whpk } = await publicKey();
  const keys = (await gate.call("/_keyward/jwks.json")).json.keys;
  assert.ok(keys.some(({ kid, x }) => kid === jwk.kid && x === jwk.x));
  assert.equal(whpk, `whpk_${Buffer.from(jwk.x, "base64url").toString("base64")}`);
});

test("a failed attempt is repeated after seconds with the same id and body, and the list shows both", async () => {
  const { id } = await endpoint("/retry", { types: ["key.issued"] });
  let failures = 1;
  receiver.answer = (request, response) => {
    const fails = request.url === "/retry" && failures-- > 0;
    response.writeHead(fails ? 503 : 200).end(fails ? "x".repeat(100_000) : "");
  };
  await gate.newKey();
  await until("the second attempt", async () => arrived("/retry", "key.issued").length === 2, { within: 12_000 });
  const [first, second] = arrived("/retry", "key.issued");
  assert.deepEqual([first.body, first.headers["webhook-id"]], [second.body, second.headers["webhook-id"]]);
  const pause = second.at - first.at;
  assert.ok(pause >= 4_000 && pause < 8_500, `${pause} ms`);
  assert.ok(await verifies(second));
  const list = await read(`deliveries?endpoint=${id}&type=key.issued`);
  const [delivery] = list.json.items;
  assert.deepEqual([delivery.status, delivery.attempts.map(({ status }) => status)], ["delivered", [503, 200]]);
});

test("redirects are not followed, and an answer that never ends is cut off", async () => {
  const { id } = await endpoint("/strange", { types: ["member.created"] });
  receiver.answer = (request, response) => {
    if (request.url !== "/strange") return response.writeHead(200).end();
    response.writeHead(302, { location: `${receiver.url}/elsewhere` }).end();
  };
  const redirected = await call("POST", `endpoints/${id}/test`, {});
  assert.deepEqual([redirected.json.delivered, redirected.json.delivery.attempts[0].status], [false, 302]);
  assert.equal(receiver.at("/elsewhere").length, 0);
  receiver.answer = (_, response) => {
    response.writeHead(200);
    response.write("x".repeat(8_192));
  };
  const started = Date.now();
  const endless = await call("POST", `endpoints/${id}/test`, {});
  assert.equal(endless.json.delivered, true);
  assert.ok(Date.now() - started < 5_000);
  receiver.answerWith();
});

test("addresses that are not allowed are refused with the reason, and nothing is sent", async () => {
  const own = gate.url;
  for (const url of [
    "https://evil.example/",
    "https://192.0.2.7/",
    "https://[::1]/",
    "http://hooks.example.com/",
    "https://hooks.example.com:8443/",
    "https://user@hooks.example.com/",
    "https://hooks.example.com@evil.example/",
    "file:///etc/passwd",
    "http://127.0.0.1:9/",
    `${own.replace("127.0.0.1", "localhost")}/_keyward/v1/bootstrap`,
    origin.url.replace("127.0.0.1", "localhost"),
    7,
  ]) {
    const refused = await call("POST", "endpoints", { url });
    assert.equal(refused.verdict, "400 invalid_request", `${url}: ${refused.text}`);
    assert.equal(refused.json.field, "url");
  }
  assert.equal((await call("POST", "endpoints", { url: "https://hooks.example.com/x" })).status, 201);
});

test("a deleted endpoint receives nothing after the answer, and a disabled one neither", async () => {
  const { id } = await endpoint("/gone", { types: ["key.*"] });
  await gate.newKey();
  await arrival("/gone", "key.issued");
  const disabled = await call("PATCH", `endpoints/${id}`, { status: "disabled" });
  assert.deepEqual([disabled.json.endpoint.status, disabled.json.endpoint.disabled_reason], ["disabled", "member"]);
  await gate.newKey();
  await pause(1_500);
  assert.equal(arrived("/gone", "key.issued").length, 1);
  const replay = { from: new Date(Date.now() - 60_000).toISOString(), to: new Date().toISOString() };
  assert.equal((await call("POST", `endpoints/${id}/replay`, replay)).verdict, "409 endpoint_not_enabled");
  assert.equal((await call("PATCH", `endpoints/${id}`, { status: "enabled" })).status, 200);
  assert.equal((await call("DELETE", `endpoints/${id}`)).status, 204);
  await gate.newKey();
  await pause(1_500);
  assert.equal(arrived("/gone", "key.issued").length, 1);
  assert.equal((await read(`endpoints/${id}`)).status, 404);
  assert.ok((await read(`deliveries?endpoint=${id}`)).json.items.length >= 2, "its deliveries stay in the list");
});

test("a delivery and a range of time are sent again with their ids", async () => {
  const from = new Date().toISOString();
  const { id } = await endpoint("/again", { types: ["key.issued"] });
  await gate.newKey();
  const first = await arrival("/again", "key.issued");
  const list = await until("the delivery", async () => {
    const { json } = await read(`deliveries?endpoint=${id}&type=key.issued&status=delivered`);
    return json.items[0];
  });
  const resent = await call("POST", `deliveries/${list.id}/resend`, {});
  assert.equal(resent.status, 202, resent.text);
  await until("the second", async () => arrived("/again", "key.issued").length === 2);
  const replayed = await call("POST", `endpoints/${id}/replay`, { from, to: new Date().toISOString() });
  assert.deepEqual([replayed.status, replayed.json.count], [202, 1]);
  await until("the third", async () => arrived("/again", "key.issued").length === 3);
  const ids = new Set(arrived("/again", "key.issued").map(({ headers }) => headers["webhook-id"]));
  assert.deepEqual([...ids], [first.headers["webhook-id"]]);
  assert.equal((await call("POST", "deliveries/dlv_999999/resend", {})).status, 404);
});

test("a receiver that is gone disables its endpoint, and the others hear of it", async () => {
  const watcher = await endpoint("/watcher", { types: ["endpoint.*"] });
  const { id } = await endpoint("/leaving", { types: ["key.issued"] });
  receiver.answer = (request, response) => response.writeHead(request.url === "/leaving" ? 410 : 200).end();
  await gate.newKey();
  const told = await arrival("/watcher", "endpoint.disabled");
  assert.deepEqual([told.json.data.endpoint, told.json.data.reason], [id, "gone"]);
  const { endpoint: shown } = (await read(`endpoints/${id}`)).json;
  assert.deepEqual([shown.status, shown.disabled_reason], ["disabled", "gone"]);
  assert.ok((await read(`endpoints/${watcher.id}`)).json.endpoint.last_delivery_at !== undefined);
  receiver.answerWith();
});

test("an exposed key, a rotation and a member's changes are events", async () => {
  await endpoint("/kinds");
  const key = await gate.newKey();
  await gate.call(`/v1/contacts?k=${key.apiKey}`);
  const exposed = await arrival("/kinds", "key.exposed");
  assert.deepEqual([exposed.json.data.key_id, exposed.json.data.kind], [key.id, "url"]);
  await call("POST", `keys/${key.id}/rotate`, { overlap_seconds: 0 });
  const rotated = await arrival("/kinds", "key.rotated");
  assert.equal(rotated.json.data.key_id, key.id);
  await arrival("/kinds", "key.expired");
  const member = { name: "Rita", email: "rita@acme.example", role: "responder" };
  const made = await call("POST", "members", member);
  const created = await arrival("/kinds", "member.created");
  assert.deepEqual([created.json.data.member_id, created.json.data.role], [made.json.member.id, "responder"]);
  for (const { body } of receiver.at("/kinds")) {
    assert.doesNotMatch(body, /wafl_(live|test|admin)_[0-9A-Za-z]{12}_/);
    assert.ok(!body.includes("rita@acme.example"));
  }
});

test("events survive the end of the runtime", async () => {
  const { id } = await endpoint("/survivor", { types: ["key.issued"] });
  receiver.answer = (request, response) => response.writeHead(request.url === "/survivor" ? 503 : 200).end();
  await gate.newKey();
  await arrival("/survivor", "key.issued");
  await gate.restart();
  receiver.answerWith();
  const retried = async () =>
    (await read(`deliveries?endpoint=${id}&type=key.issued`)).json.items[0]?.status === "delivered";
  await until("the retry after the restart", retried, { within: 70_000, every: 500 });
});
