// Keyward-Assertion and its verification keys, checked with node:crypto from the documentation alone and with a JOSE library on a
// remote JWKS.

import assert from "node:assert/strict";
import { createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, customFetch, jwtVerify } from "jose";
import { keyOf } from "./harness/assertions.mjs";
import { startOrigin, values } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { ROOT, ROUTES, SECRETS } from "./harness/settings.mjs";
import { ahead, until } from "./harness/wait.mjs";

const JWKS = "/_keyward/jwks.json";
const NEW_SECRET = Buffer.alloc(32, 9).toString("base64");
const vectors = JSON.parse(readFileSync(join(ROOT, "tests", "vectors", "assertion.json"), "utf8"));

const decoded = (part) => JSON.parse(Buffer.from(part, "base64url").toString());

/** Returns the claims of a JWT after checking its signature with the key of a secret. */
function verified(jwt, secret = SECRETS.KEYWARD_SECRET) {
  const { key, jwk } = keyOf(secret);
  const [head, payload, signature] = jwt.split(".");
  assert.deepEqual(decoded(head), { alg: "EdDSA", kid: jwk.kid, typ: "JWT" });
  assert.ok(
    verify(null, Buffer.from(`${head}.${payload}`), createPublicKey(key), Buffer.from(signature, "base64url")),
    "the signature",
  );
  return decoded(payload);
}

describe("the vectors", () => {
  test("equal what node:crypto derives from the secret, and verify", () => {
    const { key, jwk } = keyOf(vectors.keyward_secret);
    assert.deepEqual(vectors.jwk, jwk);
    for (const { jwt, claims } of [vectors.kept, vectors.own]) {
      assert.deepEqual(verified(jwt, vectors.keyward_secret), claims);
      const signed = jwt.slice(0, jwt.lastIndexOf("."));
      assert.equal(sign(null, Buffer.from(signed), key).toString("base64url"), jwt.split(".")[2]);
    }
  });
});

