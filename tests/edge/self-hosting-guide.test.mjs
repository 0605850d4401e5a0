// docs/operations/self-hosting.md: every `sh` block in the order of the page, as a new operator would paste it, and the proxy of nginx.conf.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { assemble } from "../../tools/selfhost.mjs";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { testPorts } from "./harness/ports.mjs";
import { findProgram, freePort, skipLoudly, startProgram } from "./harness/programs.mjs";
import { CONTROL_HOST, startSelfHosted } from "./harness/self-hosted.mjs";
import { ROOT } from "./harness/settings.mjs";

let origin;
before(async () => (origin = await startOrigin()));
after(() => origin?.close());

/** Runs a script of a shell, and returns its status and what it wrote. */
function run(script, folder) {
  const child = spawn("sh", ["-eu", "-c", script], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let shown = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (shown += text));
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, shown })));
}

test("every command of the guide to self-hosting works as written", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "keyward-selfhost-guide-"));
  t.after(() => {
    // What the page leaves running is one of ours, and holds the lock.
    spawnSync("sh", ["-c", 'kill -9 "$(cat release/data/lock)"; flock release/data/lock true'], { cwd: folder });
    rmSync(folder, { recursive: true, force: true });
  });
  assemble(join(folder, "release"));
  const page = readFileSync(join(ROOT, "docs", "operations", "self-hosting.md"), "utf8");
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  assert.ok(blocks.length >= 6, `${blocks.length} blocks`);
  const port = await testPorts();
  // The page's ports and folder, in this test's own places. The end of the page stops what it has started.
  const script = [...blocks, 'kill "$(cat data/lock)"\nflock data/lock true\n']
    .map((block, index) => `echo "== ${index + 1}"\n${block}`)
    .join("\n")
    .replaceAll("http://127.0.0.1:3000", origin.url)
    .replaceAll("./start etc/settings &", "./start etc/settings >> log 2>&1 &")
    .replaceAll(
      "CONTROL_HOST=localhost:8788",
      "CONTROL_HOST=localhost:8788\nLISTEN_GATE=127.0.0.1:8787\nLISTEN_CONTROL=127.0.0.1:8788",
    )
    .replaceAll("8787", String(port))
    .replaceAll("8788", String(port + 1))
    .replaceAll("dist/selfhost", "release");
  // Each start serves, and once there is a key, requests with it.
  const serves = `
curl -sSf --retry 30 --retry-connrefused --retry-delay 1 http://127.0.0.1:${port}/_keyward/health
[ -z "\${KEY-}" ] || curl -sSf http://127.0.0.1:${port}/v1/contacts -H "Authorization: Bearer $KEY"
`;
  const checked = script.replaceAll("log 2>&1 &", (line) => `${line}${serves}`);
  const { status, shown } = await run(checked, folder);
  assert.equal(status, 0, `${checked}\n${shown}`);
  assert.equal(origin.take().filter(({ url }) => url === "/v1/contacts").length, 4);
  assert.match(readFileSync(join(folder, "release", "log"), "utf8"), /"epoch_began"/);
});

