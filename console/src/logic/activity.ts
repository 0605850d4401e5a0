// Who used a key: read chunk by chunk, the newest first, and what is new in it.

import { send } from "../api/client.ts";
import { readAll } from "../api/pages.ts";
import type { ActivityItem } from "../api/types.ts";
import { HOUR_MS } from "./time.ts";

/** More than the API keeps for two days: in an hour 128 combinations, and what exceeds them by at most 65 routes. */
const MOST_ITEMS = 10_000;
const MOST_PAGES = 50;

const iso = (ms: number) => new Date(ms).toISOString();
export const hourAfter = (ms: number) => Math.ceil(ms / HOUR_MS) * HOUR_MS;

/** An item that is a use, and not a change of the key. */
const isUse = (item: ActivityItem) => item.route !== undefined;

/** Reads the uses in a range of time, the newest first. */
export async function readActivity(keyId: string, from: number, to: number): Promise<ActivityItem[]> {
  const { items } = await readAll<ActivityItem>(
    `/keys/${keyId}/activity`,
    { from: iso(from), to: iso(to) },
    MOST_ITEMS,
  );
  return items.filter(isUse).reverse();
}

/** Reads a range of time as CSV, all pages of it. */
export async function readActivityCsv(keyId: string, from: number, to: number): Promise<Blob> {
  const parts: string[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query = { from: iso(from), to: iso(to), cursor };
    const response: Response = await send(`/keys/${keyId}/activity`, { query, accept: "text/csv" });
    const text = await response.text();
    // Each page has its own head.
    parts.push(page === 0 ? text : text.slice(text.indexOf("\n") + 1));
    cursor = response.headers.get("keyward-next-cursor");
    if (cursor === null) break;
  }
  return new Blob(parts, { type: "text/csv" });
}

/** Properties of an item that may be new, with their names. */
const TRAITS: [name: string, of: (item: ActivityItem) => unknown][] = [
  ["network", (item) => item.network],
  ["client", (item) => item.client],
  ["route", (item) => item.route],
];

/**
 * Names the properties of each item since a moment that no item before it has. `items` are the newest first. Nothing is new if no item is
 * before that moment.
 */
export function newIn(items: ActivityItem[], since: number): Map<ActivityItem, string[]> {
  const isBefore = (item: ActivityItem) => Date.parse(item.at) < since;
  const earlier = items.filter(isBefore);
  const found = new Map<ActivityItem, string[]>();
  if (earlier.length === 0) return found;
  const known = TRAITS.map(([, of]) => new Set(earlier.map(of)));
  for (const item of items) {
    if (isBefore(item)) break;
    const names = TRAITS.filter(([, of], at) => !known[at]?.has(of(item))).map(([name]) => name);
    if (names.length > 0) found.set(item, names);
  }
  return found;
}
