// `npm run demo` without its setup: the steps fill a local deployment through its API.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DEMO_VARS, fill } from "../../tools/demo/fill.mjs";
import { writeHistory } from "../../tools/demo/history.mjs";
import { startReceiver } from "../../tools/demo/receiver.mjs";
import { STEPS } from "../../tools/demo/steps.mjs";
import { startDemoOrigin } from "../../tools/demo-origin.mjs";
import { ensureDevVars, readDevVars } from "../../tools/dev-vars.mjs";
import { consoleAddress } from "../../tools/first-run.mjs";
import { localSettings } from "../../tools/local-settings.mjs";
import { startWorker } from "../../tools/local-worker.mjs";
import { readWranglerToml } from "../../tools/wrangler-toml.mjs";
import { testPorts } from "./harness/ports.mjs";
import { until } from "./harness/wait.mjs";

let folder;
let settings;
let worker;
let demo;
let receiver;
let signIns;
let pasts;
const done = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyward-demo-"));
  const devVars = join(folder, ".dev.vars");
  ensureDevVars(devVars);
  const config = readWranglerToml();
  const port = await testPorts();
  settings = localSettings({ shipped: config.vars, devVars: readDevVars(devVars), port });
  demo = await startDemoOrigin(port + 1);
  receiver = await startReceiver();
  const state = join(folder, "state");
  const start = () => startWorker({ config, vars: { ...settings.vars, ...DEMO_VARS }, ports: settings.ports, state });
  worker = await start();
  const { gate, control, vars } = settings;
  const address = await consoleAddress(control, vars.BOOTSTRAP_TOKEN);
  assert.equal(address, `${control}/#bootstrap=${vars.BOOTSTRAP_TOKEN}`, "while there is no owner");
  const report = (name) => done.push(name);
  ({ signIns, pasts } = await fill({ gate, control, token: vars.BOOTSTRAP_TOKEN, receiver: receiver.url, report }));
  await worker.dispose();
  assert.equal(writeHistory(state, pasts), pasts.length, "each key of the past is counted somewhere");
  worker = await start();
});
after(async () => {
  await worker?.dispose();
  receiver?.close();
  demo?.closeAllConnections();
  demo?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function get(path, key = signIns.owner) {
  const answer = await fetch(`${settings.control}/_keyward/v1${path}`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal(answer.status, 200, path);
  return answer.json();
}

test("every step has run, apart from those whose operation this deployment lacks", async () => {
  const { paths } = await (await fetch(`${settings.control}/_keyward/openapi.json`)).json();
  const has = (needs) => {
    const [method, path] = needs.split(" ");
    return paths[path]?.[method.toLowerCase()] !== undefined;
  };
  const expected = STEPS.filter(({ needs }) => !needs || has(needs)).map(({ name }) => name);
  assert.deepEqual(done, expected);
  assert.ok(done.length > 5);
});

test("there is somebody of each role to sign in as", async () => {
  for (const role of ["owner", "manager", "responder", "auditor", "verifier"])
    assert.equal((await get("/me", signIns[role])).role, role);
});

test("there are keys in every status, in both environments, and more than a page of them", async () => {
  for (const status of ["active", "retiring", "quarantined", "expired", "revoked"])
    assert.ok((await get(`/keys?status=${status}`)).items.length > 0, status);
  for (const environment of ["live", "test"])
    assert.ok((await get(`/keys?environment=${environment}`)).items.length > 0, environment);
  assert.notEqual((await get("/keys?limit=50")).next_cursor, null);
});

test("each key of the past has two weeks of use, by route, and what is counted now is added", async () => {
  assert.ok(pasts.length > 3);
  const days = (back) => new Date(Date.now() - back * 86_400_000).toISOString();
  for (const { id, uses } of pasts) {
    const { items } = await get(`/keys/${id}/usage?step=day&from=${days(14)}`);
    const all = items.flatMap(({ allowed, refused }) => [allowed, ...Object.values(refused)]);
    assert.ok(all.every(Number.isSafeInteger) && all.some((count) => count > 10), id);
    const routes = await get(`/usage?by=route&key=${id}&from=${days(14)}`);
    for (const { route } of uses)
      assert.ok(
        routes.items.some(({ name }) => name === route),
        `${id} ${route}`,
      );
  }
  const lake = pasts.find(({ shape }) => shape === "steady");
  assert.ok((await get(`/keys/${lake.id}/usage?step=day&from=${days(14)}`)).items.length >= 14);
});

test("events were delivered, at once and at the second attempt, and an endpoint waits for its test", async () => {
  const { items: endpoints } = await get("/endpoints");
  assert.deepEqual(endpoints.map(({ status }) => status).sort(), ["enabled", "enabled", "pending"]);
  const delivered = async (type, attempts) => {
    const { items } = await get(`/deliveries?status=delivered&type=${type}&limit=200`);
    return items.some((one) => one.attempts.length === attempts);
  };
  assert.ok(await delivered("key.issued", 1));
  await until("the second attempt succeeds", () => delivered("incident.opened", 2));
});

test("the address of the console has no token once there is an owner", async () => {
  const { control, vars } = settings;
  assert.equal(await consoleAddress(control, vars.BOOTSTRAP_TOKEN), `${control}/`);
});
