import { useNow } from "../logic/now.ts";
import { date, momentWithLocal, relative } from "../logic/time.ts";

/** "3 minutes ago", with the moment on hover and for screen readers. */
export function Time({ at, absent = "never" }: { at: string | number | null | undefined; absent?: string }) {
  const now = useNow(10_000);
  if (at === null || at === undefined) return <span class="muted">{absent}</span>;
  const ms = typeof at === "number" ? at : Date.parse(at);
  return (
    <time class="nowrap" dateTime={new Date(ms).toISOString()} title={momentWithLocal(ms)}>
      {relative(ms, now)}
      <span class="hidden-label">, {momentWithLocal(ms)}</span>
    </time>
  );
}

/** "24 February 2027", with the moment on hover and for screen readers. */
export function DateOf({ at }: { at: string }) {
  const ms = Date.parse(at);
  return (
    <time class="nowrap" dateTime={at} title={momentWithLocal(ms)}>
      {date(ms)}
    </time>
  );
}
