// Reading lists page by page.

import { call } from "./client.ts";
import type { Page } from "./types.ts";

type Query = Record<string, string | number | boolean | null | undefined>;

interface Patience {
  /** Time after which a screenful is returned as far as it is filled. */
  longestMs?: number;
  signal?: AbortSignal;
}

/** For a list that somebody waits for. */
const LONGEST_MS = 4_000;

/**
 * Reads one screenful. With filters a page of the API may be short or empty although there are more, because it looks at 1,000 items at
 * most; those are joined, so that a screenful is full unless the list ends or that takes too long.
 */
export async function readScreenful<T>(
  path: string,
  query: Query,
  size: number,
  { longestMs = LONGEST_MS, signal }: Patience = {},
) {
  const items: T[] = [];
  let cursor = (query.cursor as string | null | undefined) ?? null;
  const until = performance.now() + longestMs;
  do {
    const page: Page<T> = await call(path, { query: { ...query, limit: size - items.length, cursor }, signal });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null && items.length < size && performance.now() < until);
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
