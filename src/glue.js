// The JavaScript that Rust calls. Every crossing costs about a microsecond, so each function here does a whole step at once:
// an accepted request crosses twice, in `head` and `forward`. What is decided is decided in Rust; this file only carries it out.

/** The whole head of a request as one string; src/http/head.rs says how it reads. */
export function headText(request) {
  let text = `${Date.now()}\n${request.method}\n${request.url}\n`;
  // A callback makes neither an iterator nor a pair for each header: 0.8 µs less than `for … of`.
  request.headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}

/**
 * The same written into `buffer`, 1.5 µs faster than a string is handed over; its length, or 16,383 if there is no room. To that is
 * added 16,384 times the number of `env`: a number comes for nothing, another crossing doesn't.
 */
export function head(request, env, buffer) {
  const text = headText(request);
  const { read, written } = encoder.encodeInto(text, buffer);
  return environmentNumber(env) * 16_384 + (read === text.length ? written : 16_383);
}

const environments = new WeakMap();
let latest;
let latestNumber = 0;
let environmentCount = 0;

/**
 * Counts the objects that the runtime hands over as `env`. A deployment that changes only variables or secrets may leave isolates
 * running, and gives them another one then (Cloudflare's documentation, "Bindings", "Making changes to bindings").
 */
function environmentNumber(env) {
  if (env === latest) return latestNumber;
  latest = env;
  latestNumber = environments.get(env) ?? ++environmentCount;
  environments.set(env, latestNumber);
  return latestNumber;
}

/** Makes the 502 of an origin that can't be reached, or the 504 of one that is late, and how long it may take. */
let originFailed;
let originMilliseconds;

/** Rust calls this once for each isolate, so that no request carries what is the same for all. */
export function onOriginFailed(answer, milliseconds) {
  originFailed = answer;
  originMilliseconds = milliseconds;
}

// An answer to a key's holder must not be kept where another key's holder could be served it: the edge would cache by URL alone.
// It caches nothing but what GET and HEAD get, and the object costs 2 % of a request: it is copied and written as JSON.
const NEVER_CACHED = { cacheTtl: -1 };

/**
 * Sends a request on with the edits that src/gate/forward.rs planned: URL, names to remove, headers to set. The rest of the
 * headers is copied as it is, which is cheaper than to rebuild it and keeps bytes outside ASCII. Bodies stream. The answer gets
 * the headers in `stamp`, `name LF value LF` for each, which is mostly undefined.
 */
export function forward(request, edits, isPrivate, stamp) {
  const lines = edits.split("\n");
  const headers = new Headers(request.headers);
  for (const name of lines[1].split(",")) if (name) headers.delete(name);
  const end = lines.length - 1;
  for (let at = 2; at < end; at += 2) headers.set(lines[at], lines[at + 1]);
  const { method } = request;
  const init = { method, headers, redirect: "manual" };
  if (method !== "GET" && method !== "HEAD") init.body = request.body;
  else if (isPrivate) init.cf = NEVER_CACHED;
  const answer = inTime(fetch(lines[0], init), lines[end - 1]);
  return stamp === undefined ? answer : answer.then((response) => stamped(response, stamp));
}

function stamped(response, stamp) {
  const answer = new Response(response.body, response);
  setAll(answer.headers, stamp);
  return answer;
}

/** Sets headers, `name LF value LF` for each. */
function setAll(headers, block) {
  const lines = block.split("\n");
  for (let at = 0; at + 1 < lines.length; at += 2) headers.set(lines[at], lines[at + 1]);
}

/**
 * The origin's response, or 502 or 504. Only the headers are waited for: a body or a WebSocket may go on for hours. There is no
 * AbortSignal, which would cost more than the timer and could cut a body: once the 504 is sent, the runtime ends the request's
 * context and with it the fetch (tests/edge/origin-failures.test.mjs).
 */
