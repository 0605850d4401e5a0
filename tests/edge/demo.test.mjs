// `npm run demo` without its setup: the steps fill a local deployment through its API.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DEMO_VARS, fill } from "../../tools/demo/fill.mjs";
import { STEPS } from "../../tools/demo/steps.mjs";
import { startDemoOrigin } from "../../tools/demo-origin.mjs";
import { ensureDevVars, readDevVars } from "../../tools/dev-vars.mjs";
import { consoleAddress } from "../../tools/first-run.mjs";
import { localSettings } from "../../tools/local-settings.mjs";
import { readWranglerToml, startWorker } from "../../tools/local-worker.mjs";
import { testPorts } from "./harness/ports.mjs";

let folder;
let settings;
let worker;
let demo;
let signIns;
const done = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyward-demo-"));
  const devVars = join(folder, ".dev.vars");
  ensureDevVars(devVars);
  const config = readWranglerToml();
  const port = await testPorts();
  settings = localSettings({ shipped: config.vars, devVars: readDevVars(devVars), port });
  demo = await startDemoOrigin(port + 1);
  worker = await startWorker({
    config,
    vars: { ...settings.vars, ...DEMO_VARS },
    ports: settings.ports,
    state: join(folder, "state"),
  });
  const { gate, control, vars } = settings;
  const address = await consoleAddress(control, vars.BOOTSTRAP_TOKEN);
  assert.equal(address, `${control}/#bootstrap=${vars.BOOTSTRAP_TOKEN}`, "while there is no owner");
  signIns = await fill({ gate, control, token: vars.BOOTSTRAP_TOKEN, report: (name) => done.push(name) });
});
after(async () => {
  await worker?.dispose();
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

test("the address of the console has no token once there is an owner", async () => {
  const { control, vars } = settings;
  assert.equal(await consoleAddress(control, vars.BOOTSTRAP_TOKEN), `${control}/`);
});
