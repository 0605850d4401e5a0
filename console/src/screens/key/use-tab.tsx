import type { Key } from "../../api/types.ts";
import { useConsole } from "../../app/context.ts";
import { setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { codesOf, readTotals, readUsage, refusedByCode, type Span } from "../../logic/usage.ts";
import { number } from "../../logic/words.ts";
import { AmountBars } from "../../parts/amount-bars.tsx";
import { Chart, useDecisions } from "../../parts/chart.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { SpanSwitch } from "../../parts/span-switch.tsx";
import { Time } from "../../parts/time.tsx";

const SHOWN = 12;

/** The routes that the key was used for, or null if this deployment does not tell. */
function Routes({ of, span }: { of: Key; span: Span }) {
  const { rights, capabilities } = useConsole();
  const told = rights.usageOverall && capabilities.takes("GET", "/usage", "key");
  const routes = useResource(told ? `${of.id} ${span}` : null, () => readTotals("route", span, of.id), true);
  if (!told) return null;
  if (routes.problem) return <ProblemBox problem={routes.problem} retry={routes.reload} />;
  if (!routes.data) return <Skeleton rows={4} />;
  return (
    <AmountBars
      heading="h2"
      title="By route"
      absent="No request in this time."
      code
      rows={routes.data.slice(0, SHOWN).map(({ name, allowed, refused }) => ({
        name,
        amount: allowed + refused,
        note: refused > 0 ? `${number(refused)} of them refused` : null,
      }))}
    />
  );
}

/** What the key was used for: allowed and refused over time, by route, and refusals by code. */
export function UseTab({ of }: { of: Key }) {
  const span = (usePlace().query.get("span") ?? "24h") as Span;
  const usage = useResource(`${of.id} ${span}`, () => readUsage(`/keys/${of.id}/usage`, span), true);
  const steps = usage.data;
  const series = useDecisions(steps);
  if (usage.problem) return <ProblemBox problem={usage.problem} retry={usage.reload} />;
  return (
    <div class="stack">
      <div class="row spread">
        <SpanSwitch value={span} onValue={(value) => setParams({ span: value }, { replace: true })} />
        {steps && (
          <span class="small muted">
            Complete up to <Time at={steps.completeTo} />
          </span>
        )}
      </div>
      {steps ? (
        <Chart
          label={`Requests with ${of.name}`}
          times={steps.times}
          series={series}
          detailAt={(at) => refusedByCode(steps.items[at])}
        />
      ) : (
        <Skeleton rows={5} />
      )}
      <div class="panel bar-columns">
        <Routes of={of} span={span} />
        {steps && (
          <AmountBars
            heading="h2"
            title="Refused by code"
            absent="Nothing was refused in this time."
            code
            danger
            rows={codesOf(steps).map(([name, amount]) => ({ name, amount, address: `/_keyward/problems/${name}` }))}
          />
        )}
      </div>
    </div>
  );
}
