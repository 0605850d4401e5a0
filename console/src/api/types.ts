// The API's objects, as the OpenAPI document describes them. Fields that an older deployment may lack are optional.

export type Environment = "live" | "test";
export type Role = "owner" | "manager" | "responder" | "auditor" | "verifier";
export type KeyStatus = "active" | "pending" | "retiring" | "quarantined" | "expired" | "revoked";

export interface Limit {
  name: string;
  requests: number;
  seconds?: number;
  period?: "day" | "month";
}

export interface Place {
  country?: string | null;
  asn?: number | null;
  network?: string | null;
}

export interface Key {
  id: string;
  name: string;
  integration: string;
  environment: Environment;
  purpose: string;
  owner: string;
  scopes: string[];
  allowed_cidrs: string[];
  limits?: Limit[];
  status: KeyStatus;
  created_at: string;
  created_by: string;
  expires_at: string;
  rotated_from: string | null;
  successor: string | null;
  revoked_at: string | null;
  revoked_by: string | null;
  revoke_reason: string | null;
  first_used_at?: string | null;
  last_used_at: string | null;
  last_used_from?: Place | null;
  exposed_at?: string | null;
  revision: number;
}

export interface Member {
  id: string;
  name: string;
  email: string;
  role: Role;
  environments: Environment[] | null;
  status: "active" | "expired" | "revoked";
  created_at: string;
  created_by: string;
  expires_at: string;
  revoked_at: string | null;
  last_seen_at?: string | null;
  revision: number;
}

export interface Session {
  member: Member;
  signed_in_by?: "session" | "credential" | "access";
  /** End if nothing else is requested. Null for whom Cloudflare Access signs in, request by request. */
  expires_at: string | null;
  latest_expires_at?: string | null;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

/** A claim: permission to mint one key. `url` is known only to the answer that made it. */
export interface Claim {
  id: string;
  url?: string;
  key_id?: string;
  status?: string;
  expires_at: string;
}

/** The times by which a change holds: while the authority answers, and whatever fails. */
export interface Receipt {
  effective_by: string;
  guaranteed_by: string;
}

export interface KeyIssued {
  key: Key;
  api_key?: string;
  claim?: Claim;
}

export interface KeyChanged extends Receipt {
  key: Key;
}

export interface KeyRotated extends KeyIssued, Partial<Receipt> {
  retiring?: Key;
}

export interface MemberMade {
  member: Member;
  api_key: string;
}

export interface AuditEntry {
  seq: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  detail: Record<string, unknown> & { request_id: string; client_address: string | null };
  previous: string;
  hash: string;
}

export interface Route {
  match: string;
  access?: "public" | "key";
  scope?: string | null;
  cost?: number;
  on_outage?: string;
}

export interface IncidentKey {
  key_id: string;
  effective_by: string;
  guaranteed_by: string;
  claim: Claim | null;
}

export interface ChecklistStep {
  step: "revoked" | "replaced" | "updated" | "reviewed";
  done: boolean;
  at: string | null;
  by: string | null;
  detail: string | null;
}

interface IncidentHead {
  id: string;
  status: "open" | "closed";
  kind: "exposed" | "suspected" | "other";
  note: string;
  opened_at: string;
  opened_by: string;
  closed_at: string | null;
}

/** An incident as the list has it. */
export interface IncidentItem extends IncidentHead {
  reviewed_at: string | null;
}

export interface Incident extends IncidentHead {
  keys: IncidentKey[];
  checklist: ChecklistStep[];
}

/** A key in a report, or a member's credential, which has neither integration nor environment. */
export interface LeakItem {
  key_id: string;
  integration: string | null;
  owner: string;
  environment: Environment | null;
  scopes: string[];
  routes: string[];
  place?: string | null;
  was_active: boolean;
  /** Null if the key had expired. */
  effective_by: string | null;
  guaranteed_by: string | null;
  last_used_before: string | null;
  uses_since: number | null;
}

export interface LeakReport {
  id: string;
  source: string;
  received_at: string;
  found_at: string | null;
  place: string | null;
  note: string | null;
  items: LeakItem[];
}

export interface Finding {
  rule: string;
  severity: "critical" | "high" | "medium" | "low";
  key_id?: string | null;
  member_id?: string | null;
  since: string;
  detail: string;
  fix: { method: string; path: string; body?: Record<string, unknown> | null } | null;
}

export interface Posture {
  score: number;
  /** The 500 heaviest at most. */
  findings: Finding[];
  /** All findings, counted by rule. */
  by_rule: Record<string, { found: number }>;
}

export interface UsageItem {
  at: string;
  allowed: number;
  refused: Record<string, number>;
}

export interface Usage {
  step: "minute" | "hour" | "day";
  from: string;
  to: string;
  complete_to: string;
  items: UsageItem[];
}

export interface Setting {
  name: string;
  value: unknown;
  default?: unknown;
  is_set?: boolean;
  required?: boolean;
  secret?: boolean;
  meaning?: string;
}

export interface Settings {
  settings: Setting[];
  routes: Route[];
  limits?: { name: string; value: string }[];
  versions?: Record<string, string | null>;
}

export interface ActivityItem {
  at: string;
  route?: string | null;
  network?: string | null;
  client?: string | null;
  country?: string | null;
  asn?: number | null;
  allowed?: number;
  refused?: Record<string, number>;
}

export interface Exposure {
  at: string;
  kind: "url" | "browser" | "http";
  route: string | null;
  network: string | null;
}

/** Requests of one integration, key, route, code or step of time. */
export interface UsageTotal {
  name: string;
  allowed: number;
  refused: number;
}

export interface Endpoint {
  id: string;
  url: string;
  description: string;
  types: string[] | null;
  environments: Environment[] | null;
  signatures: string[];
  status: "pending" | "enabled" | "disabled";
  disabled_reason?: "member" | "gone" | "failing" | null;
  previous_secret_until?: string | null;
  last_delivery_at: string | null;
  revision: number;
}

export interface Attempt {
  at: string;
  status?: number | null;
  error?: string | null;
  duration_ms?: number | null;
}

export interface Delivery {
  id: string;
  endpoint: string;
  type: string;
  event_id: string;
  event_time: string;
  status: "pending" | "delivered" | "failed";
  next_attempt_at: string | null;
  attempts: Attempt[];
}

export interface EndpointChanged {
  endpoint: Endpoint;
  /** Only with the answer that made it. */
  secret: string | null;
}

/** A claim and its key, as whoever holds the link sees them. */
export interface ClaimShown {
  claim: { id: string; status: string; issued_by: string; expires_at: string; claimed_at: string | null };
  key: Key;
}
