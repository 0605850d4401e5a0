// Usage answers, completed to one value for each step.

import { call, serverNow } from "../api/client.ts";
import type { Usage, UsageItem, UsageTotal } from "../api/types.ts";
import { DAY_MS, HOUR_MS } from "./time.ts";
import { list, number } from "./words.ts";

export type Span = "24h" | "7d" | "30d";

interface Range {
  steps: number;
  ms: number;
  step: Usage["step"];
}

const OF_A_KEY: Record<Span, Range> = {
  "24h": { steps: 24, ms: HOUR_MS, step: "hour" },
  "7d": { steps: 168, ms: HOUR_MS, step: "hour" },
  "30d": { steps: 30, ms: DAY_MS, step: "day" },
};

/** Over all keys the API answers days for more than 48 hours. */
const OF_ALL_KEYS: Record<Span, Range> = { ...OF_A_KEY, "7d": { steps: 7, ms: DAY_MS, step: "day" } };

/** Refusals by code. */
type Refused = Record<string, number> | undefined;

/** Numbers of requests, one for each step. */
export interface Decisions {
  times: number[];
  allowed: number[];
  refused: number[];
}

export interface Steps extends Decisions {
  items: (UsageItem | null)[];
  completeTo: number;
}

/** The first and last moment of a range that ends with the current step, as the API takes them, and the start of each step. */
function rangeOf({ steps, ms }: Range) {
  const to = Math.ceil(serverNow() / ms) * ms;
  const times = Array.from({ length: steps }, (_, at) => to - (steps - at) * ms);
  return { times, query: { from: new Date(to - steps * ms).toISOString(), to: new Date(to).toISOString() } };
}

const mostFirst = (counts: Iterable<[name: string, count: number]>) => [...counts].sort(([, a], [, b]) => b - a);

export const refusedIn = (refused: Refused) => Object.values(refused ?? {}).reduce((sum, count) => sum + count, 0);

/** Codes of the refusals, most first. */
export const codesIn = (refused: Refused) => mostFirst(Object.entries(refused ?? {})).map(([code]) => code);

/** Reads a key's usage. Steps that the API omits had no request. */
export async function readUsage(path: string, span: Span): Promise<Steps> {
  const { step } = OF_A_KEY[span];
  const { times, query } = rangeOf(OF_A_KEY[span]);
  const usage = await call<Usage>(path, { query: { ...query, step } });
  const known = new Map(usage.items.map((item) => [Date.parse(item.at), item]));
  const items = times.map((time) => known.get(time) ?? null);
  return {
    times,
    items,
    allowed: items.map((item) => item?.allowed ?? 0),
    refused: items.map((item) => refusedIn(item?.refused)),
    completeTo: Date.parse(usage.complete_to),
  };
}

/** Reads totals, largest first: of all keys, or by route of one. */
export async function readTotals(by: "integration" | "route" | "code" | "time", span: Span, key?: string) {
  const { query } = rangeOf(OF_ALL_KEYS[span]);
  return (await call<{ items: UsageTotal[] }>("/usage", { query: { by, key, ...query } })).items;
}

/** Reads the numbers of all keys by step of time. Steps that the API omits had no request. */
export async function readTotalsByTime(span: Span): Promise<Decisions> {
  const known = new Map((await readTotals("time", span)).map((total) => [Date.parse(total.name), total]));
  const { times } = rangeOf(OF_ALL_KEYS[span]);
  return {
    times,
    allowed: times.map((time) => known.get(time)?.allowed ?? 0),
    refused: times.map((time) => known.get(time)?.refused ?? 0),
  };
}

/** "rate_limited 3 and revoked_key 1" of one step, or null. */
export function refusedByCode(item: UsageItem | null | undefined): string | null {
  const codes = mostFirst(Object.entries(item?.refused ?? {}));
  return codes.length > 0 ? `Refused by code: ${list(codes.map(([code, count]) => `${code} ${number(count)}`))}` : null;
}

/** Refusals by code over all steps, most first. */
export function codesOf(steps: Steps): [code: string, count: number][] {
  const sums = new Map<string, number>();
  for (const item of steps.items) {
    for (const [code, count] of Object.entries(item?.refused ?? {})) sums.set(code, (sums.get(code) ?? 0) + count);
  }
  return mostFirst(sums);
}
