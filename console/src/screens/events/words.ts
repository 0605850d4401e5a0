// Endpoints and deliveries in words.

import type { Attempt, Endpoint } from "../../api/types.ts";

/** Groups of types, each with what it tells. */
export const GROUPS: [pattern: string, what: string][] = [
  ["key.*", "Keys: issued, rotated, exposed, revoked, about to end"],
  ["leak.*", "Leaks: a report named a key of this deployment"],
  ["incident.*", "Incidents: opened and closed"],
  ["member.*", "Members: added, changed, removed"],
  ["endpoint.*", "Endpoints: Keyward stopped sending to another one"],
];

const ERRORS: Record<string, string> = {
  timeout: "no answer within 15 seconds",
  connection_failed: "the connection failed",
  address_not_allowed: "EVENT_HOSTS does not allow the address",
  not_signed: "it could not be signed",
  interrupted: "the attempt was interrupted",
};

/** "answered 204 in 12 ms", or why there was no answer. */
export function attemptInWords({ status, error, duration_ms }: Attempt): string {
  const took = typeof duration_ms === "number" ? ` in ${duration_ms.toLocaleString("en-GB")} ms` : "";
  if (typeof status === "number") return `answered ${status}${took}`;
  return error ? (ERRORS[error] ?? error) : "no answer";
}

const REASONS = {
  member: "by a member",
  gone: "it answered 410, gone",
  failing: "every attempt failed for 5 days",
} as const;

/** Why an endpoint is disabled, or what a pending one needs. */
export function statusInWords({ status, disabled_reason }: Endpoint): string | null {
  if (status === "pending") return "needs a test";
  return status === "disabled" && disabled_reason ? (REASONS[disabled_reason] ?? disabled_reason) : null;
}
