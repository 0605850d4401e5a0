// The real command line against the real worker.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { startOrigin } from "../edge/harness/echo-origin.mjs";
import { startGate } from "../edge/harness/gate.mjs";
import { until } from "../edge/harness/wait.mjs";
import { User } from "./harness.mjs";

let gate;
let origin;
let user;

const NEW_KEY = [
  ...["keys", "issue", "--environment", "live", "--purpose", "Nightly contact sync"],
  ...["--owner", "ops@acme.example", "--scope", "contacts:read"],
];
const named = (name) => ["--name", name, "--integration", name.toLowerCase().replaceAll(" ", "-")];
const call = (key) => gate.call("/v1/contacts", { key });
const view = async (id) => (await gate.call(`/_keyward/v1/keys/${id}`, { key: gate.owner })).json;

/** Issues a key into a file and returns `{id, apiKey}`. */
async function issue(name) {
  const { stdout } = await user.expect(0, [...NEW_KEY, ...named(name), "--to", "exec:cat > received"]);
  return { id: stdout.split(" ")[0], apiKey: user.read("received") };
}

before(async () => {
  origin = await startOrigin();
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url } });
  await gate.bootstrap();
  user = new User();
  const login = ["login", "--url", gate.url, "--credential-file", user.path("credential")];
  await user.expect(0, login, { input: `${gate.owner}\n` });
});
after(async () => {
  user?.remove();
  await gate?.stop();
  await origin?.close();
});

describe("keys", () => {
  test("a key that was piped to a program works at the gate, and the command line shows and keeps none of it", async () => {
    const { id, apiKey } = await issue("CRM sync");
    assert.equal((await call(apiKey)).status, 200);
    assert.ok(apiKey.startsWith(`${id}_`));
    writeFileSync(user.path("received"), "");
    assert.ok(!user.shown.includes(apiKey.slice(30)));
    assert.ok(!user.files().includes(apiKey.slice(30)));
    const listed = await user.json(["keys", "list", "--search", "crm"]);
    assert.deepEqual(
      listed.items.map((key) => key.id),
      [id],
    );
    assert.match((await user.expect(0, ["keys", "show", id])).stdout, /^integration {2}crm-sync$/m);
  });

  test("a change, a rotation and a revocation take hold", async () => {
    const { id } = await issue("Shop");
    await user.expect(0, ["keys", "update", id, "--add-scope", "events:read", "--network", "192.0.2.7"]);
    assert.deepEqual((await view(id)).allowed_cidrs, ["192.0.2.7/32"]);
    await user.expect(0, ["keys", "update", id, "--any-network", "--remove-scope", "events:read"]);
    assert.deepEqual((await view(id)).scopes, ["contacts:read"]);

    await user.expect(0, ["keys", "rotate", id, "--overlap", "1h", "--to", "exec:cat > received"]);
    assert.equal((await call(user.read("received"))).status, 200);
    assert.equal((await view(id)).status, "retiring");
    await user.expect(0, ["keys", "extend-rotation", id, "--overlap", "2h"]);
    await user.expect(0, ["keys", "finish-rotation", id]);
    assert.equal((await view(id)).status, "expired");

    const { successor } = await view(id);
    const { stdout } = await user.expect(0, ["keys", "revoke", successor, "--reason", "Leaked", "--yes"]);
    assert.match(stdout, /is revoked: Leaked\.\nIn effect everywhere by .+ guaranteed/);
    assert.equal((await view(successor)).revoke_reason, "Leaked");
  });

  test("a key that did not reach its program is revoked at the deployment", async () => {
    const outcome = await user.expect(1, [...NEW_KEY, ...named("Lost"), "--to", "exec:exit 9"]);
    const [, id] = /(\w+) was revoked\./.exec(outcome.stderr);
    assert.equal((await view(id)).status, "revoked");
    // So the integration is free again.
    await issue("Lost");
  });

  test("a refusal shows the deployment's own words, the field and a next step", async () => {
    const outcome = await user.expect(1, [...NEW_KEY, ...named("Wide"), "--scope", "all:of-it", "--show"]);
    assert.match(
      outcome.stderr,
      /^error: .+Known scopes: contacts:read.+\n {2}field: scopes\[1\]\n {2}request: \w+\n {2}next: /,
    );
    assert.equal(outcome.stdout, "");
    await user.expect(1, ["keys", "show", "wafl_live_000000000000"]);
  });
});

test("every list and view of the command line is one that the deployment accepts", async () => {
  const { id } = await issue("Listed");
  for (const what of ["keys", "members", "claims", "incident", "endpoints", "events"])
    assert.ok(Array.isArray((await user.json([what, "list"])).items), what);
  assert.deepEqual((await user.json(["keys", "exposures", id])).items, []);
  await user.expect(0, ["endpoints", "key"]);
  await user.expect(0, ["posture"]);
  await user.expect(0, ["usage"]);
});

