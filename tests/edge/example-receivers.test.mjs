// The receivers in examples/events, with real events of the real build. The one in Rust takes a minute to compile, so only
// `npm run examples` tests it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { lineAbout, post } from "../../examples/events/chat/relay.mjs";
import { receive } from "../../examples/events/node/receiver.mjs";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { portOf } from "./harness/ports.mjs";
import { freePort, skipLoudly, startProgram } from "./harness/programs.mjs";
import { ROOT } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

let origin;
let chat;
let gate;
const receivers = [];

before(async () => {
  origin = await startOrigin();
  chat = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, EVENT_HOSTS: ["localhost:*"] } });
  await gate.bootstrap();
});

after(async () => {
  for (const receiver of receivers) receiver.close();
  await gate?.stop();
  await origin?.close();
  await chat?.close();
});

/** Starts a receiver and returns its address. */
async function start(handle) {
  const receiver = await receive({ jwks: `${gate.url}/_keyward/jwks.json`, port: 0, handle });
  receivers.push(receiver);
  return `http://localhost:${portOf(receiver)}/events`;
}

/** Adds and tests an endpoint. Returns its address and id. */
async function enable(url) {
  const call = (path, json) => gate.call(`/_keyward/v1/endpoints${path}`, { method: "POST", key: gate.owner, json });
  const { json } = await call("", { url });
  const tested = await call(`/${json.endpoint.id}/test`, {});
  assert.equal(tested.json.delivered, true, tested.text);
  return { url, id: json.endpoint.id };
}

/** Sends a body with headers, and returns the status of the answer. */
const send = async (url, headers, body) =>
  (await fetch(url.replace("localhost", "127.0.0.1"), { method: "POST", headers, body })).status;

/** Returns headers and body of an event as Keyward signed it. */
async function captured() {
  await enable(`${chat.url.replace("127.0.0.1", "localhost")}/captured`);
  const { headers, body } = chat.arrivals.findLast(({ url }) => url === "/captured");
  return { headers: headers.filter(([name]) => /^webhook-/i.test(name)), body };
}

async function refusesForgeries(url) {
  const { headers, body } = await captured();
  const now = Math.floor(Date.now() / 1000);
  const forgeries = [
    [[], body],
    [Object.entries({ "webhook-id": "evt_x", "webhook-timestamp": `${now}`, "webhook-signature": "v1a,AAAA" }), body],
    [Object.entries({ "webhook-id": "evt_x", "webhook-timestamp": "soon", "webhook-signature": "v1a,AAAA" }), body],
    [headers, `${body} `],
    [headers.map(([name, value]) => [name, /id$/i.test(name) ? `${value}x` : value]), body],
  ];
  for (const [sent, text] of forgeries) assert.equal(await send(url, sent, text), 401, JSON.stringify(sent));
}

test("the receiver takes genuine events, each once, and refuses others", async () => {
  const taken = [];
  let fails = 1;
  const { url, id } = await enable(
    await start((event) => {
      if (event.type === "key.issued" && fails-- > 0) throw new Error("planted: the first attempt fails");
      taken.push(event);
    }),
  );
  const key = await gate.newKey();
  const issued = () => taken.filter(({ type }) => type === "key.issued");
  await until("the second attempt", async () => issued().length === 1, { within: 12_000 });
  assert.equal(issued()[0].data.key_id, key.id);
  const again = { from: "2026-01-01T00:00:00Z", to: new Date(Date.now() + 1_000).toISOString() };
  const replayed = await gate.call(`/_keyward/v1/endpoints/${id}/replay`, {
    method: "POST",
    key: gate.owner,
    json: again,
  });
  assert.equal(replayed.status, 202, replayed.text);
  const list = async () =>
    (await gate.call(`/_keyward/v1/deliveries?endpoint=${id}&status=pending`, { key: gate.owner })).json.items;
  await until("everything was sent again", async () => (await list()).length === 0);
  assert.equal(issued().length, 1, "handled once");

  await refusesForgeries(url);
});

test("a retry that arrives during the first attempt waits for it, and the event is handled once", async () => {
  const { headers, body } = await captured();
  let handled = 0;
  let release = (_) => {};
  let outcome = new Promise((resolve) => (release = resolve));
  const url = await start(() => {
    handled += 1;
    return outcome;
  });
  const attempt = () => send(url, headers, body);
  const first = attempt();
  await until("the first attempt", async () => handled === 1);
  const second = attempt();
  const isAnswered = await Promise.race([second.then(() => true), pause(300, false)]);
  assert.deepEqual([isAnswered, handled], [false, 1]);
  release(Promise.reject(new Error("planted: the attempt fails")));
  assert.deepEqual(await Promise.all([first, second]), [500, 500]);
  outcome = Promise.resolve();
  assert.deepEqual([await attempt(), await attempt(), handled], [204, 204, 2]);
});

test("the relay posts a line that cannot format or mention anything", async () => {
  await enable(await start((event) => post(`${chat.url}/hook`, lineAbout(event))));
  const key = await gate.newKey({ name: "<!here> *CRM*" });
  await gate.revoke(key.id, "leaked in a log");
  const lines = () =>
    chat.arrivals.filter(({ url, body }) => url === "/hook" && body).map(({ body }) => JSON.parse(body).text);
  await until("the line", async () => lines().some((line) => line.startsWith("key.revoked")));
  const line = lines().find((one) => one.startsWith("key.revoked"));
  assert.ok(line.includes("&lt;!here&gt;") && !line.includes("*CRM*"), line);
  assert.ok(line.includes("leaked in a log"), line);
});

const RUST = join(ROOT, "examples", "events", "rust");
const skipRust = process.env.KEYWARD_TRY_ALL
  ? false
  : skipLoudly("examples/events/rust", "It takes a minute to compile: npm run examples.");

test("the receiver in Rust takes genuine events, each once, and refuses others", { skip: skipRust }, async () => {
  // With the dependencies that examples/origin-axum has too.
  const target = join(ROOT, "examples", "origin-axum", "target");
  const env = { ...process.env, CARGO_TARGET_DIR: target };
  execFileSync("cargo", ["build", "--locked", "--quiet"], { cwd: RUST, stdio: "inherit", env });
  const port = await freePort();
  const settings = { KEYWARD_JWKS: `${gate.url}/_keyward/jwks.json`, PORT: String(port) };
  const program = await startProgram(join(target, "debug", "event-receiver"), port, () => [], { env: settings });
  try {
    const url = `http://localhost:${port}/events`;
    await enable(url);
    const { id } = await gate.newKey();
    await until("the event", async () => program.log().includes(`key.issued ${id}\n`));
    const { headers, body } = await captured();
    const count = () => program.log().split("endpoint.test ").length - 1;
    const before = count();
    const statuses = await Promise.all([1, 2, 3].map(() => send(url, headers, body)));
    assert.deepEqual([statuses, count() - before], [[204, 204, 204], 1]);
    await refusesForgeries(url);
    assert.equal(await send(url, headers, "x".repeat(70_000)), 413);
    assert.equal((await fetch(url.replace("localhost", "127.0.0.1"))).status, 405);
  } finally {
    await program.stop();
  }
});
