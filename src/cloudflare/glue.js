// The JavaScript that Rust calls. Every crossing costs about a microsecond, so each function here does a whole step at once:
// an accepted request crosses twice, in `head` and `forward`. What is decided is decided in Rust; this file only carries it out.

const encoder = new TextEncoder();

/** The whole head of a request as one string; src/http/head.rs says how it reads. */
export function headText(request) {
  let text = `${Date.now()}\n${request.method}\n${request.url}\n`;
  // A callback makes neither an iterator nor a pair for each header: 0.8 µs less than `for … of`.
  request.headers.forEach((value, name) => {
    text += `${name}\n${value}\n`;
  });
  return text;
}

/** The same written into `buffer`, 1.5 µs faster than a string is handed over; its length, or -1 if there is no room. */
export function head(request, buffer) {
  const text = headText(request);
  const { read, written } = encoder.encodeInto(text, buffer);
  return read === text.length ? written : -1;
}

/** Makes the 502 of an origin that can't be reached; Rust sets it once for each isolate. */
let originFailed;

export function onOriginFailed(answer) {
  originFailed = answer;
}

// An answer to a key's holder must not be kept where another key's holder could be served it: the edge would cache by URL alone.
const NEVER_CACHED = { cacheTtl: -1 };

/**
 * Sends a request on with the edits that src/gate/forward.rs planned: URL, names to remove, headers to set. The rest of the
 * headers is copied as it is, which is cheaper than to rebuild it and keeps bytes outside ASCII. Bodies stream.
 */
export function forward(request, edits, isPrivate) {
  const lines = edits.split("\n");
  const headers = new Headers(request.headers);
  for (const name of lines[1].split(",")) if (name) headers.delete(name);
  const end = lines.length - 1;
  for (let at = 2; at < end; at += 2) headers.set(lines[at], lines[at + 1]);
  const { method } = request;
  const init = { method, headers, redirect: "manual" };
  if (isPrivate) init.cf = NEVER_CACHED;
  if (method !== "GET" && method !== "HEAD") init.body = request.body;
  const requestId = lines[end - 1];
  const failed = (error) => originFailed(requestId, String(error));
  // One promise for both outcomes: each more costs about half a microsecond.
  return fetch(lines[0], init).then((response) => {
    try {
      return withoutOurNames(response);
    } catch (error) {
      return failed(error);
    }
  }, failed);
}

/**
 * The origin's response without headers that pose as Keyward's and without hop-by-hop ones. The runtime itself drops
 * `Connection`, `Keep-Alive`, `TE`, `Trailer`, `Transfer-Encoding` and `Upgrade`, but not what `Connection` lists.
 */
function withoutOurNames(response) {
  let removed;
  for (const name of response.headers.keys()) {
    if (name.startsWith("proxy-") || /^keyward(?:[-_.]|$)/.test(name)) (removed ??= []).push(name);
  }
  const listed = response.headers.get("connection");
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

const KEPT_ALIVE = /^(?:close|keep-alive|upgrade)$/i;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// Listing these can't take them away from the client: they say what the body is.
const KEPT_NAMES = new Set(["content-length", "content-type", "content-encoding", "set-cookie", "location", "cache-control"]);

/** A response of our own; `headers` is `name LF value LF` for each. */
export function reply(status, headers, body) {
  const lines = headers.split("\n");
  // Headers made apart would be copied once more: 1.5 µs.
  const made = new Response(body, { status });
  for (let at = 0; at + 1 < lines.length; at += 2) made.headers.set(lines[at], lines[at + 1]);
  return made;
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
