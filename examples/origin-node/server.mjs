// An origin that trusts only Keyward-Assertion, which it verifies with the gate's public keys.
//
//     KEYWARD_ISSUER=https://api.example.com/_keyward AUDIENCE=https://origin.example.com PORT=8080 npm start
//
// Set KEYWARD_JWKS to the URL of the keys if they are not below the issuer's URL.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/** The scope that each path needs. The gate checks it too; an origin that can be reached around the gate must check it itself. */
const SCOPES = /** @type {[RegExp, string][]} */ ([[/^\/v1\/contacts(\/|$)/, "contacts:read"]]);

/**
 * Returns the check of a request. `issuer` is the gate's setting ISSUER, `audience` is this origin's scheme and host as in the gate's
 * ORIGIN_LIVE. The keys are fetched when first needed, cached for five minutes, and fetched again for an unknown key id. Issuer and
 * key address are settings, never taken from the assertion: a client that could choose the keys could sign one.
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
      // Tolerates clock skew between the machines.
      clockTolerance: 5,
    };
    const { payload } = await jwtVerify(headers["keyward-assertion"] ?? "", keys, options);
    // On a route with `assertion = "request"`, and behind forward auth, the assertion is bound to this one request.
    const [path] = url.split("?");
    if (payload.htm !== undefined && payload.htm !== method)
      throw new errors.JWTClaimValidationFailed("another method", payload, "htm");
    if (payload.htu !== undefined && payload.htu !== `${audience}${path}`)
      throw new errors.JWTClaimValidationFailed("another URL", payload, "htu");
    return payload;
  };
}

/** Returns the server. `check` comes from newCheck. */
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
      // The caller is not at fault when the keys are unavailable.
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
  server.listen(Number(port), "127.0.0.1", () => console.log(`listening on port ${port}`));
}
