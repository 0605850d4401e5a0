// Independent implementation of the key format: creates keys that were never issued.

import { createHmac, hkdfSync } from "node:crypto";
import { crc32 } from "node:zlib";
import { SECRETS } from "./settings.mjs";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function base62(number, length) {
  let text = "";
  for (let rest = BigInt(number); text.length < length; rest /= 62n) text = ALPHABET[Number(rest % 62n)] + text;
  return text;
}

/** Returns a whole key with the correct tag and check for these parts. */
export function mintKey({
  keywardSecret = SECRETS.KEYWARD_SECRET,
  prefix = "wafl",
  environment = "live",
  identifier,
  secret,
}) {
  const pepper = Buffer.from(hkdfSync("sha256", Buffer.from(keywardSecret, "base64"), "", "keyward/pepper/v1", 32));
  const message = `${prefix}_${environment}_${identifier}_${secret}`;
  const hash = createHmac("sha256", pepper).update(message).digest();
  const tag = createHmac("sha256", pepper).update("keyward/tag/v1").update(hash).digest().readBigUInt64BE();
  return withCheck(message + base62(tag % 62n ** 8n, 8));
}

/** Appends the check to a text, for keys that are correct except for the tag. */
export function withCheck(text) {
  return text + base62(crc32(text), 6);
}

/** Returns a key with the same id, another secret, and correct tag and check. Only a holder of KEYWARD_SECRET can create it. */
export function otherSecret(apiKey) {
  const [prefix, environment, identifier] = apiKey.split("_");
  return mintKey({ prefix, environment, identifier, secret: "7".repeat(32) });
}

/** Returns a key with one character of its secret changed and a correct check: the tag is wrong. */
export function wrongTag(apiKey) {
  const at = apiKey.length - 30;
  return withCheck(apiKey.slice(0, at) + (apiKey[at] === "x" ? "y" : "x") + apiKey.slice(at + 1, -6));
}

/** Returns the secret part of a key, without tag and check. */
export const secretOf = (apiKey) => apiKey.split("_")[3].slice(0, 32);
