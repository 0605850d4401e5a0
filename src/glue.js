// The JavaScript that Rust calls. Each crossing costs about a microsecond, so each function here does a whole step at once: an
// accepted request crosses twice, in `head` and `forward`. Every decision is made in Rust; this file only carries it out.

/**
 * Returns the number of `env` and the whole head of a request as one string: the number, a line feed, and the text that
 * crates/http/src/head.rs documents.
 */
export function headText(request, env) {
  let text = `${environmentNumber(env)}\n${Date.now()}\n${request.method}\n${request.url}\n`;
  // A callback makes neither an iterator nor a pair for each header: 0.8 µs less than `for … of`.
  request.headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}

/**
 * Writes the same text into `buffer`, which is 1.5 µs faster than passing a string, and returns its length in bytes; `undefined` if
 * the buffer is too small.
 */
export function head(request, env, buffer) {
  const text = headText(request, env);
  const { read, written } = encoder.encodeInto(text, buffer);
  return read === text.length ? written : undefined;
}

const environments = new WeakMap();
let latest;
let latestNumber = 0;
let environmentCount = 0;

/**
 * Returns the number of an `env` object, from 1 in the order in which the isolate received them. A deployment that changes only
 * variables or secrets may leave isolates running, and then gives them another `env` (Cloudflare's documentation, "Bindings", "Making
 * changes to bindings").
 */
function environmentNumber(env) {
  if (env === latest) return latestNumber;
  latest = env;
  latestNumber = environments.get(env) ?? ++environmentCount;
  environments.set(env, latestNumber);
  return latestNumber;
}

/** Makes the 502 of an unreachable origin, or the 504 of a late one. */
let originFailed;
/** Time limit for the origin's response headers. */
let originMilliseconds;

/** Sets both. Rust calls this once for each isolate, so that no request has to carry them. */
export function onOriginFailed(answer, milliseconds) {
  originFailed = answer;
  originMilliseconds = milliseconds;
}

// The edge caches by URL alone, so it could serve one key holder's answer to another: nothing may be cached. Only answers to GET and
// HEAD are ever cached, and the object costs 2 % of a request, since it is copied and written as JSON.
const NEVER_CACHED = { cacheTtl: -1 };

/**
 * Sends a request to its origin with the edits that crates/gate/src/forward.rs planned: URL, names to remove, headers to set. All
 * other headers are copied, which is cheaper than rebuilding them and keeps bytes outside ASCII. Bodies stream. The answer gets
 * the headers in `stamp`, `name LF value LF` for each; mostly it is undefined.
 */