test("members can be made, changed, given another credential, and revoked", async () => {
  const create = ["members", "create", "--name", "Mia", "--email", "mia@acme.example", "--role", "manager"];
  await user.expect(0, [...create, "--environment", "test", "--to", "exec:cat > mia"]);
  const mia = new User({ KEYWARD_URL: gate.url, KEYWARD_CREDENTIAL: user.read("mia") });
  try {
    const { id } = await mia.json(["whoami"]);
    const refused = await mia.expect(3, [...NEW_KEY, ...named("Forbidden"), "--show"]);
    assert.match(refused.stderr, /next: `keyward whoami` shows your role/);
    await user.expect(0, ["members", "update", id, "--role", "auditor", "--all-environments"]);
    assert.equal((await mia.json(["whoami"])).role, "auditor");
    await user.expect(0, ["members", "rotate", id, "--to", "exec:cat > mia"]);
    await mia.expect(3, ["whoami"]);
    await mia.expect(0, ["whoami"], { variables: { KEYWARD_CREDENTIAL: user.read("mia") } });
    await user.expect(0, ["members", "revoke", id, "--yes"]);
    assert.equal((await user.json(["members", "show", id])).status, "revoked");
  } finally {
    mia.remove();
  }
});

test("a leaked key that a scan found is revoked by its holder's right alone", async () => {
  const { id, apiKey } = await issue("Leaky");
  user.folder("tree");
  writeFileSync(user.path("tree/app.env"), `KEY=${apiKey}\n`);
  const stranger = new User({ KEYWARD_URL: gate.url });
  try {
    const { stdout } = await stranger.expect(10, ["scan", user.path("tree"), "--revoke", "--yes"]);
    assert.ok(stdout.includes(id) && !stdout.includes(apiKey.slice(30)));
    assert.deepEqual([(await view(id)).status, (await view(id)).revoked_by], ["revoked", "holder"]);
  } finally {
    stranger.remove();
  }
});

test("the audit log is exported, continued, and verified offline with a pinned key and an old checkpoint", async () => {
  const first = await user.json(["audit", "export", "audit"]);
  writeFileSync(user.path("kept.txt"), user.read("audit/checkpoint.txt"));
  writeFileSync(user.path("pinned.vkey"), user.read("audit/audit.vkey"));
  await issue("Audited");
  const second = await user.json(["audit", "export", "audit"]);
  assert.equal(second.new, second.entries - first.entries);
  const verify = ["audit", "verify", "audit", "--key", "@pinned.vkey", "--checkpoint", "kept.txt"];
  const { stdout } = await user.expect(0, verify);
  assert.ok(!stdout.includes("not checked"), stdout);
  writeFileSync(user.path("audit/audit.ndjson"), user.read("audit/audit.ndjson").replace("key.issue", "key.update"));
  await user.expect(10, verify);
});

test("keys as code: an export has no difference, and an application makes the deployment that of the file", async () => {
  const { stdout: file } = await user.expect(0, ["export"]);
  writeFileSync(user.path("keys.toml"), file);
  await user.expect(0, ["plan", "keys.toml", "--prune"]);

  const wanted = `${file.replace("Nightly contact sync", "Hourly contact sync")}
[[key]]
name = "From a file"
integration = "from-a-file"
environment = "live"
purpose = "Shows keys as code"
owner = "ops@acme.example"
scopes = ["events:read"]
expires_in_days = 30
to = "exec:cat > received"
`;
  writeFileSync(user.path("keys.toml"), wanted);
  await user.expect(10, ["plan", "keys.toml"]);
  await user.expect(0, ["apply", "keys.toml"]);
  await user.expect(0, ["plan", "keys.toml"]);
  const [key] = (await user.json(["keys", "list", "--integration", "from-a-file"])).items;
  assert.ok(user.read("received").startsWith(key.id));

  writeFileSync(user.path("keys.toml"), file);
  await user.expect(0, ["apply", "keys.toml", "--prune", "--yes"]);
  assert.equal((await view(key.id)).status, "revoked");
});

test("the usage of a key is shown once its requests are reported, and totals name it", async () => {
  const { id, apiKey } = await issue("Counted");
  assert.equal((await call(apiKey)).status, 200);
  const steps = ["usage", id, "--since", "2h", "--step", "minute"];
  const isCounted = async () => (await user.json(steps)).items.some((item) => item.allowed > 0);
  await until("the request is counted", isCounted, { every: 200 });
  assert.match((await user.expect(0, steps)).stdout, /^allowed {2,}1, at most 1 in one minute$/m);
  const { stdout } = await user.expect(0, ["usage", "--by", "key"]);
  assert.match(stdout, new RegExp(`^${id} +1 +0$`, "m"));
});
