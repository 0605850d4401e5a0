// A self-hosted deployment: the folder that `npm run selfhost` makes, run by its own `start` on plain workerd.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { firstBreak } from "./harness/audit-chain.mjs";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { HOSTILE_ROUTES, hostileKeys, judge, perform } from "./harness/hostile.mjs";
import { startReceiver } from "./harness/receiver.mjs";
import { CONTROL_HOST, startSelfHosted } from "./harness/self-hosted.mjs";
import { BUILD_DIR, NEXT_BUILD_DIR, SECRETS } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";
import { openWebSocket } from "./harness/websocket.mjs";
import { credentials } from "./hostile/credentials.mjs";
import { headers } from "./hostile/headers.mjs";
import { hosts } from "./hostile/hosts.mjs";
import { methods } from "./hostile/methods.mjs";
import { paths } from "./hostile/paths.mjs";

const CONTACTS = "/v1/contacts";
const AUDIT = "SELECT seq, at, actor, action, subject, detail, previous, hash FROM audit ORDER BY seq";
const BOUND = 1;

let origin;
before(async () => (origin = await startOrigin()));
after(() => origin?.close());

const settings = (vars = {}) => ({ ORIGIN_LIVE: origin.url, REVOCATION_BOUND_SECONDS: BOUND, ...vars });

async function begin(vars) {
  const deployment = await startSelfHosted({ vars: settings(vars) });
  await deployment.bootstrap();
  return deployment;
}

describe("one process", () => {
  let deployment;
  before(async () => (deployment = await begin()));
  after(() => deployment?.stop());

  test("issues, serves and revokes a key, and the origin learns who calls", async () => {
    const key = await deployment.newKey({ integration: "crm-sync" });
    origin.take();
    const answer = await deployment.call(`${CONTACTS}?a=1`, { key: key.apiKey });
    assert.equal(answer.verdict, "200");
    const [arrived] = origin.take();
    assert.equal(arrived.url, `${CONTACTS}?a=1`);
    assert.deepEqual(values(arrived, "keyward-integration"), ["crm-sync"]);
    assert.deepEqual(values(arrived, "x-forwarded-for"), ["127.0.0.1"]);
    assert.ok(!JSON.stringify(arrived).includes(key.apiKey));

    const revoked = await deployment.revoke(key.id);
    assert.equal(revoked.status, 200, revoked.text);
    await pause(Math.max(0, Date.parse(revoked.json.effective_by) - Date.now()));
    assert.equal((await deployment.call(CONTACTS, { key: key.apiKey })).verdict, "401 revoked_key");
  });

  test("keeps the copies in its own KV service, sealed and until they expire", async () => {
    const key = await deployment.newKey();
    const entry = () =>
      deployment
        .sql("SELECT name, CAST(value AS TEXT) AS value, expires_at FROM entries", { name: "kv" })
        .find(({ name }) => name === `key:${key.id}`);
    const { value, expires_at } = await until("the copy is written", entry);
    assert.ok(expires_at > Date.now() / 1000);
    assert.ok(value.includes(key.id) && !value.includes(key.apiKey));
  });

  test("serves the console at the control plane's socket", async () => {
    const listed = Object.keys(JSON.parse(readFileSync(join(BUILD_DIR, "console", "manifest.json"), "utf8")).files);
    assert.ok(listed.length > 0);
    for (const path of listed) {
      const answer = await deployment.call(path, { headers: { host: CONTROL_HOST }, isGate: false });
      assert.equal(answer.status, 200, path);
      assert.ok(answer.headers["content-security-policy"].startsWith("default-src 'none'"));
    }
  });

  test("serves the control plane at its own socket alone, and the gate never there", async () => {
    const key = await deployment.newKey();
    for (const host of [CONTROL_HOST, CONTROL_HOST.toUpperCase(), `${CONTROL_HOST}.`, `${CONTROL_HOST}:80`]) {
      for (const path of ["/", "/_keyward/v1/me", CONTACTS]) {
        const answer = await deployment.call(path, { key: deployment.owner, isGate: true, headers: { host } });
        assert.equal(answer.verdict, "421 misdirected_request", `${host} ${path}`);
        assert.match(answer.pinned, /"request_id":"<request id>"/);
      }
    }
    const others = [undefined, "api.acme.example", "127.0.0.1"].map((host) => (host ? { host } : {}));
    for (const header of others) {
      const asked = { key: key.apiKey, isGate: false, headers: { host: "x.example", ...header } };
      assert.equal((await deployment.call(CONTACTS, asked)).verdict, "421 misdirected_request");
    }
    assert.equal((await deployment.call("/_keyward/v1/me", { key: deployment.owner, isGate: true })).status, 404);
    assert.equal((await deployment.call("/_keyward/v1/me", { key: deployment.owner })).status, 200);
  });

  test("passes WebSockets", async () => {
    const key = await deployment.newKey();
    const socket = await openWebSocket(deployment.url, `${CONTACTS}/live`, { authorization: `Bearer ${key.apiKey}` });
    assert.equal(socket.status, 101);
    assert.equal(await socket.say("hello"), "echo: hello");
    socket.drop();
  });

  test("shows no secret in its arguments, its log and its files, and lets nobody else read the data", () => {
    assert.ok(deployment.commandLine().includes("serve"));
    const readable = [
      deployment.commandLine(),
      ...deployment.logs,
      readFileSync(join(deployment.release, "config.capnp"), "utf8"),
    ];
    for (const secret of Object.values(SECRETS)) assert.ok(!readable.some((text) => text.includes(secret)));
    for (const name of ["data", join("data", "objects")])
      assert.equal(statSync(join(deployment.folder, name)).mode & 0o077, 0, name);
  });

  test("a second process over the same data is refused", () => {
    const second = spawnSync(join(deployment.release, "start"), [join(deployment.folder, "settings")], {
      encoding: "utf8",
    });
    assert.equal(second.status, 78);
    assert.ok(second.stderr.includes(`is in use by process ${deployment.pid}`), second.stderr);
  });
});

