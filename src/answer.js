// Edits an origin's answer before it goes to the client; nothing else does. An edit never loses the answer: an answer that the runtime
// cannot rebuild passes unchanged.

import { setAll } from "./glue.js";

/** Logs an answer that could not be edited. */
let logUnedited = (_requestId, _status, _cause) => {};

/** Sets the log. Rust calls this once for each isolate. */
export function onUnedited(log) {
  logUnedited = log;
}

/**
 * Returns the edits that an answer needs, or undefined if it needs none, as most do:
 *
 * - Headers that pose as Keyward's and hop-by-hop headers are removed. The runtime itself drops `Connection`, `Keep-Alive`, `TE`,
 *   `Trailer`, `Transfer-Encoding` and `Upgrade`, but not the headers that `Connection` lists.
 * - `stamp` is set, `name LF value LF` for each header.
 * - With `mayBeShared`, an answer that a shared cache may store leaves with `Vary: Authorization, X-API-Key`: another caller of the
 *   same URL must not get it (RFC 9111, section 4.1).
 *
 * `isEventStream`: the answer is of type `text/event-stream`, which src/connections.js holds.
 */
export function editsOf(response, stamp, mayBeShared) {
  let removed;
  let listed;
  let cacheControl = "";
  let targeted;
  let expires = false;
  let vary = "";
  let isEventStream = false;
  // A callback makes no iterator, as in `requestText`.
  response.headers.forEach((value, name) => {
    if (name === "content-type") isEventStream = value.length >= EVENT_STREAM_LENGTH && EVENT_STREAM.test(value);
    else if (name === "connection") listed = value;
    else if (name === "cache-control") cacheControl = value;
    else if (name.endsWith("-cache-control") || name === "surrogate-control") {
      targeted ??= [];
      targeted.push(value);
    } else if (name === "expires") expires = true;
    else if (name === "vary") vary = value;
    else if (name.startsWith("keyward") ? OUR_NAMES.test(name) : name.startsWith("proxy-") && HOP_BY_HOP.has(name)) {
      removed ??= [];
      removed.push(name);
    }
  });
  if (listed !== undefined && !KEPT_ALIVE.test(listed)) {
    for (const name of listed.split(",")) {
      const trimmed = name.trim().toLowerCase();
      if (HEADER_NAME.test(trimmed) && !KEPT_NAMES.has(trimmed) && response.headers.has(trimmed)) {
        removed ??= [];
        removed.push(trimmed);
      }
    }
  }
  const isShared = mayBeShared && mayBeStored(cacheControl, targeted, expires);
  const varied = isShared ? CREDENTIALS.filter((name) => !mentions(vary, name)) : NONE;
  if (removed === undefined && stamp === undefined && varied.length === 0 && !isEventStream) return undefined;
  return { removed, stamp, varied, isEventStream };
}

/**
 * Returns the response with its edits, and with another body or WebSocket where `replacement` has one. The runtime builds responses of
 * status 200 to 599 only. Any other answer of an origin passes as it is: its headers are immutable.
 */
export function edited(response, edits, requestId, replacement = response) {
  if (replacement === response && !isNeeded(edits)) return response;
  try {
    const answer = rebuilt(response, replacement);
    if (edits !== undefined) apply(answer.headers, edits);
    return answer;
  } catch (error) {
    if (replacement !== response) throw error;
    logUnedited(requestId, response.status, String(error));
    return response;
  }
}

/** Whether any edit is to be applied: those of an event stream on a public route may be empty. */
const isNeeded = (edits) =>
  edits !== undefined && (edits.removed !== undefined || edits.stamp !== undefined || edits.varied.length > 0);

function rebuilt(response, { body, webSocket }) {
  if (webSocket) return new Response(null, { status: 101, headers: response.headers, webSocket });
  const answer = new Response(body, response);
  // A held stream may end early.
  if (body !== response.body) answer.headers.delete("content-length");
  return answer;
}

function apply(headers, { removed, stamp, varied }) {
  for (const name of removed ?? []) headers.delete(name);
  if (stamp !== undefined) setAll(headers, stamp);
  for (const name of varied) headers.append("vary", name);
}

const NONE = [];
const EVENT_STREAM_LENGTH = "text/event-stream".length;
const EVENT_STREAM = /^\s*text\/event-stream\s*(?:;|$)/i;
const CREDENTIALS = ["Authorization", "X-API-Key"];

/** Whether a `Vary` covers a request header. */
const mentions = (vary, name) =>
  vary.split(",").some((part) => part.trim() === "*" || part.trim().toLowerCase() === name.toLowerCase());

/**
 * Whether some shared cache may store an answer. One that knows a targeted field, such as `CDN-Cache-Control`, follows that and ignores
 * `Cache-Control` and `Expires` (RFC 9213, section 2.1); every other follows those.
 */
const mayBeStored = (cacheControl, targeted, expires) =>
  ((cacheControl !== "" || expires) && isStorable(cacheControl, expires)) ||
  (targeted?.some((directives) => isStorable(directives, false)) ?? false);

/** Whether a shared cache may store an answer with these directives (RFC 9111, section 3). Quoted arguments are no directives. */
function isStorable(cacheControl, expires) {
  const directives = cacheControl
    .replaceAll(/"(?:[^"\\]|\\.)*"?/g, "")
    .split(",")
    .map((part) => part.trim().toLowerCase());
  // `private="…"` names the headers that a shared cache must leave out, so it has an argument and does not count here.
  if (directives.some((directive) => directive === "private" || directive === "no-store")) return false;
  return expires || directives.some((directive) => STORING.test(directive));
}

const STORING = /^(?:(?:public|must-revalidate|proxy-revalidate|immutable)$|(?:s-maxage|max-age)\s*=)/;

// `keyward` with any punctuation after it: some clients read every such character as `-`.
const OUR_NAMES = /^keyward(?![a-z0-9])/;
// Everything else with `Proxy-`, such as `Proxy-Status` (RFC 9209), is end to end.
const HOP_BY_HOP = new Set([
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
]);
const KEPT_ALIVE = /^(?:close|keep-alive|upgrade)$/i;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// `Connection` cannot remove these: they describe the body, or who may store it.
const KEPT_NAMES = new Set([
  "content-length",
  "content-type",
  "content-encoding",
  "set-cookie",
  "location",
  "cache-control",
  "vary",
]);
