// Sign-in through Cloudflare Access: verifies the JWT in `Cf-Access-Jwt-Assertion` with `jose`. entry.js hands `verifyAccess` to
// the glue.
//
// The key set is cached here and not by jose's `createRemoteJWKSet`, which discards a key set after `cacheMaxAge` even while the
// team is unreachable, starts one fetch per request on Workers, and reads a response of any length.

import { jwtVerify } from "jose/jwt/verify";

/** Age at which the key set is fetched again. A key that the team has withdrawn is refused from then on. */
const FRESH_MS = 3_600_000;
/** Age up to which the key set is used while fetching it fails. */
const STALE_MS = 86_400_000;
/** Minimum interval between fetches for an unknown `kid`, which anyone can send. */
const REFETCH_MS = 60_000;
/** Minimum interval between a failed fetch and the next. */
const RETRY_MS = 5_000;
const FETCH_TIMEOUT_MS = 4_000;
/** Interval at which a request looks whether another request's fetch has ended. */
const POLL_MS = 50;

const MAX_TOKEN_BYTES = 8_192;
const MAX_KEY_SET_BYTES = 65_536;
const MAX_KEYS = 16;
const MAX_KID_BYTES = 256;
const MAX_EMAIL_BYTES = 254;

const TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/;
const BASE64URL = /^[\w-]+$/;
const CONTROL = /\p{Cc}/u;

/** The token is not acceptable, whatever the state of the key set. */
class Refused extends Error {}
/** The team's key set is unavailable: nothing is known against the token. */
class Unavailable extends Error {}

/**
 * @typedef {JsonWebKey & { kid: string }} TeamKey
 * @typedef {{ now?: () => number, fetch?: typeof fetch, pause?: (ms: number) => Promise<unknown> }} Platform
 */

/** One team's public keys, as one isolate knows them. */
class KeySet {
  /** @type {Map<string, TeamKey>} */
  #keys = new Map();
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fetching = false;
  #cause = "";

  /**
   * @param {string} teamDomain
   * @param {Required<Platform>} platform
   */
  constructor(teamDomain, platform) {
    this.teamDomain = teamDomain;
    this.platform = platform;
  }

