// An origin that takes nobody's word: who calls is what Keyward-Assertion says, checked with the gate's public keys.
//
//     KEYWARD_ISSUER=https://api.example.com/_keyward AUDIENCE=https://origin.example.com PORT=8080 npm start
//
// KEYWARD_JWKS says where the keys are, if not at the issuer's own address.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/** Which scope a path needs. The gate has checked it too; an origin that can be reached otherwise checks for itself. */
const SCOPES = [[/^\/v1\/contacts(\/|$)/, "contacts:read"]];

/**
 * Makes the check. `issuer` is the gate's (its ISSUER setting), `audience` this origin's scheme and host as the gate's ORIGIN_LIVE
 * says them. The keys are fetched when first needed, kept for five minutes, and fetched again when an unknown one turns up. Both
 * are settings and never taken from the assertion: who could choose where the keys are could sign.
 */
export function newCheck({ issuer, audience, jwks = `${issuer}/jwks.json` }) {
  const keys = createRemoteJWKSet(new URL(jwks), {
    cacheMaxAge: 300_000,
    cooldownDuration: 10_000,
    timeoutDuration: 5_000,
  });
  return async function check({ method, url, headers }) {
    const options = {
      issuer,
      audience,
      algorithms: ["EdDSA"],
      requiredClaims: ["sub", "exp", "scope", "integration", "env", "jti"],
      maxTokenAge: 60,
      // Two machines' clocks differ.
      clockTolerance: 5,
    };
    const { payload } = await jwtVerify(headers["keyward-assertion"] ?? "", keys, options);
    // On a route with `assertion = "request"`, and behind forward auth, it is for this one request.
    const [path] = url.split("?");
    if (payload.htm !== undefined && payload.htm !== method)
      throw new errors.JWTClaimValidationFailed("another method", payload, "htm");
    if (payload.htu !== undefined && payload.htu !== `${audience}${path}`)
      throw new errors.JWTClaimValidationFailed("another URL", payload, "htu");
    return payload;
  };
}

/** Answers requests; `check` is newCheck's. */
export function newServer(check) {
  return createServer(async (request, response) => {
    const answer = (status, body) =>
      response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
    try {
      const caller = await check(request);
      const needed = SCOPES.find(([path]) => path.test(request.url.split("?")[0]))?.[1];
      if (needed === undefined) return answer(404, { error: "no such path" });
      if (!caller.scope.split(" ").includes(needed)) return answer(403, { error: "the key lacks the scope" });
      return answer(200, { sub: caller.sub, integration: caller.integration, env: caller.env, scope: caller.scope });
    } catch (error) {
      // Keys that can't be had are not the caller's fault.
      const unavailable =
        !(error instanceof errors.JOSEError) ||
        error instanceof errors.JWKSTimeout ||
        error.code === "ERR_JOSE_GENERIC";
      return unavailable
        ? answer(503, { error: "the gate's keys can't be had" })
        : answer(401, { error: "no assertion that is good here" });
    }
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { KEYWARD_ISSUER: issuer, KEYWARD_JWKS: jwks, AUDIENCE: audience, PORT: port } = process.env;
  if (!issuer || !audience || !port) throw new Error("set KEYWARD_ISSUER, AUDIENCE and PORT");
  const server = newServer(newCheck({ issuer, audience, jwks }));
  server.listen(Number(port), "127.0.0.1", () => console.log(`listening on 127.0.0.1:${server.address().port}`));
}
