// The worker's entry in a self-hosted deployment, around the same built worker as on Cloudflare. It says who the client is, as Cloudflare's
// edge does: in `CF-Connecting-IP`, and by the scheme of the URL. The gate's socket uses the default entry, the control plane's `Control`.

import { clientOf, frontOf, socketOf } from "./front.js";
// @ts-expect-error: tools/selfhost.mjs puts the built module beside this one.
import worker from "./index.js";

// @ts-expect-error: the same.
export { Events, Limits, Registry, Usage } from "./index.js";

/** Headers in which Cloudflare's edge speaks. Here only this file does. */
const OF_THE_EDGE = /^cf[^a-z0-9]/i;

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const HEALTH = "/_keyward/health";

const PROBLEMS = {
  bad_path: [400, "Ambiguous path", "The path or query can be read in more than one way. Send it in its plain form."],
  misdirected_request: [
    421,
    "Misdirected request",
    "This path is not served on this host. Send the request to the host that serves it.",
  ],
  misconfigured: [
    500,
    "Invalid configuration",
    "The configuration of this gate is invalid. Its operator finds every problem in the log.",
  ],
};

/** @type {WeakMap<object, import("./front.js").Front>} */
const known = new WeakMap();

/** Returns the settings of the front, and logs what is wrong with them, once. */
function settingsOf(env) {
  let front = known.get(env);
  if (front === undefined) {
    front = frontOf(env);
    known.set(env, front);
    if (front.problem) console.error(JSON.stringify({ event: "misconfigured", level: "error", ...front.problem }));
  }
  return front;
}

function problem(code, status = PROBLEMS[code][0]) {
  const [, title, detail] = PROBLEMS[code];
  const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => LETTERS[byte % 62]).join("");
  const body = { type: `/_keyward/problems/${code}`, title, status, detail, code, request_id: id };
  const headers = {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
    "Keyward-Request-Id": id,
    "X-Content-Type-Options": "nosniff",
  };
  return new Response(JSON.stringify(body), { status, headers });
}

/** Returns the request with the scheme `http`; `null` if that would also change its path, whose raw form the gate has to see. */
function asPlainHttp(request, url) {
  try {
    const plain = new Request(url, request);
    return plain.url === url ? plain : null;
  } catch {
    return null;
  }
}

let warnedAt = Number.NEGATIVE_INFINITY;

function warn(header) {
  const now = Date.now();
  if (now - warnedAt < 60_000) return;
  warnedAt = now;
  console.warn(JSON.stringify({ event: "client_address_unknown", level: "warn", header }));
}

/** Serves a request that came in at the gate's socket, or at the control plane's. */
function serve(isControl, request, env, ctx) {
  const front = settingsOf(env);
  if (front.problem) return problem("misconfigured", request.url.includes(HEALTH) ? 503 : 500);
  const socket = isControl ? "control" : "gate";
  if (socketOf(request.url, front.controlHost) !== socket) return problem("misdirected_request");

  const { address, isProxied } = clientOf(request.cf?.clientIp, request.headers, front);
  // The runtime has the scheme from `X-Forwarded-Proto`, whoever sent it. Only a proxy's word counts: both sockets speak plain HTTP.
  const scheme = /^(https?):/i.exec(request.url)?.[1].toLowerCase();
  if (scheme === undefined) return problem("bad_path");
  const received =
    scheme === "https" && !isProxied ? asPlainHttp(request, `http${request.url.slice(5)}`) : new Request(request);
  if (received === null) return problem("bad_path");

  for (const name of [...received.headers.keys()]) if (OF_THE_EDGE.test(name)) received.headers.delete(name);
  if (address !== null) received.headers.set("cf-connecting-ip", address);
  else warn(front.header);
  return worker.fetch(received, env, ctx);
}

export default { fetch: (request, env, ctx) => serve(false, request, env, ctx) };
export const Control = { fetch: (request, env, ctx) => serve(true, request, env, ctx) };
