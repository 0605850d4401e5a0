// The JavaScript functions that Rust calls, except those for the exchange with the origin (forward.js, answer.js, connections.js). Each
// crossing costs about a microsecond, so each function here does a whole step: an accepted request crosses twice, in `head` and `forward`.
// Rust makes every decision.

/** Returns the whole head of a request as the text that crates/http/src/head.rs documents. */
export function requestText(request) {
  let text = `${Date.now()}\n${request.method}\n${request.url}\n`;
  // A callback makes neither an iterator nor a pair for each header: 0.8 µs less than `for … of`.
  request.headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}

/** Returns the number of `env`, a line feed, and the head of a request. */
export function headText(request, env) {
  return `${environmentNumber(env)}\n${requestText(request)}`;
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

/** Sets headers, `name LF value LF` for each. */
export function setAll(headers, block) {
  const lines = block.split("\n");
  for (let at = 0; at + 1 < lines.length; at += 2) headers.set(lines[at], lines[at + 1]);
}

/** Returns one of Keyward's own responses; `headers` is `name LF value LF` for each. */
export function reply(status, headers, body) {
  // Separate `Headers` would be copied once more, which takes 1.5 µs. An empty string would get a content type.
  const made = new Response(body || null, { status });
  setAll(made.headers, headers);
  return made;
}

/** Texts that entry.js has set. wasm-bindgen copies only files that Rust names, so this file cannot import them. */
const texts = () => globalThis.__keyward_texts;

/** Returns a response with the OpenAPI document. */
export function openApi(headers) {
  return reply(200, headers, texts().openApi);
}

/** Returns the entry of the console's manifest for a path, as JSON; `undefined` without one, or without the store of the files. */
export function consoleFile(env, path) {
  const { files } = texts().console;
  return env.ASSETS !== undefined && Object.hasOwn(files, path) ? JSON.stringify(files[path]) : undefined;
}

/** Returns a response with a file of the console. Rejects if the store lacks it: the manifest and the files are of one build. */
export async function consoleAsset(env, file, status, headers) {
  const stored = await within(10_000, env.ASSETS.fetch(`https://assets.internal/${file}`));
  if (stored.status !== 200) throw new Error(`the store of the console's files answered ${stored.status}`);
  return reply(status, headers, stored.body);
}

/** Returns the advice for an error code. */
export function advice(code) {
  return texts().advice[code];
}

/** Returns `[response, writer]` of a streamed body. A write resolves when the client has read it. */
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

/** Aborts the connection, so that no client mistakes a partial body for the complete one. */
export function streamBreak(writer) {
  return writer.abort(new Error("the rest of the body could not be read"));
}

/** Fetches a text of at most `most` bytes within a time limit. Rejects unless the status is 200; follows no redirect. */
export async function fetchText(url, most, milliseconds) {
  const response = await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(milliseconds) });
  return textOf(response, most);
}

/** Returns the text of an answer, of at most `most` bytes. Rejects unless the status is 200. */
async function textOf(response, most) {
  if (response.status !== 200) throw new Error(`the answer was ${response.status}`);
  const body = await readBody(response, most);
  if (body === null) throw new Error(`the answer has more than ${most} bytes`);
  return new TextDecoder().decode(body);
}

/**
 * Sends an event and returns the answer's status, a line feed, and its `Retry-After`. Follows no redirect. Reads at most `most` bytes of
 * the answer, within the same time limit, and returns none of them. Rejects with "timeout" if there is no answer within the limit.
 */
export async function sendEvent(url, headers, body, most, milliseconds) {
  const sent = new Headers();
  setAll(sent, headers);
  const signal = AbortSignal.timeout(milliseconds);
  let answer;
  try {
    answer = await fetch(url, { method: "POST", headers: sent, body, redirect: "manual", signal });
  } catch (thrown) {
    throw thrown instanceof Error && thrown.name === "TimeoutError" ? new Error("timeout") : thrown;
  }
  // Read so that the connection can be used again. An answer that is too long, breaks off or never ends is cut off: its status counts.
  await readBody(answer, most).catch(() => {});
  return `${answer.status}\n${answer.headers.get("retry-after") ?? ""}`;
}

/** Whether an RS256 signature is this key's: RSASSA-PKCS1-v1_5 with SHA-256, modulus and exponent in base64url. */
export async function verifyRs256(n, e, signature, signed) {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, algorithm, false, ["verify"]);
  return crypto.subtle.verify(algorithm, key, signature, encoder.encode(signed));
}

/**
 * Fetches a list of at most `most` bytes within a time limit. Returns `[text, ETag]`, or `null` if it is the one with the given `ETag`.
 * Rejects for any other status; follows no redirect. GitHub refuses requests without a `User-Agent`.
 */
export async function fetchList(url, etag, most, milliseconds) {
  const headers = { "User-Agent": "keyward", Accept: "application/json", ...(etag && { "If-None-Match": etag }) };
  const response = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.timeout(milliseconds) });
  return response.status === 304 ? null : [await textOf(response, most), response.headers.get("ETag") ?? undefined];
}

/** Whether an ECDSA signature, `r ‖ s`, is that of this P-256 key over the SHA-256 of `signed`. */
export async function verifyP256(spki, signature, signed) {
  // These are views of wasm's memory, which may change during an await.
  const [key, raw, body] = [spki.slice(), signature.slice(), signed.slice()];
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("spki", key, algorithm, false, ["verify"]);
  return crypto.subtle.verify(algorithm, imported, raw, body);
}

