// Translates the address of the list into the API's query.

import { serverNow } from "../../api/client.ts";
import { DAY_MS } from "../../logic/time.ts";

/** Names of the filters in the address. */
export const FILTERS = ["q", "status", "owner", "integration", "ends", "idle", "exposed"];

export const PAGE_SIZE = 50;
export const DEFAULT_SORT = "-created_at";

export function apiQuery(query: URLSearchParams): Record<string, string | null> {
  const ends = Number(query.get("ends"));
  // To the minute, so that the same address asks the same question for a while.
  const before = Math.ceil((serverNow() + ends * DAY_MS) / 60_000) * 60_000;
  return {
    environment: query.get("env"),
    q: query.get("q"),
    status: query.get("status"),
    owner: query.get("owner"),
    integration: query.get("integration"),
    expires_before: ends > 0 ? new Date(before).toISOString() : null,
    idle_days: query.get("idle"),
    exposed: query.get("exposed"),
    sort: query.get("sort"),
  };
}
