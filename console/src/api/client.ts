// Calls of the control plane. The session cookie signs them; the page never holds a credential longer than one call.

import { Problem, problemOf, unreachable } from "./problem.ts";

export const BASE = "/_keyward/v1";

export interface CallOptions {
  method?: string;
  query?: Record<string, string | number | boolean | null | undefined>;
  body?: unknown;
  /** Credential for this call alone: sign-in and first run. */
  bearer?: string;
  /** The member's credential again, for what a session alone may not do. */
  confirm?: string;
  idempotencyKey?: string;
  revision?: number;
  accept?: string;
  signal?: AbortSignal;
  /** Return a 401 to the caller instead of asking the person to sign in again. */
  quiet?: boolean;
  /** Without the session: for the page of a claim, whoever is signed in. */
  anonymous?: boolean;
  /** Nobody asked for it just now, so it must not keep an unattended session alive. */
  background?: boolean;
}

/** Resolves with true when the same member has signed in again, so that the refused call may be repeated. */
type SignInAgain = () => Promise<boolean>;

let signInAgain: SignInAgain = async () => false;
const listeners = new Set<(outcome: "answered" | "unreachable") => void>();

export function onSessionEnd(handler: SignInAgain) {
  signInAgain = handler;
}

/** Calls `listener` after each call, with whether the authority answered it. Returns the function that ends that. */
export function watchCalls(listener: (outcome: "answered" | "unreachable") => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Milliseconds by which the server's clock is ahead of this machine's, as far as its answers tell. */
let clockAheadMs = 0;

/** The server's time, for countdowns. */
export const serverNow = () => Date.now() + clockAheadMs;

function learnClock(response: Response) {
  const date = Date.parse(response.headers.get("date") ?? "");
  // The header has whole seconds: a smaller difference says nothing.
  if (Number.isFinite(date)) clockAheadMs = Math.abs(date - Date.now()) > 2_000 ? date - Date.now() : 0;
}

function urlOf(path: string, query: CallOptions["query"]) {
  const url = new URL(path.startsWith("/_keyward") ? path : `${BASE}${path}`, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

async function sendOnce(path: string, options: CallOptions): Promise<Response> {
  const headers = new Headers({
    Accept: options.accept ?? "application/json",
    "Keyward-Console": options.background ? "background" : "1",
  });
  if (options.bearer) headers.set("Authorization", `Bearer ${options.bearer}`);
  if (options.confirm) headers.set("Keyward-Confirm", options.confirm);
  if (options.idempotencyKey) headers.set("Idempotency-Key", options.idempotencyKey);
  if (options.revision !== undefined) headers.set("If-Match", `"${options.revision}"`);
  if (options.body !== undefined) headers.set("Content-Type", "application/json");
  let response: Response;
  try {
    response = await fetch(urlOf(path, options.query), {
      method: options.method ?? (options.body === undefined ? "GET" : "POST"),
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
      cache: "no-store",
      credentials: options.anonymous ? "omit" : "same-origin",
      redirect: "error",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    for (const listener of listeners) listener("unreachable");
    throw unreachable();
  }
  learnClock(response);
  const silent = response.status === 503 || response.status >= 520;
  for (const listener of listeners) listener(silent ? "unreachable" : "answered");
  return response;
}

/** Sends a call and returns the successful response. Throws a `Problem`. Signs in again once if the session has ended. */
export async function send(path: string, options: CallOptions = {}): Promise<Response> {
  let response = await sendOnce(path, options);
  if (response.status === 401 && !options.quiet && !options.bearer && (await signInAgain())) {
    response = await sendOnce(path, options);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const response = await send(path, options);
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch {
    throw new Problem({
      status: response.status,
      code: "unexpected_answer",
      title: "Unexpected answer",
      detail: "The answer is not JSON. A proxy may have made it, or the connection broke.",
      requestId: response.headers.get("keyward-request-id"),
    });
  }
}

/** A new value for `Idempotency-Key`: a retry with it gets the first answer, and no second key is made. */
export const newIdempotencyKey = () => `console-${crypto.randomUUID()}`;
