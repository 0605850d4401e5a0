import { call, serverNow } from "../../api/client.ts";
import type { Key, Usage } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { useResource } from "../../logic/resource.ts";
import { DAY_MS, HOUR_MS } from "../../logic/time.ts";
import { count } from "../../logic/words.ts";
import { Time } from "../../parts/time.tsx";

/** Start of the hour, because usage is counted by hours. */
const hourStart = (ms: number) => new Date(Math.floor(ms / HOUR_MS) * HOUR_MS).toISOString();

/** "Used 2 minutes ago, 1,204 requests in the last day": what a change would touch. */
export function RecentUse({ of }: { of: Key }) {
  const { rights } = useConsole();
  const from = hourStart(serverNow() - DAY_MS);
  const to = hourStart(serverNow() + HOUR_MS);
  const usage = useResource<Usage>(rights.usage ? of.id : null, () =>
    call<Usage>(`/keys/${of.id}/usage`, { query: { from, to, step: "hour" } }),
  );
  const allowed = usage.data?.items.reduce((sum, item) => sum + item.allowed, 0);
  const place = of.last_used_from;
  const where = [place?.network, place?.country].filter(Boolean).join(", ");
  return (
    <p class="summary-line">
      {of.last_used_at ? (
        <>
          <strong class="strong">
            Used <Time at={of.last_used_at} />
          </strong>
          {where && ` from ${where}`}
          {allowed !== undefined && `, ${count(allowed, "request")} in the last day`}.
        </>
      ) : (
        <>
          <strong class="strong">No use is recorded.</strong> That is no proof of disuse: reports of use may be late.
        </>
      )}
    </p>
  );
}