describe("the client behind a proxy", () => {
  let deployment;
  let key;
  const PROXY = "127.0.0.5";
  const NETWORK = "203.0.113.0/24";
  before(async () => {
    deployment = await begin({ TRUSTED_PROXIES: `${PROXY}, 198.51.100.0/24` });
    key = await deployment.newKey({ allowed_cidrs: [NETWORK] });
  });
  after(() => deployment?.stop());

  const verdict = async (headers, from = PROXY) =>
    (await deployment.call(CONTACTS, { key: key.apiKey, from, headers })).verdict;

  test("has the address that a trusted proxy appends, and no other proxy and no header of its own counts", async () => {
    assert.equal(await verdict({ "x-forwarded-for": "203.0.113.9" }), "200");
    assert.equal(await verdict({ "x-forwarded-for": "192.0.2.1, 203.0.113.9, 198.51.100.7" }), "200");
    for (const forged of [
      {},
      { "x-forwarded-for": "203.0.113.9, 192.0.2.1" },
      { "x-forwarded-for": "203.0.113.9, nonsense" },
      { "x-forwarded-for": "192.0.2.1", "cf-connecting-ip": "203.0.113.9", "x-real-ip": "203.0.113.9" },
      { "cf-connecting-ip": "203.0.113.9" },
      { CF_Connecting_IP: "203.0.113.9" },
    ])
      assert.equal(await verdict(forged), "403 address_not_allowed", JSON.stringify(forged));
    for (const from of ["127.0.0.1", "127.0.0.6"])
      assert.equal(await verdict({ "x-forwarded-for": "203.0.113.9" }, from), "403 address_not_allowed", from);
  });

  test("is the one whose address the origin gets, and nothing of the edge that a client wrote", async () => {
    origin.take();
    await verdict({ "x-forwarded-for": "1.2.3.4, 203.0.113.9", "cf-ipcountry": "DE", CF_Ray: "1" });
    const [arrived] = origin.take();
    assert.deepEqual(values(arrived, "x-forwarded-for"), ["203.0.113.9"]);
    assert.deepEqual(values(arrived, "x-real-ip"), ["203.0.113.9"]);
    assert.deepEqual(
      arrived.headers.filter(([name]) => /^cf[^a-z]/.test(name)),
      [["cf-connecting-ip", "203.0.113.9"]],
    );
  });

  test("has the scheme that a trusted proxy says, and otherwise plain HTTP", async (t) => {
    const open = await deployment.newKey();
    await deployment.end("SIGTERM");
    await deployment.start({ REQUIRE_HTTPS: true });
    t.after(async () => {
      await deployment.end("SIGTERM");
      await deployment.start({ REQUIRE_HTTPS: false });
    });
    const asked = (from, headers) => deployment.call(CONTACTS, { key: open.apiKey, from, headers });
    const https = { "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9" };
    const accepted = await asked(PROXY, https);
    assert.equal(accepted.verdict, "200");
    assert.deepEqual(values(origin.take().at(-1), "x-forwarded-proto"), ["https"]);
    for (const [from, headers] of [
      [PROXY, {}],
      [PROXY, { ...https, "x-forwarded-proto": "http" }],
      ["127.0.0.1", https],
      ["127.0.0.1", { ...https, "x-forwarded-proto": "HTTPS" }],
    ])
      assert.equal((await asked(from, headers)).verdict, "403 insecure_transport", JSON.stringify([from, headers]));
    for (const scheme of ["https, http", "ftp", "javascript"])
      assert.equal((await asked(PROXY, { "x-forwarded-proto": scheme })).verdict, "400 bad_path", scheme);
    const secure = await deployment.call("/_keyward/v1/me", { key: deployment.owner, from: PROXY, headers: https });
    assert.equal(secure.status, 200);
    assert.ok(secure.headers["strict-transport-security"]);
  });

  test("does not change its path by a false scheme", async () => {
    const line = (target, headers) =>
      `GET ${target} HTTP/1.1\r\nHost: a\r\n${headers}X-API-Key: ${key.apiKey}\r\nConnection: close\r\n\r\n`;
    for (const target of ["/v1/x/../contacts", "/v1/%2e%2e/v1/contacts", "/v1\\contacts"])
      for (const header of ["", "X-Forwarded-Proto: https\r\n"])
        assert.equal((await deployment.raw(line(target, header))).verdict, "400 bad_path", `${target} ${header}`);
  });
});

