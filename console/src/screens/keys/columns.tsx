import type { Key, Route } from "../../api/types.ts";
import { href } from "../../app/router.ts";
import { useRoutes } from "../../app/shared.ts";
import { useNow } from "../../logic/now.ts";
import { scopesOf } from "../../logic/rights.ts";
import { DAY_MS } from "../../logic/time.ts";
import { count } from "../../logic/words.ts";
import { Address } from "../../parts/address.tsx";
import { Chip, EnvironmentChip, StatusChip } from "../../parts/chip.tsx";
import { HoverCard } from "../../parts/hover-card.tsx";
import { RoutesList } from "../../parts/routes-list.tsx";
import type { Column } from "../../parts/table.tsx";
import { DateOf, Time } from "../../parts/time.tsx";

const SOON_MS = 30 * DAY_MS;

/** When a key ends, with a thin bar of how much of its life has passed. */
function Ends({ of }: { of: Key }) {
  const now = useNow(60_000);
  const from = Date.parse(of.created_at);
  const to = Date.parse(of.expires_at);
  const passed = Math.min(1, Math.max(0, (now - from) / Math.max(1, to - from)));
  const isOver = of.status === "revoked" || of.status === "expired";
  if (of.status === "revoked") return <span class="muted">–</span>;
  return (
    <span>
      <DateOf at={of.expires_at} />
      {!isOver && (
        <span class={`life ${to - now < SOON_MS ? "soon" : ""}`} aria-hidden="true">
          <span style={{ width: `${passed * 100}%` }} />
        </span>
      )}
      {!isOver && to - now < SOON_MS && (
        <span class="small muted">
          <Time at={of.expires_at} />
        </span>
      )}
    </span>
  );
}

function RightsCell({ of, routes }: { of: Key; routes: Route[] | null }) {
  const known = routes ? scopesOf(routes) : null;
  return (
    <HoverCard summary={count(of.scopes.length, "scope")}>
      <span class="stack-8">
        {of.scopes.map((scope) => (
          <span key={scope} class="stack-4">
            <strong class="strong mono">{scope}</strong>
            {known && <RoutesList rows={known.get(scope) ?? []} />}
          </span>
        ))}
      </span>
    </HoverCard>
  );
}

export function useKeyColumns(): Column<Key>[] {
  const { data: routes } = useRoutes();
  return [
    {
      label: "Name",
      sort: "name",
      cell: (key) => (
        <span class="stack-4">
          <a class="row-link" href={href("/key", { id: key.id })}>
            {key.name}
          </a>
          <span class="small muted mono">{key.integration}</span>
        </span>
      ),
    },
    { label: "Environment", tight: true, cell: (key) => <EnvironmentChip environment={key.environment} /> },
    {
      label: "Status",
      tight: true,
      cell: (key) => (
        <span class="row">
          <StatusChip status={key.status} />
          {key.exposed_at && (
            <Chip tone="danger" shape="!">
              Exposed
            </Chip>
          )}
        </span>
      ),
    },
    { label: "Rights", tight: true, cell: (key) => <RightsCell of={key} routes={routes} /> },
    {
      label: "Last used",
      tight: true,
      cell: (key) => (
        <span class="stack-4">
          <Time at={key.last_used_at} />
          {key.last_used_from?.country && <span class="small muted">from {key.last_used_from.country}</span>}
        </span>
      ),
    },
    { label: "Ends", sort: "expires_at", tight: true, cell: (key) => <Ends of={key} /> },
    { label: "Owner", cell: (key) => <Address of={key.owner} /> },
  ];
}