describe("at the origin", () => {
  let origin;
  let made;
  let gate;
  const keys = {};
  const routes = [{ match: "* /v1/bound/*", scope: "contacts:read", assertion: "request" }, ...ROUTES];

  before(async () => {
    [origin, made] = [await startOrigin(), await startOrigin()];
    gate = await startGate({
      instrumented: true,
      vars: { ORIGIN_LIVE: origin.url, ORIGIN_TEST: made.url, ROUTES: routes, REVOCATION_BOUND_SECONDS: 1 },
    });
    await gate.bootstrap();
    keys.live = await gate.newKey({ integration: "crm-sync", scopes: ["contacts:read", "contacts:write"] });
    keys.test = await gate.newKey({ integration: "crm-sync", environment: "test" });
    keys.brief = await gate.newKey({ integration: "brief", expires_at: ahead(40_000) });
  });

  after(async () => {
    await gate?.stop();
    await origin?.close();
    await made?.close();
  });

  async function arrived(path, request) {
    const answer = await gate.call(path, request);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  }
  async function assertion(path, request) {
    const found = values(await arrived(path, request), "keyward-assertion");
    assert.equal(found.length, 1);
    return found[0];
  }

  test("an accepted request carries an assertion of its identity, for this origin, valid for at most a minute", async () => {
    const before = Math.floor(Date.now() / 1000);
    const claims = verified(await assertion("/v1/contacts?q=1", { key: keys.live.apiKey }));
    const { iat, exp, jti, ...rest } = claims;
    assert.deepEqual(rest, {
      iss: `${gate.url}/_keyward`,
      sub: keys.live.id,
      aud: origin.url,
      integration: "crm-sync",
      env: "live",
      scope: "contacts:read contacts:write",
    });
    assert.ok(iat >= before - 1 && iat <= before + 2, `${iat} ${before}`);
    assert.equal(exp, iat + 60);
    assert.match(jti, /^[\w-]{22}$/);
    assert.deepEqual(Object.keys(claims), ["iss", "sub", "aud", "iat", "exp", "integration", "env", "scope", "jti"]);
  });

  test("a cached assertion is reused, also when the record was looked up again meanwhile", async () => {
    const first = await assertion("/v1/contacts", { key: keys.live.apiKey });
    await gate.take();
    for (let asked = 0; asked < 2; asked += (await gate.take()).registry)
      assert.equal(await assertion("/v1/contacts", { key: keys.live.apiKey }), first);
  });

  test("a test key's assertion is for the test origin, and an assertion expires no later than its key", async () => {
    const ofTest = verified(await assertion("/v1/contacts", { key: keys.test.apiKey }));
    assert.deepEqual([ofTest.aud, ofTest.env, ofTest.sub], [made.url, "test", keys.test.id]);
    const { exp, iat } = verified(await assertion("/v1/contacts", { key: keys.brief.apiKey }));
    assert.ok(exp - iat <= 40 && exp - iat >= 10, `${exp - iat}`);
  });

  test("changed scopes are in the next assertion as soon as the change takes effect", async () => {
    const key = await gate.newKey({ integration: "changing", scopes: ["contacts:read"] });
    const first = await assertion("/v1/contacts", { key: key.apiKey });
    const change = await gate.call(`/_keyward/v1/keys/${key.id}`, {
      method: "PATCH",
      key: gate.owner,
      json: { scopes: ["contacts:read", "events:read"] },
    });
    assert.equal(change.status, 200);
    const deadline = Date.parse(change.json.effective_by);
    let now;
    let next;
    do {
      now = Date.now();
      next = await arrived("/v1/contacts", { key: key.apiKey });
      const [jwt] = values(next, "keyward-assertion");
      // Header and assertion always agree.
      assert.equal(verified(jwt).scope, values(next, "keyward-scopes")[0]);
    } while (values(next, "keyward-assertion")[0] === first && now <= deadline);
    assert.equal(verified(values(next, "keyward-assertion")[0]).scope, "contacts:read events:read");
  });

  test("a public route carries no assertion, and an assertion sent by a client never reaches the origin", async () => {
    const headers = {
      "keyward-assertion": vectors.kept.jwt,
      keyward_assertion: "forged",
      "Keyward.Assertion": "forged",
    };
    const open = await arrived("/public/x", { headers, key: keys.live.apiKey });
    assert.ok(!open.headers.some(([name]) => /^keyward[^a-z]assertion/.test(name)), JSON.stringify(open.headers));
    const known = await arrived("/v1/contacts", { headers, key: keys.live.apiKey });
    assert.deepEqual(
      known.headers.filter(([name]) => /^keyward[^a-z]assertion/.test(name)).map(([name]) => name),
      ["keyward-assertion"],
    );
    assert.equal(verified(values(known, "keyward-assertion")[0]).sub, keys.live.id);
  });

  test("a route may require an assertion bound to each request", async () => {
    const seen = new Set();
    for (const [method, path] of [
      ["GET", "/v1/bound/7?q=secret"],
      ["GET", "/v1/bound/7?q=secret"],
      ["PUT", "/v1/bound/%C3%A9"],
    ]) {
      const answer = await arrived(path, { method, key: keys.live.apiKey, ...(method === "PUT" && { json: {} }) });
      const [jwt] = values(answer, "keyward-assertion");
      const claims = verified(jwt);
      assert.deepEqual([claims.htm, claims.htu], [method, `${origin.url}${path.split("?")[0]}`]);
      assert.equal(claims.jti, values(answer, "keyward-request-id")[0]);
      seen.add(claims.jti);
    }
    assert.equal(seen.size, 3);
  });

  test("a cached assertion adds no crossing and no signature; an assertion for each request is signed each time", async () => {
    const crossed = async (path) => {
      // The bound of this gate is one second, so a request may be the one that refreshes.
      const cost = async () => {
        await gate.take();
        await assertion(path, { key: keys.test.apiKey });
        return gate.take();
      };
      const { crossings } = await until("a request that asks nobody", async () =>
        [await cost()].find(({ registry }) => registry === 0),
      );
      return crossings
        .map((name) => name.replace(/^__wbg_(.+)_[0-9a-f]{16}$/, "$1"))
        .filter((name) => name !== "getRandomValues");
    };
    assert.deepEqual(await crossed("/v1/contacts"), ["head", "forward"]);
    const ours = ["head", "holdKey", "sign", "forward"];
    assert.deepEqual(
      (await crossed("/v1/bound/1")).filter((name) => ours.includes(name)),
      ["head", "sign", "forward"],
    );
  });
});

