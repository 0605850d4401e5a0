import type { Key, Limit } from "../../api/types.ts";
import { useRoutes } from "../../app/shared.ts";
import { byPath, limitInWords, type RouteRow, routeRow, sustainedPerMinute } from "../../logic/rights.ts";
import { number } from "../../logic/words.ts";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";

interface Row {
  path: string;
  methods: { name: string; may: boolean; scope: string | null }[];
}

/** The route table path by path: each method, and whether this key may use it. */
function rowsOf(routes: RouteRow[], scopes: string[]): Row[] {
  return byPath(routes).map(({ path }) => ({
    path,
    methods: routes
      .filter((route) => route.path === path)
      .flatMap((route) =>
        route.methods.map((name) => ({
          name,
          scope: route.scope,
          may: route.isPublic || (route.scope !== null && scopes.includes(route.scope)),
        })),
      ),
  }));
}

function RouteTable({ of }: { of: Key }) {
  const { data: routes, problem, loading } = useRoutes();
  if (loading) return <Skeleton rows={4} />;
  if (problem) return <ProblemBox problem={problem} />;
  if (!routes) return null;
  const rows = rowsOf(routes.map(routeRow), of.scopes);
  return (
    <Table
      caption="Routes and what this key may do"
      rows={rows}
      idOf={({ path }) => path}
      columns={[
        { label: "Path", cell: ({ path }) => <code>{path}</code> },
        {
          label: "This key may",
          cell: ({ methods }) => (
            <span class="methods">
              {methods.map(({ name, may }) => (
                <span key={name} class={`method ${may ? "may" : "not"}`}>
                  {name === "*" ? "any" : name}
                  <span class="hidden-label">{may ? " allowed" : " refused"}</span>
                </span>
              ))}
            </span>
          ),
        },
        {
          label: "Scope",
          cell: ({ methods }) => (
            <code class="small">{[...new Set(methods.map(({ scope }) => scope ?? "public"))].join(", ")}</code>
          ),
        },
      ]}
    />
  );
}

/** What a limit lets a steady caller do, which is a little less than its number says. */
function SteadyRate({ of }: { of: Limit }) {
  const rate = sustainedPerMinute(of);
  return rate !== null && rate >= 1 ? (
    <span class="muted"> (about {number(Math.floor(rate))} a minute for a steady caller)</span>
  ) : null;
}

export function RightsTab({ of }: { of: Key }) {
  return (
    <div class="stack-24">
      <dl class="facts panel panel-body">
        <dt>Scopes</dt>
        <dd class="mono">{of.scopes.join(", ")}</dd>
        <dt>Networks</dt>
        <dd>{of.allowed_cidrs.length > 0 ? <span class="mono">{of.allowed_cidrs.join(", ")}</span> : "Any address"}</dd>
        {of.limits && (
          <>
            <dt>Limits</dt>
            <dd>
              {of.limits.length === 0
                ? "None"
                : of.limits.map((limit) => (
                    <div key={limit.name}>
                      <code>{limit.name}</code>: {limitInWords(limit)}
                      <SteadyRate of={limit} />
                    </div>
                  ))}
            </dd>
          </>
        )}
      </dl>
      <RouteTable of={of} />
    </div>
  );
}