/** Imports a key of AES-256-GCM, for one use. */
async function importSealingKey(bytes, use) {
  const key = await crypto.subtle.importKey("raw", bytes, "AES-GCM", false, [use]);
  bytes.fill(0);
  return key;
}

/** Seals bytes with AES-256-GCM. Returns a random nonce of 12 bytes, the ciphertext and the tag. */
export async function seal(key, text) {
  // These are views of wasm's memory, which may change during an await.
  const [bytes, plain] = [key.slice(), text.slice()];
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealingKey = await importSealingKey(bytes, "encrypt");
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, sealingKey, plain));
  const whole = new Uint8Array(iv.length + sealed.length);
  whole.set(iv);
  whole.set(sealed, iv.length);
  return whole;
}

/** Opens what `seal` returned. Rejects if it was not sealed with this key, or was changed. */
export async function open(key, sealed) {
  const [bytes, whole] = [key.slice(), sealed.slice()];
  const sealingKey = await importSealingKey(bytes, "decrypt");
  const algorithm = { name: "AES-GCM", iv: whole.subarray(0, 12) };
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, sealingKey, whole.subarray(12)));
}

/** The derived Ed25519 keys by name, not extractable. */
const signingKeys = new Map();

/** Imports a key and returns its public half, 32 bytes. */
export async function holdKey(name, pkcs8) {
  // `pkcs8` is a view of wasm's memory, which may change during an await.
  const secret = pkcs8.slice();
  // Only an extractable key shows its public half, so a second, non-extractable import is stored.
  const open = await crypto.subtle.importKey("pkcs8", secret, "Ed25519", true, ["sign"]);
  const { x = "" } = await crypto.subtle.exportKey("jwk", open);
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

/** Lets the promise run to its end even if the client disconnects. */
export function keepAlive(context, promise) {
  context?.waitUntil?.(promise);
}

/** Size of the first buffer for a body. */
const FIRST_BYTES = 4_096;

/**
 * Reads a body; `null` if it has more than `most` bytes. Rejects if it has not arrived within the time limit, if there is one. The parts are
 * copied as they arrive: a list of them would take 200 bytes for each byte of a client that sends one in each chunk.
 */
export async function readBody(message, most, milliseconds) {
  if (message.body === null) return new Uint8Array(0);
  const reader = message.body.getReader();
  let isLate = false;
  const end = () => {
    isLate = true;
    reader.cancel().catch(() => {});
  };
  const timer = milliseconds === undefined ? undefined : setTimeout(end, milliseconds);
  try {
    let body = new Uint8Array(Math.min(most, FIRST_BYTES));
    let size = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const next = size + part.value.byteLength;
      if (next > most) {
        await reader.cancel();
        return null;
      }
      if (next > body.byteLength) {
        const larger = new Uint8Array(Math.min(most, Math.max(next, 2 * body.byteLength)));
        larger.set(body.subarray(0, size));
        body = larger;
      }
      body.set(part.value, size);
      size = next;
    }
    // A cancelled stream ends too, but its body is incomplete.
    if (isLate) throw new Error("timeout");
    return body.subarray(0, size);
  } finally {
    clearTimeout(timer);
  }
}

/** Returns the named variables, and no others, as JSON. */
export function variables(env, names) {
  const picked = {};
  for (const name of names.split(",")) if (env[name] !== undefined) picked[name] = env[name];
  return JSON.stringify(picked);
}

/** Returns the names of missing bindings, separated by commas. */
export function missingBindings(env) {
  return ["KEY_INDEX", "REGISTRY", "USAGE", "LIMITS", "EVENTS"].filter((name) => env[name] === undefined).join(",");
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

// A named cache of Keyward's own: neither fetched responses nor other workers of the zone write into it. On workers.dev it stores nothing,
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

/**
 * Whether the runtime refused a call because the object is overloaded. Its documentation advises against another attempt.
 * @param {any} thrown
 */
export function isOverload(thrown) {
  return thrown?.overloaded === true;
}

/** Returns country and autonomous system of a request's client, and the data centre, one a line; locally all are empty. */
export function origin(request) {
  const { country, asn, colo } = request.cf ?? {};
  return `${country ?? ""}\n${asn ?? ""}\n${colo ?? ""}`;
}

/** Returns whether there is a dataset of Analytics Engine. */
export function hasAnalytics(env) {
  return typeof env.ANALYTICS?.writeDataPoint === "function";
}

/** Writes one data point. Its texts are separated by line feeds. The runtime sends it after this event. */
export function writePoint(env, index, texts, count) {
  env.ANALYTICS.writeDataPoint({ indexes: [index], blobs: texts.split("\n"), doubles: [count] });
}

/** Sends a message to the object of a name and returns its answer; both are JSON text. */
export function askObject(env, binding, name, message, milliseconds) {
  const answer = env[binding]
    .getByName(name)
    .fetch("https://object/", { method: "POST", body: message })
    .then(async (response) => {
      const text = await response.text();
      if (response.status !== 200) throw new Error(`the object ${name} answered ${response.status}`);
      return text;
    });
  return within(milliseconds, answer);
}