test("a spelling of CONTROL_HOST that the worker takes for another host is served at no socket", async (t) => {
  const deployment = await startSelfHosted({ vars: settings({ CONTROL_HOST: "10.0.0.1" }) });
  t.after(() => deployment.stop());
  const verdict = async (host, isGate) => (await deployment.call(CONTACTS, { isGate, headers: { host } })).verdict;
  assert.equal(await verdict("api.acme.example", true), "401 missing_key");
  assert.equal((await deployment.call("/_keyward/v1/me", { headers: { host: "10.0.0.1" } })).status, 401);
  for (const host of ["10.1", "167772161", "0xa.0.0.1", "10.0.0.1."])
    for (const isGate of [true, false]) assert.equal(await verdict(host, isGate), "421 misdirected_request", host);
});

test("a wrong setting closes both sockets, and the log names it", async (t) => {
  const deployment = await startSelfHosted({ vars: settings({ TRUSTED_PROXIES: "10.0.0.1/8" }) });
  t.after(() => deployment.stop());
  assert.equal((await deployment.call(CONTACTS)).verdict, "500 misconfigured");
  assert.equal((await deployment.call("/_keyward/v1/me")).verdict, "500 misconfigured");
  assert.equal((await deployment.call("/_keyward/health", { isGate: true })).status, 503);
  const named = deployment.logs.filter((line) => line.includes('"TRUSTED_PROXIES"'));
  assert.equal(named.length, 1, deployment.logs.join("\n"));
  await deployment.end("SIGTERM");
  await deployment.start({ TRUSTED_PROXIES: "", MAX_KEY_DAYS: 0 });
  assert.equal((await deployment.call(CONTACTS)).verdict, "500 misconfigured");
  await until("the log names it", () => deployment.logs.some((line) => line.includes('"MAX_KEY_DAYS"')));
});