export function forward(request, edits, isPrivate, stamp) {
  const lines = edits.split("\n");
  const headers = new Headers(request.headers);
  for (const name of lines[1].split(",")) if (name) headers.delete(name);
  const end = lines.length - 1;
  for (let at = 2; at < end; at += 2) headers.set(lines[at], lines[at + 1]);
  const { method } = request;
  /** @type {RequestInit & { cf?: object }} */
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
 * Returns the origin's response, or 502 or 504. The time limit is for the headers only: a body or a WebSocket may last for hours. An
 * AbortSignal would cost more than the timer and could cut a body. Once the 504 is sent, the runtime ends the request's context and
 * with it the fetch (tests/edge/origin-failures.test.mjs).
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
    // Two callbacks of one `then`: a separate `catch` would make one more promise for every request.
    answer.then((response) => {
      // Nobody will read the body, and a context that is still alive would keep it open.
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
 * Returns the origin's response without headers that pose as Keyward's and without hop-by-hop headers. The runtime itself drops
 * `Connection`, `Keep-Alive`, `TE`, `Trailer`, `Transfer-Encoding` and `Upgrade`, but not the headers that `Connection` lists.
 */
function withoutOurNames(response) {
  let removed;
  let listed = null;
  // A callback makes no iterator, as in `headText`.
  response.headers.forEach((value, name) => {
    if (name === "connection") listed = value;
    else if (name.startsWith("proxy-") || (name.startsWith("keyward") && OUR_NAMES.test(name))) {
      removed ??= [];
      removed.push(name);
    }
  });
  if (listed !== null && !KEPT_ALIVE.test(listed)) {
    for (const name of listed.split(",")) {
      const trimmed = name.trim();
      if (HEADER_NAME.test(trimmed) && response.headers.has(trimmed)) {
        removed ??= [];
        removed.push(trimmed);
      }
    }
  }
  if (removed === undefined) return response;
  const cleaned = new Response(response.body, response);
  for (const name of removed) if (!KEPT_NAMES.has(name.toLowerCase())) cleaned.headers.delete(name);
  return cleaned;
}

// With any punctuation after it: some clients read every such character as `-`.
const OUR_NAMES = /^keyward(?![a-z0-9])/;
const KEPT_ALIVE = /^(?:close|keep-alive|upgrade)$/i;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// `Connection` cannot remove these: they describe the body.
const KEPT_NAMES = new Set([
  "content-length",
  "content-type",
  "content-encoding",
  "set-cookie",
  "location",
  "cache-control",
]);

/** Returns a response of our own; `headers` is `name LF value LF` for each. */
export function reply(status, headers, body) {
  // Separate `Headers` would be copied once more, which takes 1.5 µs. An empty string would get a content type.
  const made = new Response(body || null, { status });
  setAll(made.headers, headers);
  return made;
}

/** Texts that entry.js has set. wasm-bindgen copies this file alone, so it cannot import them. */
const texts = () => globalThis.__keyward_texts;

/** Returns a response with the OpenAPI document. */
export function openApi(headers) {
  return reply(200, headers, texts().openApi);
}

/** Returns the advice for an error code. */
export function advice(code) {
  return texts().advice[code];
}

/** Returns `[response, writer]` of a streamed body. A write resolves when the client has taken it. */
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

/** Breaks the connection, so that no client takes a partial body for the whole. */
export function streamBreak(writer) {
  return writer.abort(new Error("the rest of the body could not be read"));
}

/** Fetches a text of at most `most` bytes within a time limit. Rejects unless the status is 200; follows no redirect. */
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

/** The derived Ed25519 keys by name, not extractable. */
const signingKeys = new Map();

/** Imports a key and returns its public half, 32 bytes. */
export async function holdKey(name, pkcs8) {
  // `pkcs8` is a view of wasm's memory, which may change during an await.
  const secret = pkcs8.slice();
  // Only an extractable key shows its public half, so a second, non-extractable import is stored.
  const open = await crypto.subtle.importKey("pkcs8", secret, "Ed25519", true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", open);
  signingKeys.set(name, await crypto.subtle.importKey("pkcs8", secret, "Ed25519", false, ["sign"]));
  secret.fill(0);
  return Uint8Array.from(atob(x.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}

/** Signs `text` with an imported key; the signature has 64 bytes. */
export async function sign(name, text) {
  const key = signingKeys.get(name);
  if (key === undefined) throw new Error("this key has not been imported");
  return new Uint8Array(await crypto.subtle.sign("Ed25519", key, text));
}

/** Keeps the promise running to its end although the client may leave. */
export function keepAlive(context, promise) {
  context?.waitUntil?.(promise);
}

/** Reads a request's body; `null` if it has more than `most` bytes. */
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

/** Returns the named variables, and no others, as JSON. */
export function variables(env, names) {
  const picked = {};
  for (const name of names.split(",")) if (env[name] !== undefined) picked[name] = env[name];
  return JSON.stringify(picked);
}

/** Returns the names of missing bindings, separated by commas. */
export function missingBindings(env) {
  return ["KEY_INDEX", "REGISTRY"].filter((name) => env[name] === undefined).join(",");
}

/** Settles as the promise does, or rejects after the time limit. */
function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Resolves after a pause. */
export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Reads a text from KV; `null` if there is none. */
export function kvGet(env, name, milliseconds) {
  return within(milliseconds, env.KEY_INDEX.get(name, "text"));
}

/** Writes a text to KV; `expiration` is in seconds since 1970. */
export function kvPut(env, name, value, expiration, milliseconds) {
  return within(milliseconds, env.KEY_INDEX.put(name, value, { expiration }));
}

// A named cache of our own: neither fetched responses nor other workers of the zone write into it. On workers.dev it stores nothing,
// so every lookup is a miss.
const openCache = () => caches.open("keyward");
const cached = (name) => `https://keyward.internal/${name}`;

/** Reads a text from the data centre's cache; `null` for a miss, a failure or a timeout. */
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

/** Starts to write a text to the data centre's cache with a TTL in seconds. */
export function cachePut(context, name, text, seconds) {
  const entry = new Response(text, { headers: { "Cache-Control": `max-age=${seconds}` } });
  // After a failed write the next reader queries the authority.
  keepAlive(
    context,
    openCache()
      .then((cache) => cache.put(cached(name), entry))
      .catch(() => {}),
  );
}

/** Whether the runtime refused a call because the object is overloaded. Its documentation advises against another attempt. */
export function isOverload(thrown) {
  return thrown?.overloaded === true;
}

/** Sends a message to the one registry and returns its answer; both are JSON text. */
export function askRegistry(env, message, milliseconds) {
  const answer = env.REGISTRY.getByName("registry")
    .fetch("https://registry/", { method: "POST", body: message })
    .then(async (response) => {
      const text = await response.text();
      if (response.status !== 200) throw new Error(`the registry answered ${response.status}`);
      return text;
    });
  return within(milliseconds, answer);
}
