// The origins of examples/, each as a process behind the real worker. They accept requests that come through the gate and
// refuse every direct request. The Rust origin takes a minute to compile, so only `npm run examples` tests it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac, createPublicKey } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { jwtOf, keyOf } from "./harness/assertions.mjs";
import { send } from "./harness/client.mjs";
import { startGate } from "./harness/gate.mjs";
import { freePort, skipLoudly, startProgram } from "./harness/programs.mjs";
import { ROOT, ROUTES } from "./harness/settings.mjs";

const ISSUER = "https://keys.acme.example/_keyward";
const all = Boolean(process.env.KEYWARD_TRY_ALL);
const AXUM = join(ROOT, "examples", "origin-axum");

const ORIGINS = {
  "origin-node": {
    start: (port, env) =>
      startProgram(process.execPath, port, () => [join(ROOT, "examples", "origin-node", "server.mjs")], { env }),
  },
  "origin-axum": {
    skip: all ? false : skipLoudly("examples/origin-axum", "It takes a minute to compile: npm run examples."),
    prepare: () =>
      execFileSync("cargo", ["build", "--locked", "--quiet"], {
        cwd: AXUM,
        stdio: "inherit",
        env: { ...process.env, CARGO_TARGET_DIR: join(AXUM, "target") },
      }),
    start: (port, env) => startProgram(join(AXUM, "target", "debug", "origin-axum"), port, () => [], { env }),
  },
};

for (const [name, { skip = false, prepare, start }] of Object.entries(ORIGINS)) {
  describe(name, { skip }, () => {
    let gate;
    let origin;
    let audience;
    const keys = {};

    before(async () => {
      prepare?.();
      const port = await freePort();
      audience = `http://127.0.0.1:${port}`;
      const routes = [{ match: "* /v1/contacts/*", scope: "contacts:read", assertion: "request" }, ...ROUTES];
      gate = await startGate({ vars: { ORIGIN_LIVE: audience, ISSUER, ROUTES: routes } });
      await gate.bootstrap();
      keys.live = await gate.newKey({ integration: "crm-sync" });
      const env = {
        KEYWARD_ISSUER: ISSUER,
        KEYWARD_JWKS: `${gate.url}/_keyward/jwks.json`,
        AUDIENCE: audience,
        PORT: String(port),
      };
      origin = await start(port, env);
    });

    after(async () => {
      await origin?.stop();
      await gate?.stop();
    });

    test("accepts requests that come through the gate, with their identity", async () => {
      for (const path of ["/v1/contacts", "/v1/contacts?page=2", "/v1/contacts/7?a=b", "/v1/contacts/7"]) {
        const answer = await gate.call(path, { key: keys.live.apiKey });
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json, {
          sub: keys.live.id,
          integration: "crm-sync",
          env: "live",
          scope: "contacts:read",
        });
      }
    });

    const now = () => Math.floor(Date.now() / 1000);
    const claims = (changes = {}) => ({
      iss: ISSUER,
      sub: keys.live.id,
      aud: audience,
      iat: now(),
      exp: now() + 60,
      integration: "crm-sync",
      env: "live",
      scope: "contacts:read",
      jti: "x",
      ...changes,
    });
    const direct = (jwt, path = "/v1/contacts", method = "GET") =>
      send(origin.url, path, {
        method,
        headers: {
          "keyward-key-id": keys.live.id,
          "keyward-integration": "crm-sync",
          ...(jwt && { "keyward-assertion": jwt }),
        },
      });

    test("accepts a valid assertion, also within the allowed clock skew", async () => {
      for (const changes of [{}, { iat: now() + 3, exp: now() + 60 }, { iat: now() - 61, exp: now() - 1 }])
        assert.equal((await direct(jwtOf(claims(changes)))).status, 200, JSON.stringify(changes));
      const bound = { htm: "GET", htu: `${audience}/v1/contacts/7` };
      assert.equal((await direct(jwtOf(claims(bound)), "/v1/contacts/7?q=1")).status, 200);
    });

    test("refuses a request without an assertion, whatever its other identity headers say", async () => {
      for (const jwt of [undefined, "", "x", "a.b.c", `Bearer ${jwtOf(claims())}`])
        assert.equal((await direct(jwt)).status, 401, jwt);
    });

    test("refuses an assertion that is expired, for another origin, of another issuer, or for another request", async () => {
      for (const changes of [
        { iat: now() - 120, exp: now() - 60 },
        { aud: "https://other.example" },
        { aud: `${audience}/` },
        { iss: "https://evil.example/_keyward" },
        { htm: "POST" },
        { htu: `${audience}/v1/contacts/8` },
        { exp: undefined },
        { sub: undefined },
        { aud: undefined },
        { iss: undefined },
      ]) {
        assert.equal((await direct(jwtOf(claims(changes)))).status, 401, JSON.stringify(changes));
      }
      const bound = jwtOf(claims({ htm: "GET", htu: `${audience}/v1/contacts/7` }));
      assert.equal((await direct(bound, "/v1/contacts/8")).status, 401);
    });

    test("refuses an assertion that the gate did not sign", async () => {
      const good = jwtOf(claims());
      const [head, , signature] = good.split(".");
      const { jwk } = keyOf();
      const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ format: "pem", type: "spki" });
      const byHmac = (key) => (signed) => createHmac("sha256", key).update(signed).digest();
      for (const [what, jwt] of Object.entries({
        "other claims under the same signature": `${head}.${Buffer.from(JSON.stringify(claims({ scope: "contacts:read contacts:write" }))).toString("base64url")}.${signature}`,
        "no signature": `${head}.${good.split(".")[1]}.`,
        "alg none": jwtOf(claims(), { header: { alg: "none" }, signature: () => "" }),
        "the public key as an HMAC key": jwtOf(claims(), { header: { alg: "HS256" }, signature: byHmac(pem) }),
        "the public key's bytes as an HMAC key": jwtOf(claims(), {
          header: { alg: "HS256" },
          signature: byHmac(Buffer.from(jwk.x, "base64url")),
        }),
        "another secret's key under this one's name": jwtOf(claims(), {
          secret: Buffer.alloc(32, 9).toString("base64"),
          header: { kid: jwk.kid },
        }),
        "another secret's key": jwtOf(claims(), { secret: Buffer.alloc(32, 9).toString("base64") }),
        "a key of its own in the header": jwtOf(claims(), {
          secret: Buffer.alloc(32, 9).toString("base64"),
          header: { jwk: keyOf(Buffer.alloc(32, 9).toString("base64")).jwk },
        }),
      })) {
        assert.equal((await direct(jwt)).status, 401, what);
      }
      assert.equal((await direct(good)).status, 200, "the valid assertion is still accepted");
    });

    test("checks the scope itself", async () => {
      for (const scope of ["", "events:read", "contacts:read:x", "contacts"])
        assert.equal((await direct(jwtOf(claims({ scope })))).status, 403, scope);
    });

    test("answers 503, and neither 200 nor 401, while the keys are unavailable", async () => {
      const [port, nowhere] = [await freePort(), await freePort()];
      const alone = await start(port, {
        KEYWARD_ISSUER: ISSUER,
        KEYWARD_JWKS: `http://127.0.0.1:${nowhere}/jwks.json`,
        AUDIENCE: audience,
        PORT: String(port),
      });
      try {
        assert.equal(
          (await send(alone.url, "/v1/contacts", { headers: { "keyward-assertion": jwtOf(claims()) } })).status,
          503,
        );
      } finally {
        await alone.stop();
      }
    });
  });
}
