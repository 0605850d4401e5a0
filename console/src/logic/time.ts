// Times and durations in words.

const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

const plural = (count: number, unit: string) => `${count.toLocaleString("en-GB")} ${unit}${count === 1 ? "" : "s"}`;

/** Formats a length of time by its largest unit: `3 minutes`. */
export function duration(ms: number): string {
  const length = Math.abs(ms);
  if (length < MINUTE_MS) return plural(Math.max(1, Math.round(length / 1000)), "second");
  if (length < HOUR_MS) return plural(Math.floor(length / MINUTE_MS), "minute");
  if (length < 2 * DAY_MS) return plural(Math.floor(length / HOUR_MS), "hour");
  return plural(Math.floor(length / DAY_MS), "day");
}

/** Formats seconds exactly: `1 hour 30 minutes`. */
export function exactDuration(seconds: number): string {
  const parts: string[] = [];
  let rest = seconds;
  for (const [unit, size] of [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
    ["second", 1],
  ] as const) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(plural(count, unit));
    rest -= count * size;
  }
  return parts.slice(0, 2).join(" ") || "0 seconds";
}

/** `3 minutes ago`, `in 5 days`, or `just now`. */
export function relative(at: number, now: number): string {
  const difference = at - now;
  if (Math.abs(difference) < 10_000) return "just now";
  return difference < 0 ? `${duration(difference)} ago` : `in ${duration(difference)}`;
}

const DATE = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const CLOCK_SECONDS = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZone: "UTC",
});
const LOCAL = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "long",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});

const DAY_AND_MONTH = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** `24 Feb` in UTC. */
export const dayAndMonth = (at: number) => DAY_AND_MONTH.format(at);

/** `24 February 2027` in UTC. */
export const date = (at: number) => DATE.format(at);

/** `12:04` in UTC. */
export const clock = (at: number) => CLOCK.format(at);

/** `12:04:31` in UTC. */
export const clockSeconds = (at: number) => CLOCK_SECONDS.format(at);

/** `24 February 2027, 12:04 UTC`. */
export const moment = (at: number) => `${DATE.format(at)}, ${CLOCK.format(at)} UTC`;

/** The moment in UTC, and in the time zone of the reader if that differs. */
export function momentWithLocal(at: number): string {
  const isUtc = new Date(at).getTimezoneOffset() === 0;
  return isUtc ? moment(at) : `${moment(at)} (${LOCAL.format(at)})`;
}

/** `mm:ss` until a moment, or `s` below a minute. */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The value of an `<input type="date">` for a moment, in UTC. */
export const dateField = (at: number) => new Date(at).toISOString().slice(0, 10);
