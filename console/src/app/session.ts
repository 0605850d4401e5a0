// Who is signed in, and until when.

import { type Capabilities, readCapabilities } from "../api/capabilities.ts";
import { call, onSessionEnd, send } from "../api/client.ts";
import { asProblem, type Problem } from "../api/problem.ts";
import type { Member, Role, Session } from "../api/types.ts";
import { Observable } from "../logic/observable.ts";

export interface SignedIn {
  state: "signed-in";
  member: Member;
  expiresAt: number;
  capabilities: Capabilities;
}

export type SessionState =
  | { state: "loading" }
  | { state: "failed"; problem: Problem }
  | { state: "signed-out" }
  | { state: "first-run"; token: string }
  | SignedIn;

export const session = new Observable<SessionState>({ state: "loading" });

/** Whether the session has ended while its screens are still there, to be continued after another sign-in. */
export const ended = new Observable<{ resume: (again: boolean) => void } | null>(null);

/** A token for the first run, taken out of the address at once so that neither history nor a shared screen keeps it. */
export function takeTokenFromAddress(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("bootstrap");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

/** A session without an end is Cloudflare Access's, which signs in each request. */
const endOf = ({ expires_at }: Session) => (expires_at ? Date.parse(expires_at) : Number.POSITIVE_INFINITY);

/** Whether Cloudflare Access vouched for the person at the last look. */
let vouched = false;
export const isVouched = () => vouched;

async function enter(answer: Session) {
  vouched = answer.signed_in_by === "access";
  const capabilities = await readCapabilities();
  session.set({ state: "signed-in", member: answer.member, expiresAt: endOf(answer), capabilities });
}

/** Continues the session of the cookie, or enters as the person whom Cloudflare Access vouches for. */
export async function resume() {
  session.set({ state: "loading" });
  try {
    await enter(await call<Session>("/session", { quiet: true }));
  } catch (error) {
    const problem = asProblem(error);
    session.set(problem.status === 401 ? { state: "signed-out" } : { state: "failed", problem });
  }
}

/** Signs in with a credential, which is not kept. */
export async function signIn(credential: string) {
  await enter(await call<Session>("/session", { method: "POST", bearer: credential.trim(), quiet: true }));
}

export async function signOut() {
  await send("/session", { method: "DELETE", quiet: true }).catch((error) => {
    if (asProblem(error).status !== 401) throw error;
  });
  session.set({ state: "signed-out" });
}

/** Asks until when the session lasts. In the background that does not prolong it. */
export async function askSession({ background = false } = {}) {
  const answer = await call<Session>("/session", { background });
  const state = session.value;
  if (state.state === "signed-in") session.set({ ...state, expiresAt: endOf(answer) });
}

/** Signs in again over the open screens. Resolves with whether it is the same member, whose work may continue. */
export async function signInOver(credential: string): Promise<boolean> {
  const state = session.value;
  if (state.state !== "signed-in") return false;
  const answer = await call<Session>("/session", { method: "POST", bearer: credential.trim(), quiet: true });
  const same = answer.member.id === state.member.id;
  if (same) session.set({ ...state, member: answer.member, expiresAt: endOf(answer) });
  return same;
}

const LOOK_MS = 30_000;

/** Looks regularly: calls prolong the session without saying until when, and another tab may end it. */
function followEnd() {
  setInterval(() => {
    if (session.value.state !== "signed-in" || ended.value || document.hidden) return;
    askSession({ background: true }).catch(() => {}); // an end opens the dialog; silence shows the banner
  }, LOOK_MS);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || session.value.state !== "signed-in" || ended.value) return;
    askSession({ background: true }).catch(() => {});
  });
}

/** One dialog for all calls that are refused while the session is over. */
function askToSignInAgain() {
  let waiting: Promise<boolean> | null = null;
  onSessionEnd(() => {
    if (session.value.state !== "signed-in") return Promise.resolve(false);
    waiting ??= new Promise<boolean>((resolve) => {
      ended.set({
        resume: (again) => {
          ended.set(null);
          waiting = null;
          resolve(again);
        },
      });
    });
    return waiting;
  });
}

export function startSession() {
  followEnd();
  askToSignInAgain();
}

const ISSUERS: Role[] = ["owner", "manager"];
const REVOKERS: Role[] = ["owner", "manager", "responder"];
const AUDIT_READERS: Role[] = ["owner", "responder", "auditor"];

/** What the signed-in member may do. The authority decides; this only hides what it would refuse. */
export function rightsOf({ member, capabilities }: Pick<SignedIn, "member" | "capabilities">) {
  const { role } = member;
  const everywhere = member.environments === null;
  return {
    readKeys: role !== "verifier",
    issue: ISSUERS.includes(role),
    revoke: REVOKERS.includes(role),
    members: role === "owner",
    audit: AUDIT_READERS.includes(role) && everywhere,
    settings: (role === "owner" || role === "auditor") && capabilities.has("GET", "/settings"),
    usage: role !== "verifier" && capabilities.has("GET", "/keys/{id}/usage"),
    usageOverall: role !== "verifier" && capabilities.has("GET", "/usage"),
    activity: AUDIT_READERS.includes(role) && capabilities.has("GET", "/keys/{id}/activity"),
    incidents: role !== "verifier" && capabilities.has("GET", "/incidents"),
    openIncident: REVOKERS.includes(role) && capabilities.has("POST", "/incidents"),
    leaks: role !== "verifier" && capabilities.has("GET", "/leaks"),
    posture: role !== "verifier" && capabilities.has("GET", "/posture"),
    claims: ISSUERS.includes(role) && capabilities.has("GET", "/claims"),
    events: role === "owner" && everywhere && capabilities.has("GET", "/endpoints"),
    exposures: role !== "verifier" && capabilities.has("GET", "/keys/{id}/exposures"),
    release: (role === "owner" || role === "responder") && capabilities.has("POST", "/keys/{id}/release"),
  };
}

export type Rights = ReturnType<typeof rightsOf>;
