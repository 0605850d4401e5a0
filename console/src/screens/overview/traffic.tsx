import { call } from "../../api/client.ts";
import type { UsageTotal } from "../../api/types.ts";
import { href, setParams, usePlace } from "../../app/router.ts";
import { useResource } from "../../logic/resource.ts";
import { boundsOf, type Span } from "../../logic/usage.ts";
import { number } from "../../logic/words.ts";
import { Empty } from "../../parts/empty.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { SpanSwitch } from "../../parts/span-switch.tsx";

const SHOWN = 8;

async function totals(by: "integration" | "code", span: Span): Promise<UsageTotal[]> {
  const { from, to } = boundsOf(span);
  const answer = await call<{ items: UsageTotal[] }>("/usage", {
    query: { by, from: new Date(from).toISOString(), to: new Date(to).toISOString() },
  });
  return answer.items;
}

const refusedOf = (total: UsageTotal) =>
  typeof total.refused === "number"
    ? total.refused
    : Object.values(total.refused ?? {}).reduce((sum, one) => sum + one, 0);

/** Requests of a span by integration and refusals by code, as bars with their numbers. */
export function Traffic() {
  const span = (usePlace().query.get("span") ?? "24h") as Span;
  const both = useResource(
    `traffic ${span}`,
    () => Promise.all([totals("integration", span), totals("code", span)]),
    true,
  );
  const [integrations, codes] = both.data ?? [[], []];
  const most = Math.max(1, ...integrations.map((total) => total.allowed ?? 0));
  return (
    <section>
      <div class="section-head">
        <h2>Requests</h2>
        <SpanSwitch value={span} onValue={(value) => setParams({ span: value }, { replace: true })} />
      </div>
      <ProblemBox problem={both.problem} retry={both.reload} />
      {!both.data && both.loading && <Skeleton rows={4} />}
      {both.data && (
        <div class="columns">
          <div class="panel panel-body stack-8">
            <h3>Allowed, by integration</h3>
            {integrations.length === 0 && <Empty>No request with a key in this time.</Empty>}
            {integrations.slice(0, SHOWN).map((total) => (
              <a
                key={total.integration ?? total.name}
                class="bar-row"
                href={href("/keys", { integration: total.integration ?? total.name })}
              >
                <span>{total.integration ?? total.name}</span>
                <span class="number">{number(total.allowed ?? 0)}</span>
                <span class="bar-fill" aria-hidden="true">
                  <span class="bar-amount" style={{ width: `${((total.allowed ?? 0) / most) * 100}%` }} />
                </span>
              </a>
            ))}
          </div>
          <div class="panel panel-body stack-8">
            <h3>Refused, by code</h3>
            {codes.filter((total) => refusedOf(total) > 0).length === 0 && <Empty>Nothing was refused.</Empty>}
            {codes
              .filter((total) => refusedOf(total) > 0)
              .slice(0, SHOWN)
              .map((total) => (
                <a
                  key={total.code ?? total.name}
                  class="bar-row"
                  href={`/_keyward/problems/${total.code ?? total.name}`}
                  target="_blank"
                  rel="noreferrer"
                >
                  <code>{total.code ?? total.name}</code>
                  <span class="number">{number(refusedOf(total))}</span>
                </a>
              ))}
          </div>
        </div>
      )}
    </section>
  );
}