  /**
   * Returns the key with this id. Fetches the key set if that is due; one request fetches at a time, and the others wait.
   * @param {string} kid
   * @returns {Promise<TeamKey>}
   */
  async key(kid) {
    for (let polls = 0; polls < FETCH_TIMEOUT_MS / POLL_MS + 2; polls += 1) {
      const usable = this.#within(this.#fetchedAt, STALE_MS) ? this.#keys.get(kid) : undefined;
      if (usable !== undefined && this.#within(this.#fetchedAt, FRESH_MS)) return usable;
      // A fetch whose request was cancelled never ends: it counts only until its timeout.
      const fetching = this.#fetching && this.#within(this.#triedAt, FETCH_TIMEOUT_MS + 1_000);
      const succeeded = Number.isFinite(this.#fetchedAt) && this.#fetchedAt >= this.#triedAt;
      if (!fetching && !this.#within(this.#triedAt, succeeded ? REFETCH_MS : RETRY_MS)) {
        await this.#refresh();
      } else if (usable !== undefined) {
        return usable;
      } else if (fetching) {
        await this.platform.pause(POLL_MS);
      } else if (succeeded) {
        throw new Refused("unknown key");
      } else {
        break;
      }
    }
    throw new Unavailable(this.#cause || "the key set is still being fetched");
  }

  /**
   * False for an instant in the future, so that a clock that stepped back leads to a fetch.
   * @param {number} since
   * @param {number} spanMs
   */
  #within(since, spanMs) {
    const age = this.platform.now() - since;
    return age >= 0 && age < spanMs;
  }

  async #refresh() {
    const triedAt = this.platform.now();
    this.#triedAt = triedAt;
    this.#fetching = true;
    try {
      const keys = usableKeys(await this.#download());
      // A key set without a usable key is the team's fault, not the token's.
      if (keys.size === 0) throw new Error("the key set has no usable key");
      this.#keys = keys;
      this.#fetchedAt = triedAt;
    } catch (error) {
      this.#cause = String(error instanceof Error ? error.message : error);
      console.warn(JSON.stringify({ level: "warn", event: "access_certs_failed", cause: this.#cause }));
    } finally {
      this.#fetching = false;
    }
  }

  /** @returns {Promise<string>} */
  async #download() {
    const url = `${this.teamDomain}/cdn-cgi/access/certs`;
    const response = await this.platform.fetch(url, {
      redirect: "manual",
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`the response status is ${response.status}`);
    if (response.body === null) return "";
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    let size = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.byteLength;
      if (size > MAX_KEY_SET_BYTES) {
        await reader.cancel();
        throw new Error(`the response is longer than ${MAX_KEY_SET_BYTES} bytes`);
      }
      text += decoder.decode(part.value, { stream: true });
    }
    return text + decoder.decode();
  }
}

/**
 * The keys of a JWK set (RFC 7517) that RS256 can be verified with: RSA of 2,048 to 4,096 bits, for signatures.
 * @param {string} text
 * @returns {Map<string, TeamKey>}
 */
function usableKeys(text) {
  const { keys } = JSON.parse(text);
  if (!Array.isArray(keys)) throw new Error("the response is no key set");
  const usable = keys.filter(
    (key) =>
      key?.kty === "RSA" &&
      (key.alg ?? "RS256") === "RS256" &&
      (key.use ?? "sig") === "sig" &&
      isText(key.kid, MAX_KID_BYTES) &&
      isText(key.n, 1_024) &&
      isText(key.e, 8) &&
      BASE64URL.test(key.n) &&
      isRsaLength(Math.floor((key.n.length * 3) / 4)),
  );
  // Only the public numbers: a set's other members, as `key_ops` and `d`, change how a key is imported.
  return new Map(usable.slice(0, MAX_KEYS).map(({ kid, n, e }) => [kid, { kid, kty: "RSA", alg: "RS256", n, e }]));
}

/** @param {number} bytes */
const isRsaLength = (bytes) => bytes >= 256 && bytes <= 512;

/**
 * @param {unknown} value
 * @param {number} maxBytes
 * @returns {value is string}
 */
function isText(value, maxBytes) {
  if (typeof value !== "string" || value === "" || CONTROL.test(value)) return false;
  return new TextEncoder().encode(value).byteLength <= maxBytes;
}

/**
 * Creates `verifyAccess`. Tests give it a clock and a `fetch`.
 * @param {Platform} platform
 */
export function accessVerifier({
  now = Date.now,
  fetch: fetchFrom = (url, init) => fetch(url, init),
  pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
} = {}) {
  /** @type {KeySet | undefined} */
  let keySet;

  /**
   * @param {string} token
   * @param {string} teamDomain
   * @param {string} audience
   * @returns {Promise<string>} the e-mail address
   */
  async function verify(token, teamDomain, audience) {
    if (token.length > MAX_TOKEN_BYTES || !TOKEN.test(token)) throw new Refused("malformed");
    if (keySet?.teamDomain !== teamDomain) keySet = new KeySet(teamDomain, { now, fetch: fetchFrom, pause });
    const team = keySet;
    const { payload } = await jwtVerify(
      token,
      async ({ kid, crit }) => {
        // jose understands `b64`; nothing here does.
        if (crit !== undefined) throw new Refused("unsupported extension");
        if (!isText(kid, MAX_KID_BYTES)) throw new Refused("no usable key id");
        return team.key(kid);
      },
      {
        algorithms: ["RS256"],
        issuer: teamDomain,
        audience,
        requiredClaims: ["exp"],
        clockTolerance: 0,
        currentDate: new Date(now()),
      },
    );
    const { exp = 0, nbf = 0, email } = payload;
    // jose compares whole seconds.
    if (exp >= 1e11 || exp * 1_000 <= now()) throw new Refused("expired");
    if (nbf < 0 || nbf >= 1e11) throw new Refused("not yet valid");
    // A service token has no e-mail address: it is no person.
    if (!isText(email, MAX_EMAIL_BYTES)) throw new Refused("no e-mail address");
    return email;
  }

  /**
   * Verifies the JWT of a Cloudflare Access team.
   *
   * Resolves to JSON text: `{"email"}`, `{"refused": reason}` for a token that is not acceptable, or `{"unavailable": cause}` if the
   * team's key set cannot be fetched. Never rejects.
   * @param {string} token
   * @param {string} teamDomain the issuer, `https://<team>.cloudflareaccess.com`
   * @param {string} audience the application's tag
   * @returns {Promise<string>}
   */
  return async function verifyAccess(token, teamDomain, audience) {
    try {
      return JSON.stringify({ email: await verify(token, teamDomain, audience) });
    } catch (error) {
      if (error instanceof Unavailable) return JSON.stringify({ unavailable: error.message });
      return JSON.stringify({ refused: error instanceof Error ? error.message : String(error) });
    }
  };
}

export const verifyAccess = accessVerifier();