function inTime(answer, requestId) {
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      resolve(originFailed(requestId, `no headers within ${originMilliseconds} ms`, true));
    }, originMilliseconds);
    const failed = (error) => {
      clearTimeout(timer);
      if (!late) resolve(originFailed(requestId, String(error), false));
    };
    // Two callbacks of one `then`: a second `catch` would make a promise more for every request.
    answer.then((response) => {
      // Nobody will read it, and a context that lives on would keep it open.
      if (late) return response.body?.cancel().catch(() => {});
      try {
        const cleaned = withoutOurNames(response);
        clearTimeout(timer);
        resolve(cleaned);
      } catch (error) {
        failed(error);
      }
    }, failed);
  });
}

/**
 * The origin's response without headers that pose as Keyward's and without hop-by-hop ones. The runtime itself drops
 * `Connection`, `Keep-Alive`, `TE`, `Trailer`, `Transfer-Encoding` and `Upgrade`, but not what `Connection` lists.
 */
function withoutOurNames(response) {
  let removed;
  let listed = null;
  // A callback makes no iterator, as in `headText`.
  response.headers.forEach((value, name) => {
    if (name === "connection") listed = value;
    else if (name.startsWith("proxy-") || (name.startsWith("keyward") && OUR_NAMES.test(name)))
      (removed ??= []).push(name);
  });
  if (listed !== null && !KEPT_ALIVE.test(listed)) {
    for (const name of listed.split(",")) {
      const trimmed = name.trim();
      if (HEADER_NAME.test(trimmed) && response.headers.has(trimmed)) (removed ??= []).push(trimmed);
    }
  }
  if (removed === undefined) return response;
  const cleaned = new Response(response.body, response);
  for (const name of removed) if (!KEPT_NAMES.has(name.toLowerCase())) cleaned.headers.delete(name);
  return cleaned;
}

// With any mark after it: some clients read them all as `-`.
const OUR_NAMES = /^keyward(?![a-z0-9])/;
const KEPT_ALIVE = /^(?:close|keep-alive|upgrade)$/i;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// Listing these can't take them away from the client: they say what the body is.
const KEPT_NAMES = new Set([
  "content-length",
  "content-type",
  "content-encoding",
  "set-cookie",
  "location",
  "cache-control",
]);

/** A response of our own; `headers` is `name LF value LF` for each. */
export function reply(status, headers, body) {
  // Headers made apart would be copied once more: 1.5 µs.
  // And an empty text would get a content type of its own.
  const made = new Response(body || null, { status });
  setAll(made.headers, headers);
  return made;
}

/** Texts that entry.js put there: wasm-bindgen copies this file alone, so it can't import them itself. */
const texts = () => globalThis.__keyward_texts;

/** The OpenAPI document. */
export function openApi(headers) {
  return reply(200, headers, texts().openApi);
}

/** What to do next after an error, by its code. */
export function advice(code) {
  return texts().advice[code];
}

/** A response whose body is still to be written: `[response, writer]`. A write resolves when the client has taken it. */
export function stream(status, headers) {
  const { readable, writable } = new IdentityTransformStream();
  return [reply(status, headers, readable), writable.getWriter()];
}

const encoder = new TextEncoder();

export function streamWrite(writer, text) {
  return writer.write(encoder.encode(text));
}

export function streamClose(writer) {
  return writer.close();
}

/** Breaks the connection, so that nobody takes what they got for the whole. */
export function streamBreak(writer) {
  return writer.abort(new Error("the rest could not be had"));
}

/** A small text from elsewhere: 200, not redirected, at most `most` bytes, within so many milliseconds; else it rejects. */
export async function fetchText(url, most, milliseconds) {
  const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(milliseconds) });
  if (response.status !== 200) throw new Error(`the answer was ${response.status}`);
  const body = await readBody(response, most);
  if (body === null) throw new Error(`the answer has more than ${most} bytes`);
  return new TextDecoder().decode(body);
}

/** Whether an RS256 signature is this key's: RSASSA-PKCS1-v1_5 with SHA-256, modulus and exponent in base64url. */
export async function verifyRs256(n, e, signature, signed) {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, algorithm, false, ["verify"]);
  return crypto.subtle.verify(algorithm, key, signature, encoder.encode(signed));
}