describe("the data", () => {
  let deployment;
  let receiver;
  before(async () => {
    receiver = await startReceiver();
    deployment = await begin({ EVENT_HOSTS: ["localhost:*"], ISSUER: "https://gate.example/_keyward" });
  });
  after(async () => {
    await deployment?.stop();
    receiver?.close();
  });

  const keys = async () => {
    const { items } = (await deployment.call("/_keyward/v1/keys?limit=200", { key: deployment.owner })).json;
    return items.map(({ id, status }) => `${id} ${status}`).sort();
  };
  const accepted = async ({ apiKey }) => (await deployment.call(CONTACTS, { key: apiKey })).verdict;

  test("survives a restart: members, keys, the audit log, and work that falls due", async () => {
    const url = `${receiver.url}/hook`;
    const post = (path, json) =>
      deployment.call(`/_keyward/v1/${path}`, { method: "POST", key: deployment.owner, json });
    const made = await post("endpoints", { url });
    assert.equal(made.status, 201, made.text);
    assert.equal((await post(`endpoints/${made.json.endpoint.id}/test`, {})).json.delivered, true);

    const good = await deployment.newKey();
    const brief = await deployment.newKey({ expires_at: new Date(Date.now() + 2_000).toISOString() });
    const revoked = await deployment.newKey();
    await deployment.revoke(revoked.id);
    assert.equal(await accepted(good), "200");
    const listed = await keys();
    const audit = deployment.sql(AUDIT);

    assert.equal(await deployment.end("SIGTERM"), 0);
    await deployment.start();
    assert.deepEqual(deployment.sql(AUDIT).slice(0, audit.length), audit, "the log goes on where it was");
    assert.equal(firstBreak(deployment.sql(AUDIT)), null);
    assert.equal(await accepted(good), "200");
    assert.equal(await accepted(revoked), "401 revoked_key");
    // The alarm of the expiry was set before the restart.
    await until(
      "the event of the expiry",
      () => receiver.at("/hook", "key.expired").some(({ body }) => body.includes(brief.id)),
      {
        within: 20_000,
      },
    );
    const now = await keys();
    assert.deepEqual(
      now,
      listed.map((line) => line.replace(`${brief.id} active`, `${brief.id} expired`)),
    );
  });

  test("is copied while it is in use, all of one moment, and a restore brings that moment back", async () => {
    const kept = await deployment.newKey();
    const undone = await deployment.newKey();
    let isOver = false;
    const clients = Array.from({ length: 4 }, async () => {
      const verdicts = new Set();
      while (!isOver) verdicts.add(await accepted(kept));
      return [...verdicts];
    });
    const copy = join(deployment.folder, "copy");
    const copied = await deployment.backup(copy);
    isOver = true;
    assert.deepEqual([copied.status, copied.stderr], [0, ""]);
    assert.deepEqual((await Promise.all(clients)).flat(), ["200", "200", "200", "200"]);
    assert.equal((await deployment.backup(copy)).status, 1, "an earlier copy is not overwritten");

    await deployment.revoke(undone.id);
    const lost = await deployment.newKey();
    const later = deployment.sql(AUDIT);
    await until("the revocation holds", async () => (await accepted(undone)) === "401 revoked_key");

    // As docs/operations/self-hosting.md says.
    await deployment.end("SIGTERM");
    renameSync(deployment.data, `${deployment.data}.old`);
    cpSync(copy, join(deployment.data, "objects"), { recursive: true });
    await deployment.start({ AUTHORITY_EPOCH: "2026-11-27-restore" });
    assert.equal(await accepted(undone), "200", "the revocation came after the copy");
    assert.equal(await accepted(lost), "401 invalid_key");
    assert.equal(await accepted(kept), "200");
    await until("the epoch", () => deployment.logs.some((line) => line.includes('"epoch_began"')));
    const restored = deployment.sql(AUDIT);
    assert.equal(firstBreak(restored), null);
    const missing = later.slice(later.findIndex(({ hash }, at) => hash !== restored[at]?.hash));
    assert.deepEqual(
      missing.map(({ action, subject }) => `${action} ${subject}`),
      [`key.revoke ${undone.id}`, `key.issue ${lost.id}`],
    );
    await deployment.revoke(undone.id);
    await until("it is revoked again", async () => (await accepted(undone)) === "401 revoked_key");
    rmSync(`${deployment.data}.old`, { recursive: true });
  });

  test("is copied only if the process that the lock names holds it, and no other is paused", async (t) => {
    const stranger = spawn("sleep", ["60"]);
    t.after(() => stranger.kill("SIGKILL"));
    const copy = join(deployment.folder, "unlocked");
    const lock = join(deployment.data, "lock");
    const written = readFileSync(lock, "utf8");
    for (const [content, problem] of [
      ["-1", "names no process"],
      ["", "names no process"],
      [String(stranger.pid), "does not hold"],
    ]) {
      writeFileSync(lock, content);
      const { status, stderr } = await deployment.backup(copy);
      assert.equal(status, 1, content);
      assert.ok(stderr.includes(problem), stderr);
    }
    writeFileSync(lock, written);
    assert.equal((await deployment.backup(copy)).status, 0);
  });

  test("is copied by one backup at a time, and the copy of another remains", async (t) => {
    const copy = join(deployment.folder, "shared");
    const planted = join(`${copy}.partial`, "half");
    mkdirSync(`${copy}.partial`);
    writeFileSync(planted, "");
    const other = spawn("flock", [join(deployment.data, "backup.lock"), "cat"], { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => other.stdin.end());
    other.stdin.write("locked");
    await once(other.stdout, "data");
    const refused = await deployment.backup(copy);
    assert.equal(refused.status, 1);
    assert.ok(refused.stderr.includes("another backup"), refused.stderr);
    assert.ok(existsSync(planted));

    other.stdin.end();
    await once(other, "exit");
    assert.equal((await deployment.backup(copy)).status, 0);
    assert.ok(!readdirSync(copy).includes("half"), "the rest of a backup that was killed is not in the copy");
    assert.ok(readdirSync(copy).includes("registry"));
  });

  test("is copied while nothing runs, and nothing starts meanwhile", async () => {
    const listed = await keys();
    await deployment.end("SIGTERM");
    const copy = join(deployment.folder, "cold");
    assert.equal((await deployment.backup(copy)).status, 0);
    const files = (folder) => readdirSync(folder, { recursive: true }).map(String).sort();
    assert.deepEqual(files(copy), files(join(deployment.data, "objects")));
    await deployment.start();
    assert.deepEqual(await keys(), listed);
  });

  test("stays in place at an upgrade, and at the way back", async () => {
    const before = await deployment.newKey();
    for (const build of [NEXT_BUILD_DIR, BUILD_DIR]) {
      const listed = await keys();
      // The files are replaced under the running process, which goes on.
      deployment.install(build);
      assert.equal(await accepted(before), "200");
      assert.equal(await deployment.end("SIGTERM"), 0);
      await deployment.start();
      assert.deepEqual(await keys(), listed);
      assert.equal(await accepted(before), "200");
      const added = await deployment.newKey();
      assert.equal(await accepted(added), "200");
      const copy = await until("the copy is written", () =>
        deployment
          .sql("SELECT name, CAST(value AS TEXT) AS value FROM entries", { name: "kv" })
          .find(({ name }) => name === `key:${added.id}`),
      );
      assert.equal(copy.value.includes('"trial"'), build === NEXT_BUILD_DIR, "the version that runs wrote it");
    }
    assert.equal(firstBreak(deployment.sql(AUDIT)), null);
  });
});

describe("hostile requests", () => {
  /** @type {any} */
  const self = {};
  /** @type {Record<string, (keys: any) => any[]>} */
  const tables = { paths, hosts, credentials, headers, methods };
  before(async () => {
    self.origin = origin;
    self.gate = await startSelfHosted({ vars: { ORIGIN_LIVE: origin.url, ROUTES: HOSTILE_ROUTES } });
    self.keys = await hostileKeys(self.gate);
  });
  after(() => self.gate?.stop());

  // The other tables and these rows are about the control plane, which has a socket of its own here, and about the header in which the
  // front tells the address: it replaces a client's, and is one of the 100 headers.
  const others = new Set([
    "a wrong method of Keyward's own path",
    "HEAD of a path that only takes POST",
    "a forged address in addition to the edge's own",
    "no address at all",
    "100 headers",
  ]);

  for (const [name, table] of Object.entries(tables)) {
    test(`${name}: the answers are those of plain workerd`, async (t) => {
      for (const row of table(self.keys).filter(({ what }) => !others.has(what)))
        await t.test(row.what, async () => judge(row, await perform(row, self)));
    });
  }

  test("the rows that are left out are in the tables", () => {
    const all = new Set(Object.values(tables).flatMap((table) => table(self.keys).map(({ what }) => what)));
    for (const what of others) assert.ok(all.has(what), what);
  });

  test("a body that breaks off is 400, and no whole body reaches the origin", async () => {
    origin.take();
    const head = `POST /v1/write HTTP/1.1\r\nHost: a\r\nX-API-Key: ${self.keys.key}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const answer = await self.gate.raw(`${head}5\r\nhello\r\nzz\r\n`);
    assert.equal(answer.verdict, "400 invalid_body");
    assert.ok(origin.take().every(({ body }) => body === null));
  });
});
