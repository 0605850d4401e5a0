import type { UsageTotal } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { href, setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { readTotals, readTotalsByTime, type Span } from "../../logic/usage.ts";
import { AmountBars } from "../../parts/amount-bars.tsx";
import { Chart, useDecisions } from "../../parts/chart.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { SpanSwitch } from "../../parts/span-switch.tsx";

const SHOWN = 6;

/** Those with most allowed or refused requests. The API's order is by both together. */
const largest = (totals: UsageTotal[], what: "allowed" | "refused") =>
  totals
    .filter((total) => total[what] > 0)
    .sort((a, b) => b[what] - a[what])
    .slice(0, SHOWN)
    .map((total) => ({ name: total.name, amount: total[what] }));

/** Requests over time, and their totals by integration, by route and by the code of a refusal. */
export function Traffic() {
  const { capabilities } = useConsole();
  const span = (usePlace().query.get("span") ?? "24h") as Span;
  const hasTimes = capabilities.takes("GET", "/usage", "key");
  const usage = useResource(
    `traffic ${span}`,
    async () => {
      const [integrations, routes, codes, times] = await Promise.all([
        readTotals("integration", span),
        readTotals("route", span),
        readTotals("code", span),
        hasTimes ? readTotalsByTime(span) : null,
      ]);
      return { integrations, routes, codes, times };
    },
    true,
  );
  const times = usage.data?.times ?? null;
  const series = useDecisions(times);
  return (
    <section>
      <div class="section-head">
        <h2>Requests with a key</h2>
        <SpanSwitch value={span} onValue={(value) => setParams({ span: value }, { replace: true })} />
      </div>
      <ProblemBox problem={usage.problem} retry={usage.reload} />
      {!usage.data && usage.loading && <Skeleton rows={8} />}
      {usage.data && (
        <div class="panel">
          {times && (
            <div class="panel-body">
              <Chart label="Requests with a key of this deployment" times={times.times} series={series} />
            </div>
          )}
          <div class={times ? "bar-columns lined" : "bar-columns"}>
            <AmountBars
              title="Allowed, by integration"
              absent="No request was allowed in this time."
              rows={largest(usage.data.integrations, "allowed").map((row) => ({
                ...row,
                address: href("/keys", { integration: row.name }),
              }))}
            />
            <AmountBars
              title="Allowed, by route"
              absent="No request was allowed in this time."
              code
              rows={largest(usage.data.routes, "allowed")}
            />
            <AmountBars
              title="Refused, by code"
              absent="Nothing was refused in this time."
              code
              danger
              rows={largest(usage.data.codes, "refused").map((row) => ({
                ...row,
                address: `/_keyward/problems/${row.name}`,
              }))}
            />
          </div>
        </div>
      )}
    </section>
  );
}
