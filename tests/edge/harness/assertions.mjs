// Independent implementation of the assertion: derives keys and creates JWTs from the documentation alone.

import { createHash, createPrivateKey, createPublicKey, hkdfSync, sign } from "node:crypto";
import { SECRETS } from "./settings.mjs";

/** Returns the signing key of a `KEYWARD_SECRET`, and its public half as a JWK named by its thumbprint (RFC 7638). */
export function keyOf(secret = SECRETS.KEYWARD_SECRET) {
  const seed = Buffer.from(hkdfSync("sha256", Buffer.from(secret, "base64"), "", "keyward/assertion/v1", 32));
  // PKCS #8 of an Ed25519 key: a fixed prefix and the seed (RFC 8410, section 7).
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const { x } = createPublicKey(key).export({ format: "jwk" });
  const kid = createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest("base64url");
  return { key, jwk: { kty: "OKP", crv: "Ed25519", x, kid, alg: "EdDSA", use: "sig" } };
}

/**
 * Returns a JWT with these claims. `header` and `signature` (of the text before it) override the correct ones.
 * @param {object} claims
 * @param {{ secret?: string, header?: object, signature?: (signed: string) => any }} [options]
 */
export function jwtOf(claims, { secret, header = {}, signature } = {}) {
  const { key, jwk } = keyOf(secret);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "EdDSA", kid: jwk.kid, typ: "JWT", ...header })}.${part(claims)}`;
  const bytes = signature ? signature(signed) : sign(null, Buffer.from(signed), key);
  return `${signed}.${Buffer.from(bytes).toString("base64url")}`;
}
