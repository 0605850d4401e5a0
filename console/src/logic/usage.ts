// Usage answers, completed to one value for each step.

import { call, serverNow } from "../api/client.ts";
import type { Usage, UsageItem, UsageTotal } from "../api/types.ts";
import { list, number } from "./words.ts";

export type Span = "24h" | "7d" | "30d";

const HOUR_MS = 3_600_000;
const SPANS: Record<Span, { steps: number; ms: number; step: Usage["step"] }> = {
  "24h": { steps: 24, ms: HOUR_MS, step: "hour" },
  "7d": { steps: 168, ms: HOUR_MS, step: "hour" },
  "30d": { steps: 30, ms: 24 * HOUR_MS, step: "day" },
};

export interface Steps {
  times: number[];
  allowed: number[];
  refused: number[];
  items: (UsageItem | null)[];
  completeTo: number;
}

const total = (refused: Record<string, number>) => Object.values(refused).reduce((sum, count) => sum + count, 0);

/** The first and last moment of a span that ends with the current step. */
export function boundsOf(span: Span) {
  const { steps, ms, step } = SPANS[span];
  const to = Math.ceil(serverNow() / ms) * ms;
  return { from: to - steps * ms, to, ms, step };
}

/** Reads a key's usage. Steps that the API omits had no request. */
export async function readUsage(path: string, span: Span): Promise<Steps> {
  const { from, to, ms, step } = boundsOf(span);
  const usage = await call<Usage>(path, {
    query: { from: new Date(from).toISOString(), to: new Date(to).toISOString(), step },
  });
  const known = new Map(usage.items.map((item) => [Date.parse(item.at), item]));
  const times = Array.from({ length: Math.round((to - from) / ms) }, (_, at) => from + at * ms);
  const items = times.map((time) => known.get(time) ?? null);
  return {
    times,
    items,
    allowed: items.map((item) => item?.allowed ?? 0),
    refused: items.map((item) => (item ? total(item.refused) : 0)),
    completeTo: Date.parse(usage.complete_to),
  };
}

/** Steps of totals over all keys: the API answers days for more than 48 hours. */
const TOTAL_STEPS: Record<Span, { steps: number; ms: number }> = {
  "24h": { steps: 24, ms: HOUR_MS },
  "7d": { steps: 7, ms: 24 * HOUR_MS },
  "30d": { steps: 30, ms: 24 * HOUR_MS },
};

function totalsBounds(span: Span) {
  const { steps, ms } = TOTAL_STEPS[span];
  const to = Math.ceil(serverNow() / ms) * ms;
  return { from: to - steps * ms, to, ms, steps };
}

/** Reads totals, largest first: of all keys, or by route of one. */
export async function readTotals(by: "integration" | "route" | "code" | "time", span: Span, key?: string) {
  const { from, to } = totalsBounds(span);
  const query = { by, key, from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  return (await call<{ items: UsageTotal[] }>("/usage", { query })).items;
}

/** Reads the numbers of all keys by step of time. Steps that the API omits had no request. */
export async function readTotalsByTime(span: Span) {
  const known = new Map((await readTotals("time", span)).map((total) => [Date.parse(total.name), total]));
  const { from, ms, steps } = totalsBounds(span);
  const times = Array.from({ length: steps }, (_, at) => from + at * ms);
  return {
    times,
    allowed: times.map((time) => known.get(time)?.allowed ?? 0),
    refused: times.map((time) => known.get(time)?.refused ?? 0),
  };
}

/** "rate_limited 3 and revoked_key 1" of one step, or null. */
export function refusedByCode(item: UsageItem | null | undefined): string | null {
  const codes = Object.entries(item?.refused ?? {}).sort(([, a], [, b]) => b - a);
  return codes.length > 0 ? `Refused by code: ${list(codes.map(([code, count]) => `${code} ${number(count)}`))}` : null;
}

/** Refusals by code over all steps, largest first. */
export function codesOf(steps: Steps): [code: string, count: number][] {
  const sums = new Map<string, number>();
  for (const item of steps.items) {
    for (const [code, count] of Object.entries(item?.refused ?? {})) sums.set(code, (sums.get(code) ?? 0) + count);
  }
  return [...sums].sort(([, a], [, b]) => b - a);
}
