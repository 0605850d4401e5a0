import { useMemo } from "preact/hooks";
import type { Key } from "../../api/types.ts";
import { setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { codesOf, readUsage, refusedByCode, type Span } from "../../logic/usage.ts";
import { number } from "../../logic/words.ts";
import { Chart, type Series } from "../../parts/chart.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { SpanSwitch } from "../../parts/span-switch.tsx";
import { Time } from "../../parts/time.tsx";

/** What the key was used for: allowed and refused over time, and refusals by code. */
export function UseTab({ of }: { of: Key }) {
  const span = (usePlace().query.get("span") ?? "24h") as Span;
  const usage = useResource(`${of.id} ${span}`, () => readUsage(`/keys/${of.id}/usage`, span), true);
  const steps = usage.data;
  const series = useMemo<Series[]>(
    () =>
      steps
        ? [
            { name: "Allowed", colour: "accent", values: steps.allowed },
            { name: "Refused", colour: "danger", values: steps.refused },
          ]
        : [],
    [steps],
  );
  if (usage.problem) return <ProblemBox problem={usage.problem} retry={usage.reload} />;
  const codes = steps ? codesOf(steps) : [];
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
      {codes.length > 0 && (
        <section class="stack-8">
          <h2>Refused by code</h2>
          <dl class="facts">
            {codes.map(([code, count]) => (
              <>
                <dt>
                  <a href={`/_keyward/problems/${code}`} target="_blank" rel="noreferrer">
                    <code>{code}</code>
                  </a>
                </dt>
                <dd class="number">{number(count)}</dd>
              </>
            ))}
          </dl>
        </section>
      )}
    </div>
  );
}