/**
 * Verifies the JWT of a Cloudflare Access team, see access.js. Resolves to JSON text: `{"email"}`, `{"refused": reason}` or
 * `{"unavailable": cause}`.
 */
export function verifyAccess(token, teamDomain, audience) {
  return globalThis.__keyward_verify_access(token, teamDomain, audience);
}

/** The house's Ed25519 keys by name, which nobody can take out again. */
const signingKeys = new Map();

/** Takes a key over, and gives its public half: 32 bytes. */
export async function holdKey(name, pkcs8) {
  // A view of wasm's memory, which may hold something else after an await.
  const secret = pkcs8.slice();
  // What tells the public half could tell the private one too, so it is not what is kept.
  const open = await crypto.subtle.importKey("pkcs8", secret, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", open);
  signingKeys.set(name, await crypto.subtle.importKey("pkcs8", secret, "Ed25519", false, ["sign"]));
  secret.fill(0);
  return Uint8Array.from(atob(x.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

/** The signature over `text` by a key that is held: 64 bytes. */
export async function sign(name, text) {
  const key = signingKeys.get(name);
  if (key === undefined) throw new Error("no such key is held");
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key, text));
}

/** Lets the promise run to its end although the client may have left. */
export function keepAlive(context, promise) {
  context?.waitUntil?.(promise);
}

/** A request's body, or `null` if it has more than `most` bytes. */
export async function readBody(request, most) {
  const chunks = [];
  let size = 0;
  if (request.body !== null) {
    const reader = request.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.byteLength;
      if (size > most) {
        await reader.cancel();
        return null;
      }
      chunks.push(part.value);
    }
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

/** The named variables as JSON, and no others. */
export function variables(env, names) {
  const picked = {};
  for (const name of names.split(",")) if (env[name] !== undefined) picked[name] = env[name];
  return JSON.stringify(picked);
}

/** The names of the bindings that are missing, with commas between. */
export function missingBindings(env) {
  return ["KEY_INDEX", "REGISTRY"].filter((name) => env[name] === undefined).join(",");
}

/** Settles as the promise does, or rejects after so many milliseconds. */
function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Resolves after so many milliseconds. */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The text that KV holds under a name, or `null`. */
export function kvGet(env, name, milliseconds) {
  return within(milliseconds, env.KEY_INDEX.get(name, "text"));
}

/** Writes to KV; `expiration` is in seconds since 1970. */
export function kvPut(env, name, value, expiration, milliseconds) {
  return within(milliseconds, env.KEY_INDEX.put(name, value, { expiration }));
}

// A cache of its own: nothing that is fetched, and no other worker of the zone, writes into it. Where there is none (on workers.dev it
// keeps nothing) every look-up is a miss.
const openCache = () => caches.open("keyward");
const cached = (name) => `https://keyward.internal/${name}`;

/** What the data centre's cache holds under a name, or `null`: a cache that fails or is slow has nothing. */
export async function cacheGet(name, milliseconds) {
  try {
    const found = openCache().then((cache) => cache.match(cached(name)));
    return await within(
      milliseconds,
      found.then((response) => response?.text() ?? null),
    );
  } catch {
    return null;
  }
}

/** Begins to give the data centre's cache a text, to be kept for so many seconds, if it will. */
export function cachePut(context, name, text, seconds) {
  const kept = new Response(text, { headers: { "Cache-Control": `max-age=${seconds}` } });
  // What is not kept is asked for again.
  keepAlive(
    context,
    openCache()
      .then((cache) => cache.put(cached(name), kept))
      .catch(() => {}),
  );
}

/** Asks the one registry; both messages are JSON text. */
export function askRegistry(env, message, milliseconds) {
  const asked = env.REGISTRY.getByName("registry")
    .fetch("https://registry/", { method: "POST", body: message })
    .then(async (response) => {
      const text = await response.text();
      if (response.status !== 200) throw new Error(`the registry answered ${response.status}`);
      return text;
    });
  return within(milliseconds, asked);
}
