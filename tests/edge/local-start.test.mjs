// `npm start` without its setup: the built worker with the settings of a local start, and the lines that it prints.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { startDemoOrigin } from "../../tools/demo-origin.mjs";
import { ensureDevVars, readDevVars } from "../../tools/dev-vars.mjs";
import { localSettings } from "../../tools/local-settings.mjs";
import { startWorker } from "../../tools/local-worker.mjs";
import { welcome } from "../../tools/welcome.mjs";
import { readWranglerToml } from "../../tools/wrangler-toml.mjs";
import { newAgent, send } from "./harness/client.mjs";
import { testPorts } from "./harness/ports.mjs";
import { acceptWebSocket, openWebSocket } from "./harness/websocket.mjs";

const agent = newAgent();
let folder;
let settings;
let worker;
let demo;
let owner;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyward-start-"));
  const devVars = join(folder, ".dev.vars");
  ensureDevVars(devVars);
  const config = readWranglerToml();
  const port = await testPorts();
  settings = localSettings({ shipped: config.vars, devVars: readDevVars(devVars), port });
  demo = await startDemoOrigin(port + 1);
  demo.on("upgrade", acceptWebSocket);
  worker = await startWorker({ config, vars: settings.vars, ports: settings.ports, state: join(folder, "state") });
  const lines = welcome({ ...settings, devVars }).split("\n");
  const script = [...lines.filter((line) => line.includes("curl ")).slice(0, 3), "printf '%s' \"$OWNER\" >&2"].join(
    "\n",
  );
  if (spawnSync("curl", ["--version"]).error) throw new Error("curl is needed: the lines that npm start prints use it");
  const { stdout, stderr } = await promisify(execFile)("sh", ["-c", script]);
  assert.match(stdout, /"url": "\/v1\/contacts"/, "the printed lines make an owner, issue a key and use it");
  owner = stderr;
  assert.match(owner, /^wafl_admin_/);
});
after(async () => {
  agent.destroy();
  await worker?.dispose();
  demo?.closeAllConnections();
  demo?.close();
  rmSync(folder, { recursive: true, force: true });
});

const at = (url, path, /** @type {any} */ { key, json, headers = {}, ...request } = {}) =>
  send(url, path, {
    agent,
    ...request,
    headers: {
      ...headers,
      ...(key && { authorization: `Bearer ${key}` }),
      ...(json && { "content-type": "application/json" }),
    },
    ...(json && { body: JSON.stringify(json) }),
  });

let issued = 0;

async function newKey(fields) {
  issued += 1;
  const draft = { name: `Key ${issued}`, integration: `key-${issued}`, environment: "live", purpose: "Trying it out" };
  const answer = await at(settings.control, "/_keyward/v1/keys", {
    method: "POST",
    key: owner,
    json: { ...draft, owner: "ops@acme.example", scopes: ["contacts:read", "contacts:write"], ...fields },
  });
  assert.equal(answer.status, 201, answer.text);
  return answer.json.api_key;
}

test("the control plane is on its own port only, by any name of this machine", async () => {
  const port = new URL(settings.control).port;
  for (const name of ["localhost", "127.0.0.1"]) {
    const control = `http://${name}:${port}`;
    assert.equal((await at(control, "/_keyward/v1/me", { key: owner })).status, 200, name);
    assert.equal((await at(control, "/v1/contacts")).verdict, "421 misdirected_request", name);
    const gate = `http://${name}:${new URL(settings.gate).port}`;
    assert.equal((await at(gate, "/_keyward/v1/me", { key: owner })).verdict, "404 no_route", name);
    assert.equal((await at(gate, "/v1/contacts")).verdict, "401 missing_key", name);
  }
});

test("a key may be limited to networks: the client address is 127.0.0.1, whatever headers it sends", async () => {
  const here = await newKey({ allowed_cidrs: ["127.0.0.0/8"] });
  const elsewhere = await newKey({ allowed_cidrs: ["192.0.2.0/24"] });
  for (const headers of [{}, { "cf-connecting-ip": "192.0.2.7" }]) {
    assert.equal((await at(settings.gate, "/v1/contacts", { key: here, headers })).status, 200);
    const refused = await at(settings.gate, "/v1/contacts", { key: elsewhere, headers });
    assert.equal(refused.verdict, "403 address_not_allowed");
  }
});

test("a request arrives unchanged at the origin", async () => {
  const key = await newKey();
  const body = "x".repeat(100_000);
  const answer = await at(settings.gate, "/v1/contacts/caf%C3%A9?q=%20&/v1/contacts/a%2Fb?q=%20q=[a]", {
    method: "POST",
    key,
    body,
    headers: { "x-a": "1" },
  });
  const { method, url, headers, body: arrived } = answer.json;
  assert.deepEqual(
    [method, url, headers["x-a"], arrived],
    ["POST", "/v1/contacts/caf%C3%A9?q=%20&/v1/contacts/a%2Fb?q=%20q=[a]", "1", body],
  );
  assert.equal(headers["content-length"], "100000");
  const socket = await openWebSocket(settings.gate, "/v1/contacts/live", { "x-api-key": key });
  assert.equal(socket.status, 101);
  assert.equal(await socket.say("hello"), "echo: hello");
  socket.close();
});