describe("the published keys", () => {
  let origin;
  let gate;
  let key;
  const vars = () => ({ ORIGIN_LIVE: origin.url, ISSUER: undefined });
  before(async () => {
    origin = await startOrigin();
    gate = await startGate({ vars: vars() });
    await gate.bootstrap();
    key = await gate.newKey();
  });
  after(async () => {
    await gate?.stop();
    await origin?.close();
  });

  /** Verifies the assertion of a request with a JOSE library. */
  async function byLibrary(
    keys = createRemoteJWKSet(new URL(`${gate.url}${JWKS}`), { cooldownDuration: 0 }),
    issuer = `${gate.url}/_keyward`,
  ) {
    const [jwt] = values((await gate.call("/v1/contacts", { key: key.apiKey })).json, "keyward-assertion");
    return jwtVerify(jwt, keys, {
      issuer,
      audience: origin.url,
      algorithms: ["EdDSA"],
      maxTokenAge: 60,
      clockTolerance: 5,
    });
  }

  test("contain the current key, named by its thumbprint, and that of events, and are cacheable by anyone for five minutes", async () => {
    const answer = await gate.call(JWKS);
    assert.equal(answer.status, 200);
    const { jwk } = (await gate.call("/_keyward/v1/endpoints/key", { key: gate.owner })).json;
    assert.deepEqual(answer.json, { keys: [keyOf(SECRETS.KEYWARD_SECRET).jwk, jwk] });
    assert.equal(answer.headers["content-type"], "application/jwk-set+json");
    assert.equal(answer.headers["cache-control"], "public, max-age=300");
    assert.ok(answer.headers["keyward-request-id"]);
    assert.equal((await gate.call(JWKS, { method: "HEAD" })).text, "");
    const post = await gate.call(JWKS, { method: "POST" });
    assert.deepEqual([post.verdict, post.headers.allow], ["405 method_not_allowed", "GET, HEAD"]);
  });

  test("suffice for a JOSE library", async () => {
    const { payload, protectedHeader } = await byLibrary();
    assert.equal(payload.sub, key.id);
    assert.equal(protectedHeader.kid, keyOf(SECRETS.KEYWARD_SECRET).jwk.kid);
    await assert.rejects(byLibrary(undefined, "https://elsewhere.example/_keyward"), {
      code: "ERR_JWT_CLAIM_VALIDATION_FAILED",
    });
  });

  test("list the new key before the old one during a secret rotation, and a library finds the new one without a restart", async () => {
    const old = await gate.call(JWKS);
    // An origin with cached keys has seen the old key only. (The gate of this test moves to another port.)
    const asked = [];
    const follow = (_, options) => asked.push(gate.url) && fetch(`${gate.url}${JWKS}`, options);
    const keys = createRemoteJWKSet(new URL("http://gate.example/jwks.json"), {
      cooldownDuration: 0,
      [customFetch]: follow,
    });
    await byLibrary(keys);
    await byLibrary(keys);
    assert.equal(asked.length, 1);
    await gate.restart({
      vars: { ...vars(), KEYWARD_SECRET: NEW_SECRET, KEYWARD_SECRET_PREVIOUS: SECRETS.KEYWARD_SECRET },
    });
    const both = await gate.call(JWKS);
    const [assertions, events] = old.json.keys;
    const newEvents = (await gate.call("/_keyward/v1/endpoints/key", { key: gate.owner })).json.jwk;
    assert.deepEqual(both.json.keys, [keyOf(NEW_SECRET).jwk, assertions, newEvents, events]);
    const [jwt] = values((await gate.call("/v1/contacts", { key: key.apiKey })).json, "keyward-assertion");
    assert.equal(verified(jwt, NEW_SECRET).sub, key.id);
    assert.equal((await byLibrary(keys)).payload.sub, key.id);
    assert.equal(asked.length, 2);
  });

  test("the issuer is ISSUER, whatever Host a client sends", async () => {
    const issuer = "https://keys.acme.example/_keyward";
    await gate.restart({ vars: { ...vars(), ISSUER: issuer } });
    assert.equal((await byLibrary(undefined, issuer)).payload.iss, issuer);
  });
});
