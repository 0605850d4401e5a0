// What scopes and routes mean to each other, and a key's rights as a sentence.

import type { Key, Limit, Route } from "../api/types.ts";
import { date, exactDuration } from "./time.ts";
import { list, number, uncapital } from "./words.ts";

export interface RouteRow {
  methods: string[];
  path: string;
  scope: string | null;
  isPublic: boolean;
}

/** Splits `GET,HEAD /v1/contacts/*` into methods and path. */
export function routeRow(route: Route): RouteRow {
  const space = route.match.indexOf(" ");
  const isPublic = route.access === "public";
  return {
    methods: route.match.slice(0, space).split(","),
    path: route.match.slice(space + 1),
    scope: isPublic ? null : (route.scope ?? null),
    isPublic,
  };
}

/** The scopes that the route table uses, in its order, each with its routes. */
export function scopesOf(routes: Route[]): Map<string, RouteRow[]> {
  const scopes = new Map<string, RouteRow[]>();
  for (const route of routes) {
    const row = routeRow(route);
    if (row.scope !== null) scopes.set(row.scope, [...(scopes.get(row.scope) ?? []), row]);
  }
  return scopes;
}

/** Rows of one path become one row with all their methods, for reading. */
export function byPath(rows: RouteRow[]): { path: string; methods: string[] }[] {
  const paths = new Map<string, Set<string>>();
  for (const { path, methods } of rows) {
    const known = paths.get(path) ?? new Set<string>();
    for (const method of methods) known.add(method);
    paths.set(path, known);
  }
  return [...paths].map(([path, methods]) => ({ path, methods: [...methods] }));
}

/** `read contacts and events, and write automations` for scopes of the form `resource:action`; others by name. */
export function scopesInWords(scopes: string[]): string {
  const actionsOf = new Map<string, string[]>();
  const others: string[] = [];
  for (const scope of scopes) {
    const [resource, action, ...rest] = scope.split(":");
    if (!resource || !action || rest.length > 0) others.push(scope);
    else actionsOf.set(resource, [...(actionsOf.get(resource) ?? []), action]);
  }
  const resourcesOf = new Map<string, string[]>();
  for (const [resource, actions] of actionsOf) {
    const verbs = list([...actions].sort());
    resourcesOf.set(verbs, [...(resourcesOf.get(verbs) ?? []), resource.replaceAll("_", " ")]);
  }
  const phrases = [...resourcesOf].map(([verbs, resources]) => `${verbs} ${list(resources)}`);
  if (others.length > 0) phrases.push(`use ${list(others)}`);
  return phrases.length < 2
    ? (phrases[0] ?? "")
    : `${phrases.slice(0, -1).join(", ")}, and ${phrases[phrases.length - 1]}`;
}

export function limitInWords(limit: Limit): string {
  const requests = `${number(limit.requests)} request${limit.requests === 1 ? "" : "s"}`;
  if (limit.period) return `${requests} in a ${limit.period === "day" ? "day" : "month"} (UTC)`;
  const window: Record<number, string> = { 1: "second", 60: "minute", 3600: "hour", 86400: "24 hours" };
  const seconds = limit.seconds ?? 0;
  return `${requests} in any ${window[seconds] ?? exactDuration(seconds)}`;
}

/** Seconds for which a location holds what it was granted: part of the price of "never exceeded". */
const LEASE_SECONDS = 2;

/** Requests a minute that a steady caller gets under a limit that is never exceeded in any window, in all locations together. */
export function sustainedPerMinute(limit: Limit): number | null {
  if (!limit.seconds) return null;
  return ((0.9 * limit.requests) / (limit.seconds + LEASE_SECONDS)) * 60;
}

type Rights = Pick<Key, "scopes" | "allowed_cidrs" | "limits">;

/** `May read contacts from 192.0.2.0/24, at most 100 requests in any minute, until 24 February 2027.` */
export function rightsSentence(rights: Rights, until: number | null, ended = false): string {
  const parts = [`${ended ? "Could" : "May"} ${scopesInWords(rights.scopes) || "do nothing yet"}`];
  const networks = rights.allowed_cidrs;
  if (networks.length > 3) parts.push(` from ${networks.length} networks`);
  else if (networks.length > 0) parts.push(` from ${list(networks, "or")}`);
  else parts.push(" from any address");
  const limits = rights.limits ?? [];
  if (limits.length > 0) parts.push(`, at most ${list(limits.map(limitInWords))}`);
  if (until !== null) parts.push(`, until ${date(until)}`);
  return `${parts.join("")}.`;
}

/** `Issued by Olivia for the nightly contact sync to the CRM.` */
export function purposeSentence(by: string, purpose: string): string {
  const text = uncapital(purpose.trim().replace(/[.!]+$/, ""));
  return `Issued by ${by}. Purpose: ${text}.`;
}
