// Sends requests to their origin. Rust plans the edits (crates/gate/src/forward.rs); this file applies them.

import { edited, editsOf } from "./answer.js";
import { hold } from "./connections.js";
import { setAll } from "./glue.js";

/** Returns the answer to a failed exchange for its code: `origin_unreachable`, `origin_timeout`, `invalid_body` or `internal_error`. */
let failed;
/** Time limit for the origin's response headers. */
let timeoutMilliseconds;

/** Sets both. Rust calls this once for each isolate, so that no request has to carry them. */
export function onFailed(answer, milliseconds) {
  failed = answer;
  timeoutMilliseconds = milliseconds;
}

// The edge caches by URL alone, so it could serve one key holder's answer to another: nothing may be cached. The runtime copies this
// object and serializes it as JSON, which costs 2 % of a request, so it is set for GET and HEAD only: other answers are never cached.
const NEVER_CACHED = { cacheTtl: -1 };

/**
 * A GET or HEAD that fails sooner than this is retried once. A request on a keep-alive connection that the origin has closed fails within
 * one round trip; an origin that fails later may have begun to process the request.
 */
const RETRY_WITHIN_MILLISECONDS = 1_000;

/**
 * Sends a request to its origin with the planned edits: URL, names to remove, headers to set. All other headers are copied, which is
 * cheaper than rebuilding them and keeps bytes outside ASCII. Bodies stream. `environment` is the number of the `env` for a request with a
 * key, 0 on a public route. The answer gets the headers in `stamp`, `name LF value LF` for each; mostly it is undefined.
 */
export function forward(request, context, edits, environment, stamp) {
  const lines = edits.split("\n");
  const headers = new Headers(request.headers);
  for (const name of lines[1].split(",")) if (name) headers.delete(name);
  const end = lines.length - 1;
  for (let at = 2; at < end; at += 2) headers.set(lines[at], lines[at + 1]);
  const requestId = lines[end - 1];
  const { method } = request;
  const isRead = method === "GET" || method === "HEAD";
  /** @type {RequestInit & { cf?: object }} */
  const init = { method, headers, redirect: "manual" };
  const isKeyed = environment !== 0;
  let upload;
  if (!isRead) upload = uploadOf(request, init);
  else if (isKeyed) init.cf = NEVER_CACHED;
  const finish = (response) => {
    const edits = editsOf(response, stamp, isKeyed && isRead);
    if (isKeyed && isLongLived(response, edits)) {
      const held = hold({ request, context, environment, requestId }, response, edits);
      return held.catch((error) => fail("internal_error", error));
    }
    return edited(response, edits, requestId);
  };
  const began = isRead ? Date.now() : 0;
  const retry = () => (isRead && isRetried(request, began) ? fetch(lines[0], init) : undefined);
  // Keyward's own answer to a failed exchange is stamped as the origin's would be.
  const fail = (code, cause) => {
    const isHttps = request.url.startsWith("https:");
    const answer = failed(requestId, upload?.isBroken ? "invalid_body" : code, String(cause), isHttps);
    if (stamp !== undefined) setAll(answer.headers, stamp);
    return answer;
  };
  return inTime(fetch(lines[0], init), finish, retry, fail);
}

/**
 * Whether an answer is a WebSocket or an event stream, which must not outlive its key. One of a status above 599 cannot be held: the
 * runtime cannot rebuild it. No client takes it for an event stream.
 */
const isLongLived = (response, edits) =>
  edits?.isEventStream
    ? response.body !== null && response.status <= 599
    : response.status === 101 && response.webSocket !== null;

/**
 * Whether a bodiless GET or HEAD is sent once more after a failure without an answer (RFC 9110, section 9.2.2). The runtime does not say
 * why an exchange failed. No other request is ever sent twice.
 */
const isRetried = (request, began) => Date.now() - began < RETRY_WITHIN_MILLISECONDS && !request.headers.has("upgrade");

/**
 * Returns the origin's response as `finish` returns it, or what `fail` makes of a failure. The time limit is for the headers only, of a
 * retry too: a body or a WebSocket may last for hours. An AbortSignal would cost more than the timer and could cut a body. Once
 * the 504 is sent, the runtime ends the request's context and with it the fetch (tests/edge/origin-failures.test.mjs).
 */
function inTime(answer, finish, retry, fail) {
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      resolve(fail("origin_timeout", `no headers within ${timeoutMilliseconds} ms`));
    }, timeoutMilliseconds);
    const arrived = (response) => {
      // Nobody reads the body of a late answer, and a context that is still alive would keep it open.
      if (late) return response.body?.cancel().catch(() => {});
      clearTimeout(timer);
      resolve(finish(response));
    };
    const ended = (error) => {
      if (late) return;
      clearTimeout(timer);
      resolve(fail("origin_unreachable", error));
    };
    // Two callbacks of one `then`: a separate `catch` would make one more promise for every request.
    answer.then(arrived, (error) => {
      const again = late ? undefined : retry();
      if (again === undefined) ended(error);
      else again.then(arrived, ended);
    });
  });
}

/**
 * Minimum length of a body that passes through a stream of Keyward's own, as does a body of unknown length. The stream distinguishes a
 * client's broken body from a broken origin. It costs about 40 µs: too much for the short bodies of most requests.
 */
const OBSERVED_BYTES = 65_536;

// The runtime ends an aborted body as if it were whole, so the stream stays open until the whole exchange is aborted.
const LEFT_OPEN = { preventAbort: true, preventCancel: true };

/** Adds the request's body to the exchange. Returns the state of an observed one. */
function uploadOf(request, init) {
  const { body } = request;
  const length = body === null ? "0" : request.headers.get("content-length");
  if (length !== null && Number(length) < OBSERVED_BYTES) {
    init.body = body;
    return undefined;
  }
  const upload = { isBroken: false };
  const exchange = new AbortController();
  const { readable, writable } =
    length === null ? new IdentityTransformStream() : new FixedLengthStream(BigInt(length));
  init.body = readable;
  init.signal = exchange.signal;
  body.pipeTo(writable, LEFT_OPEN).catch(async (error) => {
    upload.isBroken = await hasFailed(body);
    // The abort breaks the connection to the origin, so a truncated body never looks complete there.
    if (upload.isBroken) exchange.abort(error);
  });
  return upload;
}

/** Whether a piped stream failed itself, rather than its destination. */
async function hasFailed(stream) {
  let isFailed = false;
  try {
    stream.getReader().closed.catch(() => {
      isFailed = true;
    });
  } catch {
    // Still locked: the destination ended the pipe.
  }
  await new Promise((resolve) => setTimeout(resolve));
  return isFailed;
}
