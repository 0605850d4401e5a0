import { call } from "../../api/client.ts";
import type { Page as ApiPage, Incident, IncidentItem } from "../../api/types.ts";
import { Page } from "../../app/page.tsx";
import { href, setParams, usePlace } from "../../app/router.ts";
import { useNames } from "../../app/shared.ts";
import { useResource } from "../../logic/resource.ts";
import { capital } from "../../logic/words.ts";
import { Chip } from "../../parts/chip.tsx";
import { Empty } from "../../parts/empty.tsx";
import { CursorPager } from "../../parts/pager.tsx";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Skeleton } from "../../parts/skeleton.tsx";
import { Table } from "../../parts/table.tsx";
import { Time } from "../../parts/time.tsx";

export function IncidentStatus({ status }: { status: Incident["status"] }) {
  return status === "open" ? (
    <Chip tone="danger" shape="◼">
      Open
    </Chip>
  ) : (
    <Chip tone="quiet" shape="–">
      Closed
    </Chip>
  );
}

export function Incidents() {
  const names = useNames();
  const cursor = usePlace().query.get("cursor");
  const list = useResource<ApiPage<IncidentItem>>(`incidents ${cursor}`, () =>
    call<ApiPage<IncidentItem>>("/incidents", { query: { cursor } }),
  );
  const rows = list.data?.items ?? [];
  const next = list.data?.next_cursor ?? null;
  return (
    <Page
      title="Incidents"
      intro="Keys that were revoked because someone may have them, and what remains to be done for each."
    >
      <ProblemBox problem={list.problem} retry={list.reload} />
      {!list.data && list.loading && <Skeleton rows={4} />}
      {list.data && rows.length === 0 && (
        <div class="panel">
          <Empty
            action={
              <a class="button" href={href("/keys")}>
                Open keys
              </a>
            }
          >
            No incident so far. If a key may be in wrong hands, open it and press Compromised.
          </Empty>
        </div>
      )}
      {rows.length > 0 && (
        <Table
          caption="Incidents"
          rows={rows}
          idOf={({ id }) => id}
          opens
          columns={[
            {
              label: "What happened",
              cell: (incident) => (
                <a class="row-link" href={href("/incident", { id: incident.id })}>
                  {incident.note}
                </a>
              ),
            },
            { label: "Status", tight: true, cell: ({ status }) => <IncidentStatus status={status} /> },
            { label: "Kind", tight: true, cell: ({ kind }) => capital(kind) },
            { label: "Reviewed", tight: true, cell: ({ reviewed_at }) => <Time at={reviewed_at} absent="Not yet" /> },
            {
              label: "Opened",
              tight: true,
              cell: (incident) => (
                <span class="stack-4">
                  <Time at={incident.opened_at} />
                  <span class="small muted">by {names(incident.opened_by)}</span>
                </span>
              ),
            },
          ]}
        />
      )}
      <CursorPager cursor={cursor} next={next} setParams={setParams} />
    </Page>
  );
}