describe("nginx.conf of a release", () => {
  const program = findProgram("nginx");
  const skip = program
    ? false
    : skipLoudly("nginx in front of a self-hosted gate", "Debian: apt-get install nginx-light");
  let deployment;
  let nginx;
  let port;
  let key;

  before(async () => {
    if (skip) return;
    deployment = await startSelfHosted({
      vars: { ORIGIN_LIVE: origin.url, REQUIRE_HTTPS: true, TRUSTED_PROXIES: "127.0.0.1" },
    });
    port = await freePort();
    nginx = await startProgram(program, port, (folder) => {
      for (const name of ["api", "keys"])
        spawnSync("openssl", [
          "req",
          "-x509",
          "-newkey",
          "rsa:2048",
          "-nodes",
          "-days",
          "2",
          "-subj",
          `/CN=${name}`,
          "-keyout",
          join(folder, `${name}.key`),
          "-out",
          join(folder, `${name}.pem`),
        ]);
      const shipped = readFileSync(join(deployment.release, "nginx.conf"), "utf8")
        .replaceAll("127.0.0.1:8787", `127.0.0.1:${deployment.port}`)
        .replaceAll("127.0.0.1:8788", `127.0.0.1:${deployment.controlPort}`)
        .replaceAll("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
        .replaceAll("/etc/keyward/tls", folder)
        .replaceAll("keys.example.com", CONTROL_HOST);
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${folder}/${name};`)
        .join("\n");
      mkdirSync(join(folder, "logs"));
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off;\npid ${folder}/pid;\nevents {}\nhttp {\naccess_log off;\n${temporary}\n${shipped}\n}\n`,
      );
      return ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
    });
    const owner = await call("/_keyward/v1/bootstrap", CONTROL_HOST, {
      method: "POST",
      headers: { authorization: "Bearer bootstrap-token-of-the-edge-tests", "content-type": "application/json" },
      body: JSON.stringify({ name: "Olive Owner", email: "olive@acme.example" }),
    });
    assert.equal(owner.status, 201, owner.text);
    deployment.owner = JSON.parse(owner.text).api_key;
    const issued = await call("/_keyward/v1/keys", CONTROL_HOST, {
      method: "POST",
      headers: { authorization: `Bearer ${deployment.owner}`, "content-type": "application/json" },
      body: JSON.stringify({
        name: "CRM",
        integration: "crm",
        environment: "live",
        purpose: "sync",
        owner: "a@acme.example",
        scopes: ["contacts:read"],
        allowed_cidrs: ["127.0.0.2/32"],
      }),
    });
    assert.equal(issued.status, 201, issued.text);
    key = JSON.parse(issued.text).api_key;
  });
  after(async () => {
    await nginx?.stop();
    await deployment?.stop();
  });

  /** Sends a request through nginx. @returns {Promise<{ status: number, text: string }>} */
  function call(path, host, { method = "GET", headers = {}, body, from = "127.0.0.1" } = /** @type {any} */ ({})) {
    return new Promise((resolve, reject) => {
      const options = {
        port,
        host: "127.0.0.1",
        servername: host,
        path,
        method,
        rejectUnauthorized: false,
        localAddress: from,
        headers: { host, ...headers },
      };
      const sent = request(options, (response) => {
        let text = "";
        response.on("data", (part) => (text += part));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on("error", reject);
      sent.end(body);
    });
  }

  test("tells the gate who the client is, whatever the client says", { skip }, async () => {
    const asked = (from, headers = {}) =>
      call("/v1/contacts?a=%20b", "api.example.com", { from, headers: { authorization: `Bearer ${key}`, ...headers } });
    origin.take();
    assert.equal((await asked("127.0.0.2")).status, 200);
    const [arrived] = origin.take();
    assert.equal(arrived.url, "/v1/contacts?a=%20b");
    assert.deepEqual(values(arrived, "x-forwarded-for"), ["127.0.0.2"]);
    assert.deepEqual(values(arrived, "x-forwarded-proto"), ["https"]);
    assert.deepEqual(values(arrived, "x-forwarded-host"), ["api.example.com"]);
    for (const forged of [{}, { "x-forwarded-for": "127.0.0.2" }, { "cf-connecting-ip": "127.0.0.2" }])
      assert.equal((await asked("127.0.0.3", forged)).status, 403, JSON.stringify(forged));
    assert.equal((await asked("127.0.0.2", { "x-forwarded-proto": "http" })).status, 200);
  });

  test("keeps gate and control plane apart, and serves the console", { skip }, async () => {
    assert.equal((await call("/", CONTROL_HOST)).status, 200);
    assert.equal((await call("/v1/contacts", CONTROL_HOST)).status, 421);
    assert.equal((await call("/_keyward/v1/me", "api.example.com")).status, 404);
  });
});
