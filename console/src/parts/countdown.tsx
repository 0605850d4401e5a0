import { useNow } from "../logic/now.ts";
import { countdown } from "../logic/time.ts";

/** Time left until a moment of the server's clock. */
export function Countdown({ until }: { until: number }) {
  const now = useNow(250);
  return <span class="number">{countdown(until - now)}</span>;
}
