// A request's way to its origin. Rust planned the edits (crates/gate/src/forward.rs); this file carries them out.

import { edited, editsOf } from "./answer.js";

/** Makes the answer to a failed exchange from its code: `origin_unreachable`, `origin_timeout`, `invalid_body`. */
let failed;
/** Time limit for the origin's response headers. */
let timeoutMilliseconds;

/** Sets both. Rust calls this once for each isolate, so that no request has to carry them. */
export function onFailed(answer, milliseconds) {
  failed = answer;
  timeoutMilliseconds = milliseconds;
}

// The edge caches by URL alone, so it could serve one key holder's answer to another: nothing may be cached. Only answers to GET and
// HEAD are ever cached, and the object costs 2 % of a request, since it is copied and written as JSON.
const NEVER_CACHED = { cacheTtl: -1 };

/**
 * Sends a request to its origin with the planned edits: URL, names to remove, headers to set. All other headers are copied, which is
 * cheaper than rebuilding them and keeps bytes outside ASCII. Bodies stream. The answer gets the headers in `stamp`,
 * `name LF value LF` for each; mostly it is undefined.
 */
export function forward(request, edits, isPrivate, stamp) {
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
  if (!isRead) init.body = request.body;
  else if (isPrivate) init.cf = NEVER_CACHED;
  const finish = (response) => edited(response, editsOf(response, stamp, isPrivate && isRead), requestId);
  return inTime(fetch(lines[0], init), requestId, finish);
}

/**
 * Returns the origin's response as `finish` returns it, or 502 or 504. The time limit is for the headers only: a body or a WebSocket may
 * last for hours. An AbortSignal would cost more than the timer and could cut a body. Once the 504 is sent, the runtime ends the
 * request's context and with it the fetch (tests/edge/origin-failures.test.mjs).
 */
function inTime(response, requestId, finish) {
  return new Promise((resolve) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      resolve(failed(requestId, "origin_timeout", `no headers within ${timeoutMilliseconds} ms`));
    }, timeoutMilliseconds);
    // Two callbacks of one `then`: a separate `catch` would make one more promise for every request.
    response.then(
      (response) => {
        // Nobody will read the body, and a context that is still alive would keep it open.
        if (late) return response.body?.cancel().catch(() => {});
        clearTimeout(timer);
        resolve(finish(response));
      },
      (error) => {
        clearTimeout(timer);
        if (!late) resolve(failed(requestId, "origin_unreachable", String(error)));
      },
    );
  });
}
