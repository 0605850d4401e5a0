// Reading lists page by page.

import { call } from "./client.ts";
import type { Page } from "./types.ts";

type Query = Record<string, string | number | boolean | null | undefined>;

/**
 * Reads one screenful. With filters a page of the API may be short or empty although there are more; those are joined, up to
 * `requests` calls, so that a screenful is full unless the list ends.
 */
export async function readScreenful<T>(path: string, query: Query, size: number, requests = 8): Promise<Page<T>> {
  const items: T[] = [];
  let cursor = (query.cursor as string | null | undefined) ?? null;
  for (let round = 0; round < requests; round += 1) {
    const page: Page<T> = await call(path, { query: { ...query, limit: size - items.length, cursor } });
    items.push(...page.items);
    cursor = page.next_cursor;
    if (cursor === null || items.length >= size) break;
  }
  return { items, next_cursor: cursor };
}

/** Reads a list to its end, at most `most` items, and reports the count as it grows. */
export async function readAll<T>(path: string, query: Query, most: number, onProgress?: (count: number) => void) {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await call(path, { query: { ...query, limit: 200, cursor } });
    items.push(...page.items);
    cursor = page.next_cursor;
    onProgress?.(items.length);
  } while (cursor !== null && items.length < most);
  return { items, complete: cursor === null };
}
