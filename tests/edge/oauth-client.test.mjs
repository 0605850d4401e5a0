// The gate seen by an OAuth client library, and the metadata that the library starts from.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as oauth from "oauth4webapi";
import { startOrigin } from "./harness/echo-origin.mjs";
import { startGate } from "./harness/gate.mjs";
import { newMember } from "./harness/members.mjs";
import { ROUTES } from "./harness/settings.mjs";

const METADATA = "/.well-known/oauth-authorization-server/_keyward";
/** The library requires HTTPS unless this is set; workerd on loopback has none. */
const INSECURE = { [oauth.allowInsecureRequests]: true };

let origin;
let gate;
let verifier;
before(async () => {
  origin = await startOrigin();
  const everything = [
    ...ROUTES,
    { match: "GET /.well-known/*", access: "public" },
    { match: "* /*", access: "public" },
  ];
  gate = await startGate({ vars: { ORIGIN_LIVE: origin.url, ROUTES: everything } });
  await gate.bootstrap();
  verifier = await newMember(gate, { role: "verifier" });
});
after(async () => {
  await gate?.stop();
  await origin?.close();
});

test("a client library discovers, introspects and revokes", async () => {
  const issuer = new URL(`${gate.url}/_keyward`);
  const discovered = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...INSECURE });
  const server = await oauth.processDiscoveryResponse(issuer, discovered);
  const client = { client_id: verifier.id };
  const introspect = async (token) => {
    const answer = await oauth.introspectionRequest(
      server,
      client,
      oauth.ClientSecretBasic(verifier.key),
      token,
      INSECURE,
    );
    return oauth.processIntrospectionResponse(server, client, answer);
  };
  const { id, apiKey } = await gate.newKey({ integration: "by-library" });
  const { active, sub, client_id, scope } = await introspect(apiKey);
  assert.deepEqual(
    { active, sub, client_id, scope },
    { active: true, sub: id, client_id: "by-library", scope: "contacts:read" },
  );
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, { client_id: "by-library" }, oauth.None(), apiKey, INSECURE),
  );
  assert.deepEqual(await introspect(apiKey), { active: false });
  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, { client_id: "by-library" }, oauth.None(), apiKey, INSECURE),
  );
  // The library parses our errors as OAuth errors.
  const wrong = oauth.introspectionRequest(server, client, oauth.ClientSecretBasic(apiKey), apiKey, INSECURE);
  await assert.rejects(
    async () => oauth.processIntrospectionResponse(server, client, await wrong),
    (error) => {
      assert.ok(error instanceof oauth.WWWAuthenticateChallengeError);
      assert.equal(error.cause[0].scheme, "basic");
      return true;
    },
  );
});

describe("the metadata", () => {
  test("lists the endpoints, and is cacheable by anyone for five minutes", async () => {
    const answer = await gate.call(METADATA);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/json");
    assert.equal(answer.headers["cache-control"], "public, max-age=300");
    assert.deepEqual(answer.json, {
      issuer: `${gate.url}/_keyward`,
      response_types_supported: [],
      grant_types_supported: [],
      jwks_uri: `${gate.url}/_keyward/jwks.json`,
      introspection_endpoint: `${gate.url}/_keyward/oauth/introspect`,
      introspection_endpoint_auth_methods_supported: ["client_secret_basic", "Bearer"],
      revocation_endpoint: `${gate.url}/_keyward/oauth/revoke`,
      revocation_endpoint_auth_methods_supported: ["none"],
    });
    const head = await gate.call(METADATA, { method: "HEAD" });
    assert.deepEqual([head.status, head.text], [200, ""]);
  });

  test("is never served by the origin, in any letter case, whatever the routes are; every other path is", async () => {
    const before = origin.arrivals.length;
    const posted = await gate.call(METADATA, { method: "POST", form: { x: "y" } });
    assert.equal(posted.verdict, "405 method_not_allowed");
    assert.equal(posted.headers.allow, "GET, HEAD");
    await gate.call(`${METADATA}?x=y`);
    assert.equal((await gate.call(METADATA.replace("_keyward", "_Keyward"))).verdict, "404 no_route");
    assert.equal(origin.arrivals.length, before);
    for (const other of [
      `${METADATA}/`,
      `${METADATA}/x`,
      "/.well-known/oauth-authorization-server",
      "/.well-known/openid-configuration",
    ]) {
      assert.equal((await gate.call(other)).status, 200, other);
    }
    assert.equal(origin.arrivals.length, before + 4);
  });

  test("a route for this path is a configuration error", async () => {
    const wrong = await startGate({
      vars: { ORIGIN_LIVE: origin.url, ROUTES: [{ match: `GET ${METADATA}`, access: "public" }] },
    });
    try {
      assert.equal((await wrong.call(METADATA)).verdict, "500 misconfigured");
      await wrong.logged((line) => line.includes("ROUTES[0]") && line.includes("Keyward's own"));
    } finally {
      await wrong.stop();
    }
  });
});
